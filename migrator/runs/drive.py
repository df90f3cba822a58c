"""One attempt at a run, phase by phase: prepare, copy, finish, prove."""

from __future__ import annotations

import dataclasses
import json
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

from migrator import duplicates
from migrator.connectors import connector, opened_source, opened_target
from migrator.errors import ConfigError, TransientError
from migrator.executors import local
from migrator.failpoints import failpoint
from migrator.ledger import progress
from migrator.ledger import runs as rows
from migrator.ledger.duplicates import SPLIT, resolve
from migrator.pipeline.copy import Job, copy_split
from migrator.pipeline.prepare import Rules
from migrator.pipeline.window import Window
from migrator.pipeline.write import Writer
from migrator.planning import check
from migrator.protocols import PartKeeper, Versioned
from migrator.runs import prove
from migrator.transform import compile_transform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.model import Collection, Plan
    from migrator.pipeline.prepare import Prepared
    from migrator.protocols import Source, Target
    from migrator.runs.context import Attempt

WINDOW_BYTES = 48 * 1024 * 1024
"""Record bytes held between reading and writing, over all splits of a run."""


def copy(attempt: Attempt) -> str:
    """Copy and prove; return the status the run ends with."""
    plan = attempt.plan
    check(plan)
    progress.audit(attempt.ledger, attempt.run)  # before going on from its cursors
    with ExitStack() as stack:
        source = stack.enter_context(_opened(attempt))
        target = stack.enter_context(attempt.patiently("opening the target", lambda: opened_target(plan.target)))
        collection = _unchanged(attempt, source)
        attempt.phase("preparing", f"preparing the target for {collection.count:,} records of {collection.dimension} dimensions")
        attempt.patiently("preparing the target", lambda: target.prepare(collection, plan))
        rules = _rules(attempt, source, collection)
        attempt.phase("copying", "copying")
        with _writing(attempt, target) as write:
            _copy_splits(attempt, source, rules, write)
        _count_again(attempt, source)
        attempt.phase("finishing", "making the target ready")
        if isinstance(target, PartKeeper):
            written = progress.parts(attempt.ledger, attempt.run)
            attempt.patiently("tidying the target", lambda: target.keep(written))
        failpoint("before_finish")
        attempt.patiently("making the target ready", target.finish)
        failpoint("after_finish")
        resolve(attempt.ledger, attempt.lease, policy=plan.on_duplicate)
        progress.audit(attempt.ledger, attempt.run)
        attempt.phase("verifying", "proving: reading the target back")
    return prove.run(attempt, rules, anew=False)


def prove_again(attempt: Attempt) -> str:
    """Prove a finished run anew, reading both sides; return the status."""
    with _opened(attempt) as source:
        collection = _unchanged(attempt, source)
        rules = _rules(attempt, source, collection)
    progress.audit(attempt.ledger, attempt.run)
    attempt.phase("verifying", "proving again: reading both sides")
    return prove.run(attempt, rules, anew=True)


def rehearse(attempt: Attempt) -> str:
    """Read and judge everything, write nothing; the counts say what a run would do."""
    plan = attempt.plan
    check(plan)
    with _opened(attempt) as source:
        collection = _unchanged(attempt, source)
        attempt.phase("preparing", "dry run: reading the source")
        rules = _rules(attempt, source, collection)
        attempt.phase("copying", "dry run: reading and mapping, writing nothing")
        _copy_splits(attempt, source, rules, lambda prepared, _part: prepared)
        resolve(attempt.ledger, attempt.lease, policy=plan.on_duplicate)
    attempt.log("info", "dry run done: nothing was written")
    return "incomplete"


def _opened(attempt: Attempt) -> closing[Source]:
    return attempt.patiently("opening the source", lambda: opened_source(attempt.plan.source))


def _unchanged(attempt: Attempt, source: Source) -> Collection:
    """Return the source with its metric settled; refuse to resume over a source that is another one by now."""
    collection = attempt.patiently("looking at the source", source.describe)
    if collection.metric is None:
        planned = attempt.plan.collection.metric if attempt.plan.collection else None
        collection = dataclasses.replace(collection, metric=planned or "cosine")
    row = rows.get(attempt.ledger, attempt.run)
    seen = {"version": collection.version, "dimension": collection.dimension, "records": collection.count}
    known = json.loads(row["facts"]).get("source")
    if collection.version and known is not None and known != seen:
        raise ConfigError("the source changed since this run began", fix="start a new run", code="source_changed")
    rows.set_facts(attempt.ledger, attempt.lease, source=seen, metric=collection.metric, kind=collection.kind)
    return collection


def _count_again(attempt: Attempt, source: Source) -> None:
    """Keep what the source counts now beside what reading it gave: a scan that missed records must not pass as whole."""
    chosen = attempt.plan.selection.namespaces
    found = attempt.patiently("counting the source", source.describe)
    counted = sum(count for name, count in found.namespaces.items() if chosen is None or name in chosen)
    changed = isinstance(source, Versioned) and attempt.patiently("looking at the source again", source.version_now) != found.version
    rows.set_facts(attempt.ledger, attempt.lease, counted=counted, read=progress.rows_read(attempt.ledger, attempt.run), changed=changed)


def _rules(attempt: Attempt, source: Source, collection: Collection) -> Rules:
    """Split the scan, find repeated ids, and return what decides how rows become records. Done once a run."""
    plan = attempt.plan
    capabilities = connector(plan.target.connector).capabilities(plan.target)
    transform = compile_transform(plan)
    chosen = plan.selection.namespaces
    expected = {name: count for name, count in collection.namespaces.items() if chosen is None or name in chosen}
    attempt.total = sum(expected.values())
    if not progress.splits(attempt.ledger, attempt.run):
        splits = attempt.patiently("splitting the source", lambda: list(source.splits(plan.selection, plan.workers, align=_records(plan))))
        progress.add_splits(attempt.ledger, attempt.lease, splits, {} if transform.routes else expected)
    rows.update(attempt.ledger, attempt.lease, total=attempt.total)
    ids_only = capabilities.ids_unique_across_namespaces and (len(collection.namespaces) > 1 or transform.routes)
    may_repeat = not collection.unique_ids or ids_only or transform.routes
    repeats = _repeats(attempt, source, ids_only=ids_only) if may_repeat else duplicates.none()
    return Rules(transform, capabilities, collection.metric, repeats)


def _repeats(attempt: Attempt, source: Source, *, ids_only: bool) -> duplicates.Repeats:
    kept = attempt.folder / "repeats.npy"
    if (known := duplicates.Repeats.load(kept, ids_only=ids_only)) is not None:
        return known
    attempt.log("info", "looking for ids that occur more than once")
    splits = [where.split for where in progress.splits(attempt.ledger, attempt.run) if where.split.id != SPLIT]
    last = attempt.plan.on_duplicate == "last"
    scan = duplicates.Scan(attempt.folder / "keys", last, ids_only, attempt.stop, attempt.poll, attempt.patiently)
    found = duplicates.find(source, splits, compile_transform(attempt.plan), scan)
    attempt.raise_if_stopped()
    found.save(kept)
    if len(found.winners):
        attempt.log("warning", f"{len(found.winners):,} ids occur more than once in the source")
    return found


def _records(plan: Plan) -> int:
    return plan.batch or connector(plan.target.connector).capabilities(plan.target).batch_records


@contextmanager
def _writing(attempt: Attempt, target: Target) -> Iterator[Writer]:
    """Open what a writer needs: the target, and the target as a source when ids must be looked up in it first."""
    plan = attempt.plan
    if plan.on_conflict == "upsert" and not plan.new_only:
        yield Writer(target, None, plan.on_conflict, plan.new_only, attempt.stop, attempt.log)
        return
    with attempt.patiently("opening the target", lambda: opened_source(plan.target)) as present:
        unique = connector(plan.target.connector).capabilities(plan.target).ids_unique_across_namespaces
        everywhere = tuple(present.describe().namespaces) if unique else ()
        yield Writer(target, present, plan.on_conflict, plan.new_only, attempt.stop, attempt.log, everywhere)


def _copy_splits(attempt: Attempt, source: Source, rules: Rules, write: Callable[[Prepared, str], Prepared]) -> None:
    plan = attempt.plan
    attempt.rejected_before = attempt.rejected = progress.counts(attempt.ledger, attempt.run).rejected
    job = Job(
        ledger=attempt.ledger,
        lease=attempt.lease,
        source=source,
        write=write,
        rules=rules,
        records=_records(plan),
        concurrent_writes=rules.capabilities.concurrent_writes,
        window=Window(WINDOW_BYTES),
        stop=attempt.stop,
        log=attempt.log,
        on_commit=attempt.on_commit,
    )
    waiting = [where for where in progress.splits(attempt.ledger, attempt.run) if not where.done and where.split.id != SPLIT]
    try:
        local.run(lambda where: copy_split(job, where), waiting, workers=plan.workers, stop=attempt.stop, poll=attempt.poll)
    except TransientError:
        attempt.raise_if_stopped()  # asked to stop while waiting to try again: that is no failure
        raise
    attempt.poll()
    attempt.raise_if_stopped()
