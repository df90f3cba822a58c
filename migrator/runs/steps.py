"""The steps that every attempt at a run is made of: opening and checking the source, splitting it, copying its splits."""

from __future__ import annotations

import dataclasses
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from migrator import duplicates, staging
from migrator.connectors import opened_source
from migrator.connectors import opened_target as direct_target
from migrator.errors import ConfigError, PlanError, TransientError
from migrator.executors import local
from migrator.existing import existing_collection
from migrator.failpoints import failpoint
from migrator.ledger import progress
from migrator.ledger import runs as rows
from migrator.ledger.duplicates import source_splits
from migrator.pipeline.copy import Job, copy_split
from migrator.pipeline.prepare import Rules
from migrator.pipeline.window import Window
from migrator.protocols import Claimable, Deletable, Lagging, PartKeeper, Versioned
from migrator.runs import batches, undoing
from migrator.transform import compile_transform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import closing

    from migrator.model import Collection, LoadProgress, Plan
    from migrator.pipeline.prepare import Prepared
    from migrator.pipeline.write import ChunkWriter
    from migrator.protocols import Source, Target
    from migrator.runs.context import Attempt
    from migrator.transform import Transform

WINDOW_BYTES = 48 * 1024 * 1024
"""Record bytes held between reading and writing, over all splits of a run."""
LOAD_NOTE = "import.json"
"""The file of a run that remembers its load on the staged route."""


def opened(attempt: Attempt) -> closing[Source]:
    """Open the source."""
    return attempt.opening("opening the source", lambda: opened_source(attempt.plan.source))


def opened_target(attempt: Attempt) -> closing[Target]:
    """Open the target as the plan's route asks."""
    plan = attempt.plan
    if plan.route == "direct":
        return attempt.opening("opening the target", lambda: direct_target(plan.target))
    watch = staging.Watch(
        note=attempt.folder / LOAD_NOTE,
        rest=attempt.rest,
        log=attempt.log,
        patiently=attempt.patiently,
        saw=lambda job, progress: _saw_load(attempt, job, progress),
        cancelled=lambda: attempt.asked == "cancelled",
    )
    return attempt.opening("opening the target", lambda: staging.opened(plan, watch))


def _saw_load(attempt: Attempt, job: str, progress: LoadProgress) -> None:
    """Keep how far the target's own load is; of no job, that there is none."""
    known = rows.facts(attempt.ledger, attempt.run).get("load")
    since = known["since"] if known and known["job"] == job else time.time()
    seen = {"job": job, "share": progress.share, "records": progress.records, "done": progress.done, "since": since} if job else None
    phase = "importing" if job and not progress.done else "finishing"
    attempt.phases.setdefault(phase, time.time())
    rows.update(attempt.ledger, attempt.lease, phase=phase)  # first: who sees the load sees its phase
    rows.set_facts(attempt.ledger, attempt.lease, load=seen)


def prepare(attempt: Attempt, target: Target, collection: Collection) -> None:
    """Create the target, or check the one that exists."""
    undoing.remember(attempt)
    if isinstance(target, Claimable):
        target.claim(attempt.run)
    if attempt.plan.shaped_for is not None:
        staging.shape(target, attempt.plan.shaped_for, collection, attempt.plan)
    attempt.patiently("preparing the target", lambda: target.prepare(collection, attempt.plan))


def check_still_there(attempt: Attempt, target: Target) -> None:
    """Raise ``PlanError`` when a resumed copy's target was deleted: made anew, it would lack what was copied before."""
    copied = progress.counts(attempt.ledger, attempt.run).copied
    # files have nothing to be found before they are finished, and what is staged is looked at where it is loaded
    if not copied or attempt.plan.route != "direct" or not isinstance(target, Deletable):
        return
    if existing_collection(attempt.plan.target) is None:
        message = f"the target with the {copied:,} records copied so far is not there any more"
        raise PlanError(message, fix="copy anew, as another run", code="target_gone")


def unchanged(attempt: Attempt, source: Source, *, may_change: bool = False) -> Collection:
    """Return the source with its metric settled; refuse to resume over a source that is another one by now, unless it ``may_change``."""
    collection = attempt.patiently("looking at the source", source.describe)
    if collection.metric is None:
        planned = attempt.plan.collection.metric if attempt.plan.collection else None
        collection = dataclasses.replace(collection, metric=planned or "cosine")
    known = rows.facts(attempt.ledger, attempt.run).get("source")
    seen = {"version": collection.version, "dimension": collection.dimension, "records": collection.count}
    if collection.version and known is not None and known != seen and not may_change:
        raise ConfigError("the source changed since this run began", fix="start a new run", code="source_changed")
    rows.set_facts(attempt.ledger, attempt.lease, source=seen, metric=collection.metric, kind=collection.kind)
    return collection


def count_again(attempt: Attempt, source: Source) -> Collection:
    """Return the source as it is now, and keep what it counts beside what reading it gave: a scan that missed records must not pass as whole."""
    chosen = attempt.plan.selection.namespaces
    found = attempt.patiently("counting the source", source.describe)
    counted = sum(count for name, count in found.namespaces.items() if chosen is None or name in chosen)
    changed = isinstance(source, Versioned) and attempt.patiently("looking at the source again", source.version_now) != found.version
    rows.set_facts(attempt.ledger, attempt.lease, counted=counted, read=progress.rows_read(attempt.ledger, attempt.run), changed=changed)
    return found


def rules_of(attempt: Attempt, source: Source, collection: Collection) -> Rules:
    """Split the scan, find repeated ids, and return what decides how rows become records. Done once a run."""
    plan = attempt.plan
    capabilities = staging.capabilities_of(plan)
    transform = compile_transform(plan)
    chosen = plan.selection.namespaces
    expected = {name: count for name, count in collection.namespaces.items() if chosen is None or name in chosen}
    attempt.total = sum(expected.values())
    if not progress.splits(attempt.ledger, attempt.run):
        splits = attempt.patiently("splitting the source", lambda: list(source.splits(plan.selection, plan.workers, align=records_of(plan))))
        planned = {} if transform.routes else {transform.names.own(name): count for name, count in expected.items()}
        progress.add_splits(attempt.ledger, attempt.lease, splits, planned)
    rows.update(attempt.ledger, attempt.lease, total=attempt.total)
    ids_only = capabilities.ids_unique_across_namespaces and (len(collection.namespaces) > 1 or transform.routes)
    may_repeat = not collection.unique_ids or ids_only or transform.routes
    repeats = _repeats(attempt, source, ids_only=ids_only) if may_repeat else duplicates.none()
    return Rules(transform, capabilities, collection.metric, repeats, origins=plan.stamp)


def _repeats(attempt: Attempt, source: Source, *, ids_only: bool) -> duplicates.Repeats:
    kept = attempt.folder / "repeats.npy"
    if (known := duplicates.Repeats.load(kept, ids_only=ids_only)) is not None:
        return known
    attempt.log("info", "looking for ids that occur more than once")
    splits = [where.split for where in source_splits(attempt.ledger, attempt.run)]
    last = attempt.plan.on_duplicate == "last"
    scan = duplicates.Scan(attempt.folder / "keys", last, ids_only, attempt.stop, attempt.poll, attempt.patiently)
    transform = compile_transform(attempt.plan)
    found = duplicates.find(source, splits, transform, scan)
    attempt.raise_if_stopped()
    _note_merged(attempt, transform)
    found.save(kept)
    if len(found.winners):
        attempt.log("warning", f"{len(found.winners):,} ids occur more than once in the source")
    return found


def _note_merged(attempt: Attempt, transform: Transform) -> None:
    """Keep which namespaces several types of values name: the plan saw a sample only, and the result must say so."""
    if merged := transform.names.merged.messages():
        rows.set_facts(attempt.ledger, attempt.lease, merged=merged)
        for message in merged:
            attempt.log("warning", message)


def records_of(plan: Plan) -> int:
    """Return how many rows a chunk has."""
    return staging.records_of(plan)


@contextmanager
def writing(attempt: Attempt, target: Target, plan: Plan) -> Iterator[ChunkWriter]:
    """Open what writes to ``target`` by the rules of ``plan``, and looks at each batch afterwards if it is to."""
    with undoing.writer(attempt, target, plan) as writer, batches.read_back(attempt, target, writer) as write:
        yield write


def copy_splits(
    attempt: Attempt,
    source: Source,
    rules: Rules,
    write: Callable[[Prepared, str], Prepared],
    after_commit: Callable[[str, int], None] | None = None,
) -> None:
    """Copy what is left of every split. Ends the attempt here if it was asked to stop."""
    attempt.rejected_before = attempt.rejected = progress.counts(attempt.ledger, attempt.run).rejected
    job = dataclasses.replace(_job(attempt, source, rules, write), after_commit=after_commit)
    waiting = [where for where in source_splits(attempt.ledger, attempt.run) if not where.done]
    try:
        local.run(lambda where: copy_split(job, where), waiting, workers=attempt.plan.workers, stop=attempt.stop, poll=attempt.poll)
    except TransientError:
        attempt.raise_if_stopped()  # asked to stop while waiting to try again: that is no failure
        raise
    attempt.poll()
    attempt.raise_if_stopped()


def _job(attempt: Attempt, source: Source, rules: Rules, write: Callable[[Prepared, str], Prepared]) -> Job:
    return Job(
        ledger=attempt.ledger,
        lease=attempt.lease,
        source=source,
        write=write,
        rules=rules,
        records=records_of(attempt.plan),
        concurrent_writes=rules.capabilities.concurrent_writes,
        window=Window(WINDOW_BYTES),
        stop=attempt.stop,
        log=attempt.log,
        on_commit=attempt.on_commit,
    )


def finish(attempt: Attempt, target: Target) -> None:
    """Let the target flush, index and publish what was written."""
    if isinstance(target, PartKeeper):
        written = progress.parts(attempt.ledger, attempt.run)
        attempt.patiently("tidying the target", lambda: target.keep(written))
    if isinstance(target, Lagging):
        target.written(progress.digests(attempt.ledger, attempt.run))
    failpoint("before_finish")
    attempt.patiently("making the target ready", target.finish)
    failpoint("after_finish")
