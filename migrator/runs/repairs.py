"""What a repair of a run would do, whether there can be one, and its start."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from migrator.errors import ConfigError
from migrator.ledger import runs as rows
from migrator.model import Scope
from migrator.runs import proof_sides, repair, result, undoing, view
from migrator.verify.comparison import DIFFERENCES

if TYPE_CHECKING:
    from migrator.runs.manager import Manager

FINISHED = ("proven", "differs", "incomplete")
CLASSES = ("missing", "changed", "extra", "duplicate")


class RepairsOfRuns:
    """Repairs what a proof found different."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def preview(self, run: str) -> dict[str, Any]:
        """Return how many differences of each class the last proof named, how many ``copies`` and ``deletes`` would mend them.

        ``deletes`` are those of ``delete_extra``; ``refused`` says why there can be no repair, None when there can.
        """
        folder = self._manager.folder(run)
        kinds = Counter(line["class"] for batch in repair.listed(folder / DIFFERENCES) for line in batch)
        extra = 0 if self._manager.plan(run).merge else kinds["extra"]
        counted = {name: kinds[name] for name in CLASSES}
        refused = self._obstacle(run, sum(kinds.values()))
        return counted | {"copies": kinds["missing"] + kinds["changed"] + kinds["duplicate"], "deletes": extra, "refused": refused and refused.message}

    def start(self, run: str, *, delete_extra: bool = False) -> None:
        """Repair ``run`` in the background and prove it again. Raise ``ConfigError`` when there can be no repair, or nothing is to be repaired.

        The target is written: of a comparison, whose target nobody here has written yet, that is the caller's express wish.
        """
        manager = self._manager
        rows.get(manager.ledger, run)
        manager.check_free(run)
        known = rows.facts(manager.ledger, run).get("repair")
        found = sum(map(len, repair.listed(manager.folder(run) / DIFFERENCES)))
        proof = (result.load(manager.folder(run)) or {}).get("finished")
        going_on = known is not None and known["proof"] == proof
        if (refusal := self._obstacle(run, found, going_on=going_on)) is not None:
            raise refusal
        wish = known if going_on else {"proof": proof, "of": found, "done": 0, "mended": False}
        if not manager.active(run):
            proof_sides.forget(manager.folder(run))
            rows.note(manager.ledger, run, scope=Scope().to_json(), repair=dict(wish or {}) | {"delete_extra": delete_extra and not manager.plan(run).merge})
        manager.start(run, again="repair")

    def _obstacle(self, run: str, found: int, *, going_on: bool = False) -> ConfigError | None:
        """Return the error that says why ``run`` cannot be repaired."""
        manager = self._manager
        try:
            undoing.check_stands(rows.get(manager.ledger, run), "repair")
        except ConfigError as error:
            return error
        status, plan = view.detail(manager, run), manager.plan(run)
        if status["kind"] not in {"copy", "verify"}:
            return ConfigError(f"run {run} wrote and compared nothing", fix="list the runs with: python -m migrator runs", code="not_repairable")
        known = result.load(manager.folder(run))
        if known is None or not (status["status"] in FINISHED or (going_on and status["status"] == "interrupted")):
            fix = f"let it come to its proof first: python -m migrator resume {run}"
            return ConfigError(f"run {run} is {status['status']}, so nothing is proven that could be repaired", fix=fix, code="run_unfinished")
        if not undoing.by_id(plan):
            message = f"files of {plan.target.connector} are written once and whole: single records in them cannot be mended"
            return ConfigError(message, fix="copy anew, into an empty folder or with overwrite=true", code="repair_unsupported")
        return None if going_on else _nothing_to_do(run, named=found, counted=known["differences_total"])


def _nothing_to_do(run: str, *, named: int, counted: int) -> ConfigError | None:
    """Return the error that says why a proof leaves nothing to repair, None when it named differences."""
    if named:
        return None
    if not counted:
        return ConfigError(f"run {run} has no differences: there is nothing to repair", fix="", code="nothing_to_repair")
    fix = f"prove it again, with every record: python -m migrator verify {run}"
    return ConfigError("the last proof did not name the records that differ, so they cannot be repaired", fix=fix, code="differences_unnamed")
