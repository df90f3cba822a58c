"""Proves a run, or a pair of collections nobody here copied."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors import opened_source
from migrator.digest import hash_rows
from migrator.existing import target_scope
from migrator.ledger import progress
from migrator.ledger import runs as rows
from migrator.ledger.duplicates import SPLIT
from migrator.model import Mapping, Selection
from migrator.pipeline.prepare import Rules, prepare
from migrator.pipeline.write import named
from migrator.protocols import Repeating
from migrator.runs import result
from migrator.transform import compile_transform
from migrator.validate import reject
from migrator.verify.proof import compare
from migrator.verify.sides import Side, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from migrator.model import Chunk, Endpoint, Plan, Rejected
    from migrator.protocols import Source
    from migrator.runs.context import Attempt
    from migrator.transform import Transform
    from migrator.verify.sides import Content

READ_RECORDS = 10_000


def run(attempt: Attempt, rules: Rules, *, anew: bool) -> str:
    """Compare the target with what was copied (or, ``anew``, with the source as it is now); return the run's status."""
    plan = attempt.plan
    recorded = None if anew else progress.digests(attempt.ledger, attempt.run)
    copied = progress.counts(attempt.ledger, attempt.run).copied
    rows.update(attempt.ledger, attempt.lease, to_verify=copied * (2 if anew else 1), verified=0)
    with ExitStack() as stack:
        target = _opened(attempt, stack, plan.target)

        def source_side() -> Side:
            source = _opened(attempt, stack, plan.source)
            splits = [where.split for where in progress.splits(attempt.ledger, attempt.run) if where.split.id != SPLIT]
            return Side(source, splits, READ_RECORDS, _expected(attempt, rules), routed_fetch(source, rules.transform))

        written = plan.with_(selection=Selection(target_scope(plan)), mapping=Mapping())
        side = _selected_side(attempt, target, as_it_is(written))
        found = compare(source_side, side, recorded, walk=lambda: _walk(attempt), folder=attempt.folder, extra_allowed=plan.merge)
    attempt.raise_if_stopped()
    return result.conclude(attempt, found)


def pair(attempt: Attempt) -> str:
    """Compare two collections as they are, the source's records routed by the plan's rules; return the status."""
    plan = attempt.plan
    with ExitStack() as stack:
        source, target = _opened(attempt, stack, plan.source), _opened(attempt, stack, plan.target)
        counted = attempt.patiently("counting", lambda: source.describe().count + target.describe().count)
        attempt.phase("verifying", f"reading both collections, {counted:,} records")
        rows.update(attempt.ledger, attempt.lease, to_verify=counted, verified=0, total=counted)
        ours = _selected_side(attempt, source, compile_transform(plan))
        wanted = plan.with_(selection=Selection(target_scope(plan), plan.selection.filter), mapping=Mapping())
        theirs = _selected_side(attempt, target, as_it_is(wanted))
        found = compare(lambda: ours, theirs, None, walk=lambda: _walk(attempt), folder=attempt.folder)
    attempt.raise_if_stopped()
    return result.conclude(attempt, found)


def as_it_is(plan: Plan) -> Transform:
    """Return the rules of ``plan`` for a target: a stamp that got there is a difference."""
    return replace(compile_transform(plan), unstamps=False)


def _opened(attempt: Attempt, stack: ExitStack, endpoint: Endpoint) -> Source:
    return stack.enter_context(attempt.opening("opening a collection", lambda: opened_source(endpoint)))


def _walk(attempt: Attempt) -> Walk:
    return Walk(attempt.stop, attempt.log, attempt.on_rows, attempt.poll, attempt.plan.workers)


def _expected(attempt: Attempt, rules: Rules) -> Callable[[Chunk, int], Content]:
    """Return what turns a source chunk into what the target should hold: the run's rules, less what the store refused."""
    refused = progress.refused(attempt.ledger, attempt.run)

    def content(chunk: Chunk, split_position: int) -> Content:
        prepared = prepare(chunk, split_position, rules)
        if refused:
            prepared = prepared.without(~named(prepared.batch, refused))
        return prepared.batch, prepared.hashes

    return content


def _selected_side(attempt: Attempt, source: Source, transform: Transform) -> Side:
    def chosen(batch: pa.RecordBatch) -> pa.RecordBatch:
        batch = transform.selected(batch)
        if (mask := transform.routable(batch)) is not None:
            batch = batch.filter(pa.array(mask))
        return transform.route(batch)

    def content(chunk: Chunk, split_position: int) -> Content:
        del split_position
        batch = chosen(chunk.batch)
        return batch, hash_rows(batch)

    def repeated() -> Iterator[pa.RecordBatch]:
        for keys in attempt.patiently("counting the records of each id", lambda: _repeated(attempt, source)):
            for namespace in keys.column("namespace").unique().to_pylist():
                yield from _shown_and_not(keys.filter(pc.equal(keys.column("namespace"), namespace)), namespace, source, chosen)

    def unroutable(chunk: Chunk) -> list[Rejected]:
        batch = transform.selected(chunk.batch)
        return reject(batch, transform.unroutable(batch))

    splits = attempt.patiently("splitting a collection", lambda: list(source.splits(Selection(), attempt.plan.workers)))
    return Side(source, splits, READ_RECORDS, content, routed_fetch(source, transform), unroutable, repeated)


def _shown_and_not(keys: pa.RecordBatch, namespace: str, source: Source, chosen: Callable[[pa.RecordBatch], pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield those of ``keys``, all of ``namespace``, whose records count, and those that a look-up does not show.

    Of rows of one key in several namespaces each look may show another: what this one does not show is there twice all the same.
    """
    ids = keys.column("id").cast(pa.string())
    found = source.fetch(ids.to_pylist(), namespace)
    yield chosen(found)
    unseen = pc.invert(pc.is_in(ids, value_set=found.column("id")))
    yield pa.RecordBatch.from_arrays([ids.filter(unseen), keys.column("namespace").filter(unseen)], ["id", "namespace"])


def _repeated(attempt: Attempt, source: Source) -> list[pa.RecordBatch]:
    """Return id and namespace of the records that ``source`` holds more than once and shows once."""
    found = []
    for keys in source.repeated() if isinstance(source, Repeating) else ():
        attempt.poll()
        attempt.raise_if_stopped()
        if len(keys):
            found.append(keys)
    return found


def routed_fetch(source: Source, transform: Transform) -> Callable[[Sequence[str], str], pa.RecordBatch]:
    """Return a look-up by the id and namespace that records have after routing."""
    if not transform.renames:
        return lambda ids, namespace: transform.route(source.fetch(ids, namespace))
    known = source.describe().namespaces

    def fetch(ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        found = transform.look_up(source, ids, transform.names.origins(namespace, known))
        return found.filter(pc.equal(found.column("namespace"), namespace))

    return fetch
