"""The sides of a run's proof: which records of source and target count, how they are looked up, and where reading them goes on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors import connector
from migrator.ledger import progress
from migrator.ledger.duplicates import source_splits
from migrator.model import Selection
from migrator.pipeline.prepare import prepare
from migrator.pipeline.write import named
from migrator.protocols import KeyScanner, Repeating
from migrator.validate import problems, reject
from migrator.verify.nearly import eased
from migrator.verify.reading import Reading, begin
from migrator.verify.selecting import of_number, of_share, parse_sample
from migrator.verify.sides import Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from migrator.model import Chunk, Collection, Endpoint, Rejected, Scope, Split
    from migrator.pipeline.prepare import Rules
    from migrator.protocols import Source
    from migrator.runs.context import Attempt
    from migrator.transform import Transform
    from migrator.verify.sides import Content, Walk

READ_RECORDS = 10_000
"""Rows a chunk, at most."""
_CHUNK_BYTES = 8 << 20
"""Vectors of a chunk: larger ones are no faster, and each is in memory several times."""
_QUICK_LOOKUPS = 100_000
_SLOW_LOOKUPS = 2_000
"""Of a store that goes through its records for every look-up: four times, then."""


def rows_at_once(dimension: int) -> int:
    """Return how many rows with vectors of ``dimension`` are read in one chunk by what only looks at them."""
    return max(1, min(READ_RECORDS, _CHUNK_BYTES // (4 * max(1, dimension))))


@dataclass(frozen=True)
class Opened:
    """A collection that is open, and what of it counts."""

    attempt: Attempt
    source: Source
    endpoint: Endpoint
    name: str
    """``source`` or ``target``."""
    scope: Scope


def source_side(at: Opened, rules: Rules) -> Side:
    """Return the side of what a run copied: the source, by the run's rules, less what the store refused."""
    attempt = at.attempt
    refused = progress.refused(attempt.ledger, attempt.run)
    splits = [where.split for where in source_splits(attempt.ledger, attempt.run)]

    def content(chunk: Chunk, split_position: int) -> Content:
        prepared = prepare(chunk, split_position, rules)
        if refused:
            prepared = prepared.without(~named(prepared.batch, refused))
        return prepared.batch, prepared.hashes

    def fetch(ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        batch = routed_fetch(at.source, rules.transform)(ids, namespace)
        bad = {problem.row for problem in problems(batch, rules.capabilities, rules.metric)}
        batch = batch.filter(pa.array([row not in bad for row in range(len(batch))], pa.bool_()))
        return batch.filter(pa.array(~named(batch, refused))) if refused else batch

    by_keys = None if len(rules.repeats.winners) else _names_of(at.source, rules.transform)
    side = Side(at.source, splits, READ_RECORDS, content, fetch, named=by_keys)
    return _scoped(at, side, lambda: splits)


def whole_side(at: Opened, transform: Transform) -> Side:
    """Return the side of a collection as it is, seen through ``transform``."""

    def content(chunk: Chunk, split_position: int) -> Content:
        del split_position
        return transform.expected(chunk.batch), None

    def unroutable(chunk: Chunk) -> list[Rejected]:
        batch = transform.selected(chunk.batch)
        return reject(batch, transform.unroutable(batch))

    def repeated() -> Iterator[pa.RecordBatch]:
        for keys in at.attempt.patiently("counting the records of each id", lambda: _repeated(at)):
            for namespace in keys.column("namespace").unique().to_pylist():
                yield from _shown_and_not(keys.filter(pc.equal(keys.column("namespace"), namespace)), namespace, at.source, transform.expected)

    def splits() -> list[Split]:
        return at.attempt.patiently("splitting a collection", lambda: list(at.source.splits(Selection(), at.attempt.plan.workers)))

    fetch = routed_fetch(at.source, transform)
    return _scoped(at, Side(at.source, (), READ_RECORDS, content, fetch, unroutable, repeated, _names_of(at.source, transform)), splits)


def _scoped(at: Opened, side: Side, splits: Callable[[], Sequence[Split]]) -> Side:
    """Return ``side`` with what its scope asks, and with where an interrupted reading of it stands."""
    found = at.attempt.patiently("looking at a collection", at.source.describe)
    reading = _reading(at, found, splits)
    quick = connector(at.endpoint.connector).capabilities(at.endpoint).quick_lookups
    lookups = 0 if side.named is None or at.scope.tolerance.most else _QUICK_LOOKUPS if quick else 0 if at.scope.sample else _SLOW_LOOKUPS
    side = replace(side, splits=reading.splits, records=rows_at_once(found.dimension), lookups=lookups, ids_only=at.scope.level == "ids", reading=reading)
    return eased(side, at.scope.tolerance)


def sampled(source: Side, target: Side, scope: Scope, walk: Walk) -> tuple[Side, Side]:
    """Return both sides with the same sample of their records, if ``scope`` asks for one."""
    wanted = parse_sample(scope.sample)
    if wanted is None:
        return source, target
    chosen = of_share(wanted.share) if wanted.share is not None else of_number(wanted.number or 0, lambda keep: walk.names(source, keep))
    return replace(source, chosen=chosen), replace(target, chosen=chosen)


def _names_of(source: Source, transform: Transform) -> Callable[[pa.RecordBatch], pa.RecordBatch] | None:
    """Return what turns keys of ``source`` into the names of the records that count, None where their metadata decides."""
    if transform.needs_metadata or not isinstance(source, KeyScanner):
        return None
    rules = replace(transform, unstamps=False)

    def named_keys(keys: pa.RecordBatch) -> pa.RecordBatch:
        batch = pa.RecordBatch.from_pydict({"id": keys.column("id").cast(pa.string()), "namespace": keys.column("namespace")})
        for rule in (rules.in_namespaces, rules.routable):
            if (mask := rule(batch)) is not None:
                batch = batch.filter(pa.array(mask))
        return rules.route(batch)

    return named_keys


def _reading(at: Opened, found: Collection, splits: Callable[[], Sequence[Split]]) -> Reading:
    same = {"version": found.version, "records": found.count, "dimension": found.dimension, "scope": at.scope.to_json()}
    reading = begin(states(at.attempt.folder) / f"{at.name}.npz", same, splits)
    if reading.rows:
        at.attempt.log("info", f"going on with the interrupted proof: {reading.rows:,} records of the {at.name} were read before")
    return reading


def states(folder: Path) -> Path:
    """Return where a run's folder keeps how far its proof is; it is there only while one is under way or was interrupted."""
    return folder / "proof"


def forget(folder: Path) -> None:
    """Let the next proof begin anew."""
    shutil.rmtree(states(folder), ignore_errors=True)


def _shown_and_not(keys: pa.RecordBatch, namespace: str, source: Source, chosen: Callable[[pa.RecordBatch], pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield those of ``keys``, all of ``namespace``, whose records count, and those that a look-up does not show.

    Of rows of one key in several namespaces each look may show another: what this one does not show is there twice all the same.
    """
    ids = keys.column("id").cast(pa.string())
    found = source.fetch(ids.to_pylist(), namespace)
    yield chosen(found)
    unseen = pc.invert(pc.is_in(ids, value_set=found.column("id")))
    yield pa.RecordBatch.from_arrays([ids.filter(unseen), keys.column("namespace").filter(unseen)], ["id", "namespace"])


def _repeated(at: Opened) -> list[pa.RecordBatch]:
    """Return id and namespace of the records that the store holds more than once and shows once."""
    found = []
    for keys in at.source.repeated() if isinstance(at.source, Repeating) else ():
        at.attempt.poll()
        at.attempt.raise_if_stopped()
        if len(keys):
            found.append(keys)
    return found


def routed_fetch(source: Source, transform: Transform) -> Callable[[Sequence[str], str], pa.RecordBatch]:
    """Return a look-up of the records that count, by the id and namespace they have after routing."""

    def chosen(ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        return transform.selected(source.fetch(ids, namespace))

    if not transform.renames:
        return lambda ids, namespace: transform.route(chosen(ids, namespace))
    known = source.describe()

    def fetch(ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        found = transform.look_up(chosen, ids, transform.names.origins(namespace, known.namespaces), known.dimension)
        return found.filter(pc.equal(found.column("namespace"), namespace))

    return fetch
