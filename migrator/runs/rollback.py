"""Takes a run back: what it wrote is removed, what it overwrote restored as far as it was kept, and a collection it made is dropped.

From the moment a rollback is asked for, the run can be neither resumed nor proven: what it left is being taken apart. A rollback that was
stopped or killed goes on where it was. It ends by looking whether the target is as it was.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from migrator import staging
from migrator.connectors import opened_source, opened_target
from migrator.errors import ConfigError
from migrator.existing import existing_collection
from migrator.failpoints import failpoint
from migrator.ledger import runs as rows
from migrator.model import Plan
from migrator.protocols import Droppable, Lagging, Retractable
from migrator.runs import result, undoing
from migrator.runs.taking_back import Taking, Written, stranger

if TYPE_CHECKING:
    from migrator.protocols import Target
    from migrator.runs.context import Attempt

AS_BEFORE, DIFFERS = "as_before", "differs"
SHORTFALLS = {
    "still_there": "are still there",
    "not_restored": "are not what they were",
    "lost": "were overwritten and not kept",
    "left": "were changed by others, and stay",
}
"""What may keep a target from being as it was, in words that follow a number."""
STATUS = "cancelled"
"""What a run that was taken back is: nothing of it stands any more, whatever its proof had said."""


def roll_back(attempt: Attempt) -> str:
    """Take the run back and return its status; what was done, and whether the target is as it was, is in its facts."""
    attempt.phase("rolling back", "rolling back: removing what this run wrote")
    answer = _records(attempt) if undoing.by_id(attempt.plan) else _files(attempt)
    outcome = {"finished": time.time(), **answer}
    rows.set_facts(attempt.ledger, attempt.lease, rolled_back=outcome, rollback=None)
    failpoint("rollback_recorded")
    known = result.load(attempt.folder)
    if known is not None:
        result.save(attempt.ledger, attempt.folder, known | {"rolled_back": outcome})
    attempt.log("info" if outcome["proof"]["verdict"] == AS_BEFORE else "error", sentence(outcome))
    attempt.taken_back = True
    return STATUS


def sentence(outcome: dict[str, Any]) -> str:
    """Return what a rollback came to as one sentence."""
    proof = outcome["proof"]
    said = f"rolled back: {outcome['deleted']:,} records or files removed, {outcome['restored']:,} restored"
    said += ", the collection dropped" if outcome["dropped"] else ""
    if proof["verdict"] == AS_BEFORE:
        return f"{said}; the target is as it was"
    wrong = [f"{proof[name]:,} {words}" for name, words in SHORTFALLS.items() if proof[name]]
    return f"{said}; the target is not as it was: {', '.join(wrong)}"


def _outcome(counts: Counter[str], *, dropped: bool = False, listed: list[dict[str, str]] | None = None) -> dict[str, Any]:
    wrong = {name: counts[name] for name in SHORTFALLS}
    proof = {"verdict": DIFFERS if any(wrong.values()) else AS_BEFORE, "checked": counts["checked"], **wrong, "listed": listed or []}
    return {"deleted": counts["deleted"], "restored": counts["restored"], "dropped": dropped, "proof": proof}


def _records(attempt: Attempt) -> dict[str, Any]:
    """Take records back, by dropping the collection that the run made if nobody else wrote into it."""
    before, written = undoing.before(attempt.ledger, attempt.run) or {}, Written.of(attempt.folder, attempt.plan)
    there = attempt.patiently("looking at the target", lambda: existing_collection(attempt.plan.target))
    if there is None:
        if before.get("existed"):
            raise ConfigError("the target is not there any more, so nothing can be restored in it", fix="look who deleted it", code="target_gone")
        return _outcome(_noted(attempt), dropped=True)
    if not before.get("existed") and (records := _dropped(attempt, written)) is not None:
        return _outcome(Counter(deleted=records, checked=records), dropped=True)
    if written is None:
        return _outcome(Counter())
    with ExitStack() as stack:
        target = stack.enter_context(attempt.opening("opening the target", lambda: opened_target(attempt.plan.target)))
        present = stack.enter_context(attempt.opening("opening the target", lambda: opened_source(attempt.plan.target)))
        itself = Plan(attempt.plan.target, attempt.plan.target)
        attempt.patiently("preparing the target", lambda: target.prepare(there, itself))
        taking = Taking(attempt, target, present, written, staging.records_of(itself), _noted(attempt))
        taking.take(_done(attempt), lambda done: _note(attempt, done, taking.counts))
        _finish(attempt, target, taking)
        attempt.phase("verifying", "looking whether the target is as it was")
        taking.check()
        return _outcome(taking.counts, listed=taking.listed)


def _finish(attempt: Attempt, target: Target, taking: Taking) -> None:
    if isinstance(target, Lagging):
        target.written(sorted(taking.touched))
    attempt.patiently("making the target ready", target.finish)


def _dropped(attempt: Attempt, written: Written | None) -> int | None:
    """Drop the collection and return how many records it held; None when it cannot be dropped, or holds records that the run did not write."""
    with attempt.opening("opening the target", lambda: opened_source(attempt.plan.target)) as target:
        if not isinstance(target, Droppable):
            return None
        strange = stranger(attempt, target, written)
        if strange is not None:
            attempt.log("warning", f"the collection stays: it holds records that this run did not write, such as {strange!r}")
            return None
        target.check_drop()
        records = int(target.describe().count)
        _note(attempt, 0, Counter(deleted=records, checked=records))
        failpoint("before_drop")
        target.drop()
    failpoint("after_drop")
    if attempt.patiently("looking at the target", lambda: existing_collection(attempt.plan.target)) is not None:
        return None
    return records


def _files(attempt: Attempt) -> dict[str, Any]:
    """Remove the files that the run published."""
    with attempt.opening("opening the target", lambda: opened_target(attempt.plan.target)) as target:
        if not isinstance(target, Retractable):
            raise ConfigError(f"files of {attempt.plan.target.connector} are not removed from here", fix="remove them yourself", code="rollback_unsupported")
        kept = _noted(attempt)
        removed, left = target.retract(attempt.plan)
        still = len(target.published(attempt.plan)) - len(left)
        counts = Counter(deleted=kept["deleted"] + removed, checked=removed + len(left), still_there=still, left=len(left))
    return _outcome(counts, listed=[{"namespace": "", "id": path, "problem": "left"} for path in left])


def _done(attempt: Attempt) -> int:
    return int((rows.facts(attempt.ledger, attempt.run).get("rollback") or {}).get("done", 0))


def _noted(attempt: Attempt) -> Counter[str]:
    """Return what an attempt before this one did."""
    return Counter((rows.facts(attempt.ledger, attempt.run).get("rollback") or {}).get("counts", {}))


def _note(attempt: Attempt, done: int, counts: Counter[str]) -> None:
    known = rows.facts(attempt.ledger, attempt.run).get("rollback") or {}
    rows.set_facts(attempt.ledger, attempt.lease, rollback=known | {"done": done, "counts": dict(counts)})
