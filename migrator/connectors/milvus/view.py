"""A Milvus Lite collection at one moment: which rows are live, in the order of their keys, and their columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


@dataclass(frozen=True)
class Source:
    """One place rows lie in: a segment, or the memory table."""

    table: pa.Table
    vectors: npt.NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """The live rows of a collection at one moment, in the order of their keys."""

    version: int
    keys: pa.Array
    sources: tuple[Source, ...]
    source: npt.NDArray[np.int32]
    """Which of ``sources`` each row lies in."""
    row: npt.NDArray[np.int64]
    """Where in it."""
    partitions: tuple[str, ...]
    """The partition of each source."""

    def between(self, after: Any, up_to: Any) -> tuple[int, int]:
        """Return the positions of the first row with key > ``after`` and just past the last with key <= ``up_to``; None is open."""
        return (0 if after is None else self._count_up_to(after)), (len(self.keys) if up_to is None else self._count_up_to(up_to))

    def _count_up_to(self, key: Any) -> int:
        low, high = 0, len(self.keys)
        while low < high:
            middle = (low + high) // 2
            if self.keys[middle].as_py() <= key:
                low = middle + 1
            else:
                high = middle
        return low

    def only(self, mine: npt.NDArray[np.bool_]) -> View:
        """Return the rows where ``mine`` is true."""
        return View(self.version, self.keys.filter(pa.array(mine)), self.sources, self.source[mine], self.row[mine], self.partitions)

    def in_partition(self, partition: str) -> npt.NDArray[np.bool_]:
        """Return which rows lie in ``partition``."""
        return np.isin(self.source, [number for number, name in enumerate(self.partitions) if name == partition])

    def in_namespaces(self, name: str, wanted: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return which rows have one of ``wanted`` in field ``name``."""
        everything = np.arange(len(self.keys), dtype=np.int64)
        found = pc.is_in(self.column(name, everything).fill_null(""), value_set=pa.array(list(wanted), pa.string()))
        return np.asarray(found.to_numpy(zero_copy_only=False), bool)

    def column(self, name: str, positions: npt.NDArray[np.int64]) -> pa.Array:
        """Return one column of the rows at ``positions``."""
        if not len(positions):
            return pa.array([], pa.string())
        pieces, order = [], []
        for number in np.unique(self.source[positions]):
            mine = np.flatnonzero(self.source[positions] == number)
            pieces.append(self.sources[number].table.column(name).take(pa.array(self.row[positions[mine]])).combine_chunks())
            order.append(mine)
        whole = pa.concat_arrays([piece if isinstance(piece, pa.Array) else pa.concat_arrays(piece.chunks) for piece in pieces])
        return whole.take(pa.array(np.argsort(np.concatenate(order), kind="stable"))) if len(pieces) > 1 else whole

    def matrix(self, positions: npt.NDArray[np.int64], dimension: int) -> npt.NDArray[np.float32]:
        """Return the vectors of the rows at ``positions``."""
        out = np.empty((len(positions), dimension), np.float32)
        for number in np.unique(self.source[positions]):
            mine = self.source[positions] == number
            out[mine] = self.sources[number].vectors[self.row[positions[mine]]]
        return out

    def other_matrix(self, name: str, positions: npt.NDArray[np.int64], dimension: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_] | None]:
        """Return the vectors of field ``name``, which is not the collection's first, and which rows have none."""
        column = self.column(name, positions)
        missing = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
        out = np.zeros((len(positions), dimension), np.float32)
        present = slice(None) if missing is None else ~missing
        out[present] = np.asarray(column.flatten().to_numpy(zero_copy_only=False), np.float32).reshape(-1, dimension)  # flatten leaves nulls out
        return out, missing


def matrix_of(table: pa.Table, name: str | None) -> npt.NDArray[np.float32]:
    """Return the vectors of a memory table as a matrix; of no columns when the collection has no dense vectors."""
    if name is None:
        return np.empty((table.num_rows, 0), np.float32)
    column = table.column(name)
    array = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    return np.asarray(array.flatten().to_numpy(zero_copy_only=False), np.float32).reshape(table.num_rows, column.type.list_size)


def live_rows(version: int, sources: list[Source], partitions: tuple[str, ...], key: str, tombstones: dict[Any, int]) -> View:
    """Return the rows that count: of each key the one with the highest sequence number, unless deleted later; by rising key."""
    if not sources:
        return View(version, pa.array([], pa.string()), (), np.empty(0, np.int32), np.empty(0, np.int64), ())
    keys = pa.concat_arrays([chunk for source in sources for chunk in source.table.column(key).chunks])
    numbers = np.concatenate([source.table.column("_seq").to_numpy() for source in sources]).astype(np.uint64)
    place = np.concatenate([np.full(source.table.num_rows, index, np.int32) for index, source in enumerate(sources)])
    row = np.concatenate([np.arange(source.table.num_rows, dtype=np.int64) for source in sources])
    order = pc.sort_indices(pa.table([keys, pa.array(numbers)], ["key", "seq"]), sort_keys=[("key", "ascending"), ("seq", "descending")]).to_numpy()
    keys = keys.take(pa.array(order))
    newest = np.ones(len(order), bool)
    newest[1:] = pc.not_equal(keys.slice(1), keys.slice(0, len(keys) - 1)).to_numpy(zero_copy_only=False)
    if tombstones:
        for position, name in enumerate(keys.to_pylist()):
            if newest[position] and tombstones.get(name, -1) > int(numbers[order[position]]):
                newest[position] = False
    chosen = order[newest]
    return View(version, keys.filter(pa.array(newest)), tuple(sources), place[chosen], row[chosen], partitions)
