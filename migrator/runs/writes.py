"""Whether others wrote to the source while it was read: a proof against what was read would not see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.connectors import connector
from migrator.ledger import progress
from migrator.ledger import runs as rows
from migrator.protocols import Logged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migrator.model import Collection
    from migrator.protocols import Source
    from migrator.runs.context import Attempt


def remember(attempt: Attempt, source: Source, collection: Collection) -> None:
    """Keep where the source's log is before the first record is read; a resumed run keeps what its first attempt found."""
    known = rows.facts(attempt.ledger, attempt.run)
    if "log" not in known:
        rows.set_facts(attempt.ledger, attempt.lease, log=_positions(attempt, source, collection.namespaces))
    elif progress.counts(attempt.ledger, attempt.run).copied and connector(attempt.plan.source.connector).capabilities(attempt.plan.source).changes_unseen:
        rows.set_facts(attempt.ledger, attempt.lease, resumed=True)


def noticed(attempt: Attempt, source: Source, found: Collection) -> bool:
    """Return whether the source, which is now ``found``, may hold something else than was read: its log went on, or nobody watched meanwhile."""
    facts = rows.facts(attempt.ledger, attempt.run)
    if facts.get("log") is not None and _positions(attempt, source, found.namespaces) != facts["log"]:
        rows.set_facts(attempt.ledger, attempt.lease, written=True)
        attempt.log("info", "the source was written to while it was read: the proof will read it again")
        return True
    if facts.get("resumed"):  # a collection made anew may have a log that came to the same positions, if it tells any
        attempt.log("info", "the run was interrupted: the proof will read the source again")
    return bool(facts.get("resumed"))


def _positions(attempt: Attempt, source: Source, namespaces: Iterable[str]) -> dict[str, int] | None:
    plan = attempt.plan
    if plan.stamp or not isinstance(source, Logged):  # stamps are written to the source
        return None
    chosen = plan.selection.namespaces
    wanted = [name for name in namespaces if chosen is None or name in chosen]
    found = attempt.patiently("looking at the source's log", lambda: source.positions(wanted))
    return None if found is None else dict(found)
