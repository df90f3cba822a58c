"""Names the records on which two sides differ, in memory that does not grow with the collections.

Pass one compares digests in 65,536 buckets; pass two reads both sides again and keeps only rows of the buckets that differ,
on disk, in partitions small enough to be joined one at a time.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from migrator.digest import BUCKETS
from migrator.model import Difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from migrator.digest import Digest, RowHashes
    from migrator.verify.sides import Side, Walk

_PARTITION_ROWS = 200_000
_SCHEMA = pa.schema([("namespace", pa.string()), ("id", pa.string()), ("low", pa.uint64()), ("high", pa.uint64())])

Name = tuple[str, str]


@dataclass
class _Spill:
    """Rows of the differing buckets of one side, in partition files."""

    folder: Path
    buckets: npt.NDArray[np.bool_]
    partitions: int
    writers: dict[int, pa.RecordBatchFileWriter] = field(default_factory=dict)

    def keep(self, batch: pa.RecordBatch, hashes: RowHashes) -> None:
        buckets = (hashes.keys & np.uint64(BUCKETS - 1)).astype(np.int64)
        places = np.flatnonzero(self.buckets[buckets])
        for partition in np.unique(buckets[places] % self.partitions).tolist():
            rows = places[buckets[places] % self.partitions == partition]
            kept = batch.select(["namespace", "id"]).take(pa.array(rows))
            columns = [kept.column(0), kept.column(1), pa.array(hashes.rows[rows, 0]), pa.array(hashes.rows[rows, 1])]
            self._writer(partition).write_batch(pa.RecordBatch.from_arrays(columns, schema=_SCHEMA))

    def _writer(self, partition: int) -> pa.RecordBatchFileWriter:
        if partition not in self.writers:
            self.writers[partition] = pa.ipc.new_file(str(self._path(partition)), _SCHEMA)
        return self.writers[partition]

    def _path(self, partition: int) -> Path:
        return self.folder / f"{partition:05}.arrow"

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()

    def load(self, partition: int) -> dict[Name, list[tuple[int, int]]]:
        """Return the hashes of every occurrence of each record in a partition."""
        found: dict[Name, list[tuple[int, int]]] = defaultdict(list)
        if self._path(partition).exists():
            with pa.memory_map(str(self._path(partition))) as file:
                table = pa.ipc.open_file(file).read_all()
                for namespace, record, low, high in zip(*(column.to_pylist() for column in table.columns), strict=True):
                    found[namespace, record].append((low, high))
        return found


def differences(source: Side, target: Side, ours: Digest, theirs: Digest, *, walk: Callable[[], Walk], folder: Path) -> Iterator[Difference]:
    """Yield every record that differs between ``source`` (digest ``ours``) and ``target`` (``theirs``), without its fields."""
    buckets = np.zeros(BUCKETS, np.bool_)
    buckets[ours.differing_buckets(theirs)] = True
    rows = int(max(ours.counts[buckets].sum(), theirs.counts[buckets].sum()))
    partitions = max(1, -(-rows // _PARTITION_ROWS))
    shutil.rmtree(folder, ignore_errors=True)
    try:
        spills = []
        for name, side in (("source", source), ("target", target)):
            (folder / name).mkdir(parents=True)
            spill = _Spill(folder / name, buckets, partitions)
            try:
                walk().each(side, spill.keep)
            finally:
                spill.close()
            spills.append(spill)
        for partition in range(partitions):
            yield from _classified(spills[0].load(partition), spills[1].load(partition))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _classified(ours: dict[Name, list[tuple[int, int]]], theirs: dict[Name, list[tuple[int, int]]]) -> Iterator[Difference]:
    for name in sorted({*ours, *theirs}):
        left, right = sorted(ours.get(name, [])), sorted(theirs.get(name, []))
        if left == right:
            continue
        if not right:
            yield Difference(*name, "missing")
        elif not left:
            yield Difference(*name, "extra")
        elif len(left) != len(right) and set(left) & set(right):
            yield Difference(*name, "duplicate")
        else:
            yield Difference(*name, "changed")
