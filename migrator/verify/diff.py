"""Names the records on which two sides differ, in memory that does not grow with the collections.

Pass one compares digests in 65,536 buckets; pass two goes only through the records of the buckets that differ (``migrator.verify.suspects``)
and keeps their hashes on disk, in partitions small enough to be joined one at a time.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from migrator.digest import BUCKETS, buckets_of
from migrator.model import Difference
from migrator.records import matrix
from migrator.verify.nearly import Nearly, rest_of
from migrator.verify.suspects import NotFewError, suspects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from migrator.digest import Digest, RowHashes
    from migrator.model import DifferenceClass
    from migrator.verify.sides import Side, Walk

_PARTITION_ROWS = 50_000
_PARTITION_BYTES = 64 << 20
_PARTITIONS = 400
"""Files open at once."""
_HASHES = pa.schema([("namespace", pa.string()), ("id", pa.string()), ("low", pa.uint64()), ("high", pa.uint64())])

Name = tuple[str, str]
Hashes = list[tuple[int, int]]
"""The 128-bit hashes of every occurrence of one record."""


@dataclass(frozen=True)
class Found:
    """A difference, and the hashes by which it was found."""

    difference: Difference
    source: Hashes
    target: Hashes


class Partition(NamedTuple):
    """A part of what one side spilt."""

    hashes: dict[Name, Hashes]
    rows: dict[Name, int]
    table: pa.Table | None

    def content(self, names: Sequence[Name]) -> Content:
        """Return vectors and the rest of the records of ``names``, which are here once each; only where vectors were spilt."""
        kept = self.table.take(pa.array([self.rows[name] for name in names], pa.int64())).combine_chunks()  # type: ignore[union-attr]
        (batch,) = kept.to_batches()
        return Content(matrix(batch), batch.column("rest").to_numpy())


class Content(NamedTuple):
    """What is left to compare of some records."""

    values: npt.NDArray[np.float32]
    rest: npt.NDArray[np.uint64]


@dataclass
class _Spill:
    """Rows of the differing buckets of one side, in partition files; with their vectors where these need not be equal bit by bit."""

    folder: Path
    buckets: npt.NDArray[np.bool_]
    partitions: int
    vectors: bool
    writers: dict[int, pa.RecordBatchFileWriter] = field(default_factory=dict)

    def keep(self, batch: pa.RecordBatch, hashes: RowHashes) -> None:
        buckets = buckets_of(hashes.keys)
        places = np.flatnonzero(self.buckets[buckets])
        for partition in np.unique(buckets[places] % self.partitions).tolist():
            rows = places[buckets[places] % self.partitions == partition]
            kept = (batch if self.vectors else batch.select(["namespace", "id"])).take(pa.array(rows))
            columns = {"namespace": kept.column("namespace"), "id": kept.column("id")}
            columns |= {"low": pa.array(hashes.rows[rows, 0]), "high": pa.array(hashes.rows[rows, 1])}
            if self.vectors:
                columns |= {"rest": pa.array(rest_of(kept)), "values": kept.column("values")}
            self._write(partition, pa.RecordBatch.from_pydict(columns))

    def _write(self, partition: int, batch: pa.RecordBatch) -> None:
        if partition not in self.writers:
            self.writers[partition] = pa.ipc.new_file(str(self._path(partition)), batch.schema)
        self.writers[partition].write_batch(batch)

    def _path(self, partition: int) -> Path:
        return self.folder / f"{partition:05}.arrow"

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()

    def load(self, partition: int) -> Partition:
        """Return the hashes of every occurrence of each record in a partition."""
        hashes: dict[Name, Hashes] = defaultdict(list)
        if not self._path(partition).exists():
            return Partition(hashes, {}, None)
        with pa.memory_map(str(self._path(partition))) as file:
            table = pa.ipc.open_file(file).read_all()
        rows = zip(*(table.column(name).to_pylist() for name in _HASHES.names), strict=True)
        places: dict[Name, int] = {}
        for place, (namespace, record, low, high) in enumerate(rows):
            hashes[namespace, record].append((low, high))
            places[namespace, record] = place
        return Partition(hashes, places, table)


@dataclass(frozen=True)
class Search:
    """How differences are searched for."""

    walk: Callable[[], Walk]
    folder: Path
    """For temporary files; removed."""
    nearly: Nearly
    """Counts what is equal within the tolerance."""


def differences(source: Side, target: Side, ours: Digest, theirs: Digest, search: Search) -> Iterator[Found]:
    """Yield every record that differs between ``source`` (digest ``ours``) and ``target`` (``theirs``), without its fields."""
    buckets = np.zeros(BUCKETS, np.bool_)
    buckets[ours.differing_buckets(theirs)] = True
    if not buckets.any():
        return
    rows = int(max(ours.counts[buckets].sum(), theirs.counts[buckets].sum()))
    vectors = bool(search.nearly.most) and not source.ids_only
    dimension = max(side.source.describe().dimension for side in (source, target)) if vectors else 0
    shutil.rmtree(search.folder, ignore_errors=True)
    blank = _Spill(search.folder, buckets, _partitions(rows, dimension), vectors)
    try:
        left, right = _spilt(source, target, rows, blank, search.walk)
        for partition in range(blank.partitions):
            sides = left.load(partition), right.load(partition)
            yield from search.nearly(_classified(sides[0].hashes, sides[1].hashes), *sides)
    finally:
        shutil.rmtree(search.folder, ignore_errors=True)


def _spilt(source: Side, target: Side, rows: int, blank: _Spill, walk: Callable[[], Walk]) -> list[_Spill]:
    """Keep the hashes of the about ``rows`` records that ``blank`` wants: looked up by their keys where that will do, else from reading both sides whole."""
    sides = (("source", source), ("target", target))

    def few(side: Side, spill: _Spill) -> None:
        suspects(side, spill.buckets, rows, walk(), spill.keep)

    def whole(side: Side, spill: _Spill) -> None:
        walk().each(side, spill.keep, only=lambda keys: spill.buckets[buckets_of(keys)] & (True if side.chosen is None else side.chosen(keys)))

    try:
        return [_one_spilt(name, side, blank, few) for name, side in sides]
    except NotFewError:
        return [_one_spilt(name, side, blank, whole) for name, side in sides]


def _one_spilt(name: str, side: Side, blank: _Spill, fill: Callable[[Side, _Spill], None]) -> _Spill:
    folder = blank.folder / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    spill = replace(blank, folder=folder, writers={})
    try:
        fill(side, spill)
    finally:
        spill.close()
    return spill


def _partitions(rows: int, dimension: int) -> int:
    """Return into how many files about ``rows`` records are spilt, so that a file of each side fits into memory."""
    return max(1, min(_PARTITIONS, max(-(-rows // _PARTITION_ROWS), -(-rows * dimension * 4 // _PARTITION_BYTES))))


def _classified(ours: dict[Name, Hashes], theirs: dict[Name, Hashes]) -> Iterator[Found]:
    """Yield the differences between two partitions, by name."""
    for name in sorted({*ours, *theirs}):
        left, right = sorted(ours.get(name, [])), sorted(theirs.get(name, []))
        if left == right:
            continue
        kind: DifferenceClass = "changed"
        if not right:
            kind = "missing"
        elif not left:
            kind = "extra"
        elif max(len(left), len(right)) > 1:
            kind = "duplicate"
        yield Found(Difference(*name, kind), left, right)
