"""One attempt at a run, phase by phase: prepare, copy, finish, prove."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from migrator.ledger import progress
from migrator.ledger import runs as rows
from migrator.ledger.duplicates import resolve
from migrator.planning import check
from migrator.runs import following, prove, stamping, steps, writes

if TYPE_CHECKING:
    from migrator.runs.context import Attempt


def copy(attempt: Attempt) -> str:
    """Copy and prove; return the status the run ends with."""
    plan = attempt.plan
    check(plan)
    progress.audit(attempt.ledger, attempt.run)  # before going on from its cursors
    if plan.follow is not None:
        return following.follow(attempt, plan.follow)
    with ExitStack() as stack:
        source = stack.enter_context(steps.opened(attempt))
        target = stack.enter_context(steps.opened_target(attempt))
        collection = steps.unchanged(attempt, source)
        attempt.phase("preparing", f"preparing the target for {collection.count:,} records of {collection.dimension} dimensions")
        attempt.patiently("looking at the target", lambda: steps.check_still_there(attempt, target))
        steps.prepare(attempt, target, collection)
        writes.remember(attempt, source, collection)
        rules = steps.rules_of(attempt, source, collection)
        attempt.phase("copying", "copying")
        with steps.writing(attempt, target, plan) as write:
            steps.copy_splits(attempt, source, rules, *stamping.stamped(attempt, source, write))
        written = writes.noticed(attempt, source, steps.count_again(attempt, source))
        attempt.phase("finishing", "making the target ready")
        steps.finish(attempt, target)
        resolve(attempt.ledger, attempt.lease, policy=plan.on_duplicate)
        progress.audit(attempt.ledger, attempt.run)
        attempt.phase("verifying", "proving: reading both sides" if written else "proving: reading the target back")
    return prove.run(attempt, rules, anew=written)


def prove_again(attempt: Attempt) -> str:
    """Prove a finished run anew, reading both sides as far as was asked; return the status.

    What is equal as far as a look at less than everything goes leaves the run what it was.
    """
    scope = prove.scope_of(attempt)
    with steps.opened(attempt) as source:
        collection = steps.unchanged(attempt, source)
        rules = steps.rules_of(attempt, source, collection)
    progress.audit(attempt.ledger, attempt.run)
    attempt.phase("verifying", "proving again: reading both sides")
    verdict = prove.run(attempt, rules, anew=True, scope=scope)
    return verdict if scope.complete or verdict == "differs" else str(rows.facts(attempt.ledger, attempt.run)["standing"])


def rehearse(attempt: Attempt) -> str:
    """Read and judge everything, write nothing; the counts say what a run would do."""
    plan = attempt.plan
    check(plan)
    with steps.opened(attempt) as source:
        collection = steps.unchanged(attempt, source)
        attempt.phase("preparing", "dry run: reading the source")
        rules = steps.rules_of(attempt, source, collection)
        attempt.phase("copying", "dry run: reading and mapping, writing nothing")
        steps.copy_splits(attempt, source, rules, lambda prepared, _part: prepared)
        resolve(attempt.ledger, attempt.lease, policy=plan.on_duplicate)
    attempt.log("info", "dry run done: nothing was written")
    return "incomplete"
