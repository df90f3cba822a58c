"""The aliases a run moves at its cut-over, and back: where each led before is written down before it is moved.

The notes are the run's facts in the ledger, ``{alias: {collection, before, back}}``; proving the run again leaves them alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from migrator.connectors import opened_source
from migrator.errors import ConfigError
from migrator.failpoints import failpoint
from migrator.ledger import runs as rows
from migrator.protocols import Aliased
from migrator.runs import result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.ledger import Ledger
    from migrator.model import Plan
    from migrator.protocols import Aliases
    from migrator.runs.manager import Manager


class AliasesOfRuns:
    """The aliases in the stores of the runs' targets: where they lead, and the way back."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def leads_to(self, run: str, alias: str) -> str | None:
        """Return the collection ``alias`` leads to now, None when there is no such alias. Raise ``ConfigError`` for what can be no alias there."""
        with _aliases(self._manager.plan(run)) as (aliases, _):
            return aliases.leads_to(alias)

    def back(self, run: str, alias: str = "") -> dict[str, Any]:
        """Point ``alias``, or every alias ``run`` moved, back to where it led before; one that did not exist is removed. Safe twice, and after a kill.

        Raise ``ConfigError`` when there is none, or when somebody else moved it since.
        """
        manager = self._manager
        chosen = {name: note for name, note in moved(manager.ledger, run).items() if alias in {"", name}}
        if not chosen:
            what = f"the alias {alias}" if alias else "an alias"
            raise ConfigError(f"run {run} did not move {what}", fix=f"see: python -m migrator status {run}", code="nothing_moved")
        answer: dict[str, Any] = {"run": run, "rolled_back": [], "done": []}
        for name, note in chosen.items():
            answer["done"].append(_point_back(manager, run, name, note))
            answer["rolled_back"].append({"alias": name, "collection": note["before"]})
            _record(manager, run, name, answer["done"][-1])
        return answer


def moved(ledger: Ledger, run: str) -> dict[str, dict[str, Any]]:
    """Return the aliases ``run`` moved: the ``collection`` each was pointed at, where it led ``before`` (None: it did not exist), whether it is ``back``."""
    return dict(rows.facts(ledger, run).get("aliases", {}))


def check(plan: Plan, alias: str) -> None:
    """Raise the ``ConfigError`` that ``point`` would, as far as it can be told without changing anything."""
    with _aliases(plan) as (aliases, _):
        aliases.leads_to(alias)


def point(manager: Manager, run: str, plan: Plan, alias: str) -> tuple[dict[str, Any], str]:
    """Let ``alias`` lead to the target; return the alias's address and one sentence saying what was done. Safe twice, and after a kill."""
    with _aliases(plan) as (aliases, collection):
        now, known = aliases.leads_to(alias), moved(manager.ledger, run).get(alias)
        if now != collection:
            # before it is moved: after a kill it may lead to the target, and only this says where it came from
            _note(manager, run, alias, {"collection": collection, "before": now, "back": False})
            failpoint("alias_noted")
            aliases.point(alias, collection)
            failpoint("alias_moved")
        before = now if now != collection else known["before"] if known else collection
        said = f"pointed the alias {alias} at {collection}" + ("" if before == collection else f"; before, {_led(alias, before)}")
        address = aliases.address(alias).to_json() | {"note": f"Applications that open {alias} use {collection} from now on: nothing of theirs changes."}
        return address, said


def _point_back(manager: Manager, run: str, alias: str, note: dict[str, Any]) -> str:
    """Point one alias back and return the sentence saying so."""
    before, target = note["before"], note["collection"]
    with _aliases(manager.plan(run)) as (aliases, _):
        now = aliases.leads_to(alias)
        if now not in {before, target}:
            message = f"the alias {alias} {_leads(now)}, not to {target} where run {run} pointed it: somebody else moved it since"
            raise ConfigError(message, fix="point it by hand where it is to lead", code="alias_moved")
        if now != before and before is None:
            aliases.drop(alias)
        elif now != before:
            aliases.point(alias, before)
    _note(manager, run, alias, note | {"back": True})
    return f"removed the alias {alias}, which did not exist before" if before is None else f"pointed the alias {alias} back at {before}"


def _note(manager: Manager, run: str, alias: str, note: dict[str, Any]) -> None:
    rows.note(manager.ledger, run, aliases=moved(manager.ledger, run) | {alias: note})


def _record(manager: Manager, run: str, alias: str, what: str) -> None:
    """Say in the log and in the result that something was taken back."""
    rows.log(manager.ledger, run, "info", f"cut-over taken back: {what}")
    known = result.load(manager.folder(run))
    if known is not None and (cutover := known.get("cutover")) and what not in cutover["done"]:
        cutover["done"].append(what)
        if (cutover.get("alias") or {}).get("name") == alias:
            cutover["alias"]["back"], cutover["new"]["note"] = True, f"Taken back: {what}."
        result.save(manager.ledger, manager.folder(run), known)


@contextmanager
def _aliases(plan: Plan) -> Iterator[tuple[Aliases, str]]:
    """Open the target of ``plan`` and give the aliases of its store, and the target's own name."""
    with opened_source(plan.target) as target:
        if not isinstance(target, Aliased):
            raise ConfigError(f"{plan.target.connector} has no aliases", fix="leave out --alias", code="alias_unsupported")
        aliases = target.aliases()
        yield aliases, aliases.collection


def _led(alias: str, collection: str | None) -> str:
    return f"{alias} did not exist" if collection is None else f"it led to {collection}"


def _leads(collection: str | None) -> str:
    return "does not exist any more" if collection is None else f"leads to {collection} now"
