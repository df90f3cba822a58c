"""Proves a run, or a pair of collections nobody here copied."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from migrator.connectors import connector, opened_source
from migrator.existing import target_scope
from migrator.ledger import progress
from migrator.ledger import runs as rows
from migrator.model import Mapping, Scope, Selection
from migrator.protocols import Versioned
from migrator.runs import proof_sides, result, scopes
from migrator.runs.proof_sides import Opened
from migrator.transform import compile_transform
from migrator.verify import comparison
from migrator.verify.counting import compare_counts, counts_of
from migrator.verify.proof import Way, compare
from migrator.verify.sides import Walk

if TYPE_CHECKING:
    from migrator.model import Collection, Endpoint, Plan
    from migrator.pipeline.prepare import Rules
    from migrator.protocols import Source
    from migrator.runs.context import Attempt
    from migrator.transform import Transform
    from migrator.verify.comparison import Comparison
    from migrator.verify.sides import Side


def run(attempt: Attempt, rules: Rules, *, anew: bool, scope: Scope | None = None) -> str:
    """Compare the target with what was copied (or, ``anew``, with the source as it is now); return the run's status."""
    plan, scope = attempt.plan, scope or Scope()
    recorded = progress.digests(attempt.ledger, attempt.run)
    copied = progress.counts(attempt.ledger, attempt.run).copied
    rows.update(attempt.ledger, attempt.lease, to_verify=copied * (2 if anew else 1), verified=0)
    with ExitStack() as stack:
        theirs = _opened(attempt, stack, plan.target, "target", scope)
        written = plan.with_(selection=Selection(target_scope(plan)), mapping=Mapping())
        if scope.level == "counts":
            found = compare_counts(
                {name: digest.count for name, digest in recorded.items()}, counts_of(theirs.source, as_it_is(written)), extra_allowed=plan.merge
            )
            return _counted(attempt, found, scope)
        target = proof_sides.whole_side(theirs, as_it_is(written))
        way = replace(_way(attempt, scope), extra_allowed=plan.merge, settles=not len(rules.repeats.winners))
        if anew or not scope.whole:
            ours = proof_sides.source_side(_opened(attempt, stack, plan.source, "source", scope), rules)
            found = _compared(ours, target, way)
        else:
            found = compare(lambda: proof_sides.source_side(_opened(attempt, stack, plan.source, "source", scope), rules), target, recorded, way)
        return _concluded(attempt, found, scope)


def pair(attempt: Attempt) -> str:
    """Compare two collections as they are, the source's records routed by the plan's rules; return the status."""
    plan, scope = attempt.plan, scope_of(attempt)
    with ExitStack() as stack:
        ours = _opened(attempt, stack, plan.source, "source", scope)
        theirs = _opened(attempt, stack, plan.target, "target", scope)
        wanted = plan.with_(selection=Selection(target_scope(plan), plan.selection.filter), mapping=Mapping())
        before = [_looks(attempt, side.source) for side in (ours, theirs)]
        scopes.check_namespaces(plan, *(collection for _, collection in before))
        counted = sum(collection.count for _, collection in before)
        rows.update(attempt.ledger, attempt.lease, to_verify=counted, verified=0, total=counted)
        if scope.level == "counts":
            attempt.phase("verifying", "counting both collections")
            found = compare_counts(counts_of(ours.source, compile_transform(plan)), counts_of(theirs.source, as_it_is(wanted)))
            return _counted(attempt, found, scope)
        attempt.phase("verifying", f"reading both collections, {counted:,} records")
        sides = proof_sides.whole_side(ours, compile_transform(plan)), proof_sides.whole_side(theirs, as_it_is(wanted))
        found = _compared(*sides, _way(attempt, scope))
        after = [_looks(attempt, side.source) for side in (ours, theirs)]
        changed = tuple(side.name for side, was, now in zip((ours, theirs), before, after, strict=True) if _moved(was, now))
        return _concluded(attempt, replace(found, changed=changed), scope)


def _counted(attempt: Attempt, found: Comparison, scope: Scope) -> str:
    """Conclude from counts alone: they name no record, and the list of an earlier proof must not pass for theirs."""
    comparison.forget(attempt.folder)
    return _concluded(attempt, found, scope)


def _concluded(attempt: Attempt, found: Comparison, scope: Scope) -> str:
    attempt.poll()
    attempt.raise_if_stopped()
    status = result.conclude(attempt, found, scope)
    comparison.keep(attempt.folder)
    proof_sides.forget(attempt.folder)
    return status


def _compared(source: Side, target: Side, way: Way) -> Comparison:
    ours, theirs = proof_sides.sampled(source, target, way.scope, way.walk())
    found = compare(lambda: ours, theirs, None, way)
    scopes.check_compared(way.scope, found)
    return found


def scope_of(attempt: Attempt) -> Scope:
    """Return how much the proof that was asked for compares."""
    asked = rows.facts(attempt.ledger, attempt.run).get("scope")
    return Scope.from_json(asked) if asked else Scope()


def as_it_is(plan: Plan) -> Transform:
    """Return the rules of ``plan`` for a target: a stamp that got there is a difference."""
    return replace(compile_transform(plan), unstamps=False)


def _looks(attempt: Attempt, source: Source) -> tuple[str, Collection]:
    """Return the version of a collection, as far as it has one, and what it is."""
    version = attempt.patiently("looking at a collection", source.version_now) if isinstance(source, Versioned) else ""
    return version, attempt.patiently("counting", source.describe)


def _moved(was: tuple[str, Collection], now: tuple[str, Collection]) -> bool:
    """Return whether a collection shows, by its version or its count, that it was written to between two looks."""
    return (was[0], was[1].count) != (now[0], now[1].count)


def _opened(attempt: Attempt, stack: ExitStack, endpoint: Endpoint, name: str, scope: Scope) -> Opened:
    source = stack.enter_context(attempt.opening("opening a collection", lambda: opened_source(endpoint)))
    return Opened(attempt, source, endpoint, name, scope)


def _way(attempt: Attempt, scope: Scope) -> Way:
    plan = attempt.plan
    settling = max(connector(endpoint.connector).capabilities(endpoint).settling_seconds for endpoint in (plan.source, plan.target))

    def walk() -> Walk:
        return Walk(attempt.stop, attempt.log, attempt.on_rows, attempt.poll, plan.workers)

    def wait() -> None:
        if settling:
            attempt.log("info", f"looking at the differences again in {settling:.0f} s, when writes that were under way can be seen")
            attempt.rest(settling)

    def check() -> None:
        attempt.poll()
        attempt.raise_if_stopped()

    return Way(walk, attempt.folder, wait=wait, scope=scope, check=check)
