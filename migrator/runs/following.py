"""Follows a source until told to stop: a first copy, then pass after pass; then the last ones, and the proof."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from migrator.connectors import opened_target
from migrator.errors import PlanError, TransientError
from migrator.existing import existing_collection
from migrator.follow.state import State
from migrator.ledger import runs as rows
from migrator.runs import prove, steps
from migrator.runs.passes import Trail, one_pass

if TYPE_CHECKING:
    from migrator.ledger.passes import Found
    from migrator.model import Follow
    from migrator.pipeline.prepare import Rules
    from migrator.runs.context import Attempt

LAST_PASSES = 3
"""At most so many after the run was told to stop; fewer when one of them finds nothing different."""
PATIENCE = 10
"""Passes in a row that a store may spoil by being out of reach."""
_GLANCE_SECONDS = 0.2


def follow(attempt: Attempt, how: Follow) -> str:
    """Follow the source and prove the target in the end; return the status the run ends with."""
    with ExitStack() as stack:
        rows.update(attempt.ledger, attempt.lease, verified=0, to_verify=0)  # of a proof before the run was resumed
        rows.set_facts(attempt.ledger, attempt.lease, counts=None)
        target = stack.enter_context(attempt.opening("opening the target", lambda: opened_target(attempt.plan.target)))
        rules = _until_told(Trail(attempt, how, target))
        attempt.phase("finishing", "making the target ready")
        steps.finish(attempt, target)
        attempt.phase("verifying", "proving: reading the target back")
    return prove.run(attempt, rules, anew=False)


def _until_told(trail: Trail) -> Rules:
    """Make passes until the run is told to stop, and the last ones then; return the rules of the last."""
    attempt = trail.attempt
    attempt.poll()
    if trail.first:
        one_pass(trail)
    else:
        attempt.patiently("looking at the target", lambda: _check_still_there(trail))
    last, spoilt = 0, 0
    while True:
        attempt.poll()
        if not last and (attempt.finishing or "following" not in attempt.phases):
            attempt.phase("following", "told to stop following: the last pass" if attempt.finishing else "following the source")
        last += attempt.finishing
        try:
            found, rules = one_pass(trail)
        except TransientError as error:
            spoilt += 1
            _bear(attempt, error, spoilt)
        else:
            spoilt = 0
            attempt.log("warning" if found.missed else "info", sentence(found))
            if last and (not found.differing or last >= LAST_PASSES):
                return rules
        _rest(attempt, trail.how.interval)


def _check_still_there(trail: Trail) -> None:
    """Raise ``PlanError`` when the target lost everything: passes would send what changes only, into a collection made anew."""
    found = existing_collection(trail.attempt.plan.target)
    if (found is None or not found.count) and len(State(trail.state)):
        message = "what the first copy wrote is not in the target any more: it was deleted, or made anew"
        raise PlanError(message, fix="copy anew, as another run", code="target_gone")


def _bear(attempt: Attempt, error: TransientError, spoilt: int) -> None:
    """Let a store that is out of reach spoil a pass: the next begins anew. Raise when that would help nobody."""
    attempt.raise_if_stopped()
    if attempt.finishing or spoilt >= PATIENCE:
        raise error
    attempt.log("warning", f"this pass came to nothing: {error.message}; the next begins anew")
    attempt.stop.clear()


def _rest(attempt: Attempt, seconds: float) -> None:
    """Wait until the next pass is due, or the run is told to stop."""
    end = time.monotonic() + seconds
    while not attempt.finishing and (left := end - time.monotonic()) > 0:
        attempt.stop.wait(min(_GLANCE_SECONDS, left))
        attempt.poll()
        attempt.raise_if_stopped()
    attempt.poll()


def sentence(found: Found) -> str:
    """Return what a pass found as one sentence."""
    said = f"pass done: {found.new:,} new, {found.changed:,} changed, {found.deleted:,} deleted"
    if found.gone:
        said += f"; {found.gone:,} gone from the source are still in the target"
    if found.missed:
        said += f"; {found.missed:,} were not met by the scan though they are there: the next pass looks at them again"
    return said
