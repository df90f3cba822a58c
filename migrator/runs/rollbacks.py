"""What taking a run back would do, whether it can be done, and its start, by the target's typed name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migrator.connectors import opened_target
from migrator.endpoints import render
from migrator.errors import ConfigError, MigratorError
from migrator.existing import existing_collection, place_of
from migrator.ledger import progress
from migrator.ledger import runs as rows
from migrator.protocols import Retractable
from migrator.runs import result, undoing, view
from migrator.runs.taking_back import Written

if TYPE_CHECKING:
    from sqlite3 import Row

    from migrator.model import Collection, Plan
    from migrator.runs.manager import Manager

NOTHING = "this run wrote nothing into the target that is still there"


@dataclass(frozen=True)
class _Effect:
    """What a rollback does."""

    action: str
    deletes: int
    restores: int
    sentence: str


class RollbacksOfRuns:
    """Takes runs back."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def preview(self, run: str) -> dict[str, Any]:
        """Return what a rollback would do: ``action`` ("drop", "delete", "files" or "nothing"), how many records or files it ``deletes`` and ``restores``.

        ``sentence`` says so, ``confirm`` is the name to be typed, and ``refused`` why it cannot be done, None when it can.
        """
        plan = self._manager.plan(run)
        refused = self._obstacle(run)
        there = existing_collection(plan.target) if undoing.by_id(plan) else None  # files may be half gone already
        name = there.name if there is not None else plan.target.resource
        effect = self._effect(run, plan, there, name) if refused is None else _Effect("nothing", 0, 0, refused.message)
        known = {"action": effect.action, "deletes": effect.deletes, "restores": effect.restores, "sentence": effect.sentence}
        return known | {"confirm": name, "refused": None if refused is None else f"{refused.message}: {refused.fix}" if refused.fix else refused.message}

    def start(self, run: str, confirm: str) -> None:
        """Take ``run`` back in the background. Raise ``ConfigError`` when it cannot be done, or ``confirm`` is not the target's exact name."""
        manager = self._manager
        rows.get(manager.ledger, run)
        manager.check_free(run)
        if (refusal := self._obstacle(run)) is not None:
            raise refusal
        seen = self.preview(run)
        begun = rows.facts(manager.ledger, run).get("rollback")
        if seen["action"] == "nothing" and not begun:
            raise ConfigError(f"run {run} is not rolled back: {NOTHING}", fix="", code="nothing_to_roll_back")
        if confirm != seen["confirm"]:
            message = f"a rollback {seen['sentence']}; it is done only when the target's name is typed, and {confirm!r} is not it"
            raise ConfigError(message, fix=f"give --confirm {seen['confirm']}", code="bad_confirmation")
        if not begun:
            rows.note(manager.ledger, run, rollback={"done": 0, "counts": {}})
        manager.start(run, again="rollback")

    def _effect(self, run: str, plan: Plan, there: Collection | None, name: str) -> _Effect:
        """Return what would be done to the target ``there``."""
        if not undoing.by_id(plan):
            return _of_files(plan)
        before = undoing.before(self._manager.ledger, run)
        written = Written.of(self._manager.folder(run), plan)
        if there is None or before is None or (written is None and before["existed"]):
            return _Effect("nothing", 0, 0, NOTHING)
        counted = written.counted() if written is not None else {}
        wrote, kept, unkept = (counted.get(kind, 0) for kind in ("written", "kept", "unkept"))
        if not before["existed"] and there.count <= wrote + kept + unkept:
            said = f"drops {name}, which this run made, with the {there.count:,} records it holds"
            return _Effect("drop", there.count, 0, said + _also(plan))
        said = f"deletes the {wrote:,} records that this run added to {name}"
        said += f" and restores {kept:,} that it overwrote" if kept else ""
        if unkept:
            said += f"; {unkept:,} stood under the same ids before and were not kept (--keep-overwritten): those that are not what they were are deleted too"
        said += "; the collection stays, for it holds records of others too" if not before["existed"] else ""
        return _Effect("delete", wrote, kept, said + _also(plan))

    def _obstacle(self, run: str) -> ConfigError | None:
        """Return the error that says why ``run`` cannot be taken back."""
        manager, ledger = self._manager, self._manager.ledger
        row, facts = rows.get(ledger, run), rows.facts(ledger, run)
        try:
            undoing.check_stands(row, "rollback")
        except ConfigError as error:
            return error
        if view.detail(manager, run)["status"] == "running":
            return ConfigError(f"run {run} is running", fix=f"cancel it first: python -m migrator cancel {run}", code="run_unfinished")
        if row["kind"] == "dry-run" or (row["kind"] == "verify" and not undoing.log_of(manager.folder(run)).exists()):
            return ConfigError(f"run {run} wrote nothing", fix="", code="nothing_to_roll_back")
        if facts.get("before") is None and progress.counts(ledger, run).copied:
            message = f"run {run} was begun by an earlier version, which did not note what it wrote"
            return ConfigError(message, fix="delete by hand what it wrote, or drop its target", code="not_logged")
        return _moved_on(run, facts, result.load(manager.folder(run))) or self._later(row)

    def _later(self, row: Row) -> ConfigError | None:
        """Return the error for a later run into the same target: taking this one back first would take away what that one wrote over it."""
        ledger, place = self._manager.ledger, place_of(row["target"])
        for other in rows.listed(ledger):
            if other["created"] <= row["created"] or other["run"] == row["run"] or place not in {other["target"], place_of(other["target"])}:
                continue
            wrote = undoing.wrote(self._manager.folder(other["run"])) or (other["kind"] == "copy" and progress.counts(ledger, other["run"]).copied)
            if wrote and not json.loads(other["facts"]).get("rolled_back"):
                message = f"run {other['run']} wrote into the same target after it"
                return ConfigError(message, fix=f"roll that one back first: python -m migrator rollback {other['run']}", code="later_run")
        return None


def _moved_on(run: str, facts: dict[str, Any], known: dict[str, Any] | None) -> ConfigError | None:
    """Return the error for a run whose target is in use by now."""
    moved = [name for name, note in facts.get("aliases", {}).items() if not note["back"]]
    if moved:
        fix = f"point it back first: python -m migrator cutover {run} --rollback"
        return ConfigError(f"the alias {moved[0]} leads to what this run wrote", fix=fix, code="alias_moved")
    if known is not None and (known.get("cutover") or {}).get("deleted"):
        message = f"the source {known['cutover']['deleted']} was deleted at the cut-over of run {run}: its target is the only copy"
        return ConfigError(message, fix="copy it elsewhere first; it is not rolled back from here", code="only_copy")
    return None


def _also(plan: Plan) -> str:
    """Return what is said of what a rollback does not touch."""
    said = ""
    if plan.staging is not None and not plan.in_place:
        said += f"; the staged files in {render(plan.staging)} stay"
    if plan.stamp:
        said += "; the stamps in the source stay (python -m migrator reset SOURCE)"
    try:
        gone = existing_collection(plan.source) is None
    except MigratorError:  # it cannot be told now
        gone = False
    return said + ("; the source is not there any more, so this may be the only copy" if gone else "")


def _of_files(plan: Plan) -> _Effect:
    with opened_target(plan.target) as target:
        files = target.published(plan) if isinstance(target, Retractable) else ()
    if not files:
        return _Effect("files", 0, 0, f"removes what this run staged in {plan.target.resource}; it published no file that is still there")
    replaced = "; files that overwrite=true replaced do not come back" if plan.target.options.get("overwrite") else ""
    return _Effect("files", len(files), 0, f"removes the {len(files):,} files that this run published in {plan.target.resource}, and no others{replaced}")
