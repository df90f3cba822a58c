"""Reads rows of an index: vectors, ids and what stands beside them, brought together by position or by id."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.model import DEFAULT_NAMESPACE, Chunk, Rejected
from migrator.records import integer_ids, make_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from migrator.connectors.faiss.beside import Beside
    from migrator.connectors.faiss.shard import Shard

_KEYS_A_BATCH = 65_536
_PICKED_A_BATCH = 128
_CHUNK_BYTES = 1 << 28


@dataclass(frozen=True)
class Reader:
    """The rows of one or more shards with what stands beside them. Safe for several threads."""

    shards: tuple[Shard, ...]
    beside: tuple[Beside, ...] = ()
    order: npt.NDArray[np.int64] | None = None
    """Row in the file of each position, where rows are read by position and the file has them in another order."""

    @property
    def count(self) -> int:
        """Rows of all shards."""
        return sum(shard.count for shard in self.shards)

    def chunk(self, at: int, stop: int, start: int) -> Chunk:
        """Return the rows from ``at`` to ``stop`` or the end of their shard, 128 MiB of vectors at most. ``start`` is where their split begins."""
        shard = self._shard_of(at)
        most = max(_CHUNK_BYTES // (4 * shard.told.dimension), 1)  # a byte of codes may stand for a million components
        end = min(stop, shard.first + shard.count, at + most)
        places = np.arange(at, end, dtype=np.int64)
        local = self._in_file(shard, places)
        values = shard.vectors(local)
        ids, metadata, errors = self._beside(shard, local, places)
        shard.file.check_unchanged()
        kept = np.flatnonzero(pc.is_null(errors).to_numpy(zero_copy_only=False))
        if len(kept) == end - at:
            return Chunk(make_batch(ids, values, metadata=metadata), str(end - start), at - start)
        refused = tuple(
            Rejected(DEFAULT_NAMESPACE, ids[row].as_py(), "bad_metadata", "metadata", f"row {at + row + 1} beside the index: {errors[row].as_py()}")
            for row in np.setdiff1d(np.arange(end - at), kept).tolist()
        )
        batch = make_batch(ids.take(pa.array(kept)), np.ascontiguousarray(values[kept]), metadata=metadata.take(pa.array(kept)))
        return Chunk(batch, str(end - start), at - start, kept + (at - start), refused)

    def pick(self, rows: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
        """Yield the records at ``rows``, which are sorted; those with bad metadata are left out."""
        at = 0
        while at < len(rows):
            shard = self._shard_of(int(rows[at]))
            places = rows[at : at + _PICKED_A_BATCH]
            places = places[places < shard.first + shard.count]
            local = self._in_file(shard, places)
            ids, metadata, errors = self._beside(shard, local, places)
            yield make_batch(ids, shard.vectors(local), metadata=metadata).filter(pc.is_null(errors))
            at += len(places)

    def _in_file(self, shard: Shard, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        local = places - shard.first
        return local if self.order is None else np.array(self.order[local])

    def _beside(self, shard: Shard, local: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Return ids, metadata and what is wrong with it for the rows at ``places``."""
        own = shard.own_ids(local)
        ids = integer_ids(places if own is None else own)
        metadata, errors = pa.nulls(len(places), pa.string()), pa.nulls(len(places), pa.string())
        for beside in self.beside:
            rows = beside.rows(places, ids)
            if beside.renames:
                ids = rows.column("id").combine_chunks()
            if beside.describes:
                metadata, errors = (rows.column(name).combine_chunks() for name in ("metadata", "error"))
        return ids, metadata, errors

    def ids(self, start: int, stop: int) -> Iterator[pa.Array]:
        """Yield the ids of rows ``start`` to ``stop`` in their order."""
        renamed = any(beside.renames for beside in self.beside)
        at = start
        while at < stop:
            shard = self._shard_of(at)
            end = min(at + _KEYS_A_BATCH, stop, shard.first + shard.count)
            places = np.arange(at, end, dtype=np.int64)
            local = self._in_file(shard, places)
            if renamed:
                yield self._beside(shard, local, places)[0]
            else:
                own = shard.own_ids(local)
                yield _int64_array(places if own is None else own)
            at = end

    def _shard_of(self, row: int) -> Shard:
        return next(shard for shard in reversed(self.shards) if shard.first <= row)

    def close(self) -> None:
        for shard in self.shards:
            shard.close()
        for part in self.beside:
            part.close()


def _int64_array(ids: npt.NDArray[np.int64]) -> pa.Array:
    return pa.Array.from_buffers(pa.int64(), len(ids), [None, pa.py_buffer(np.ascontiguousarray(ids))])


def order_by_position(shard: Shard) -> npt.NDArray[np.int64] | None:
    """Return the row in the file of each stored id, when the stored ids are 0 … n-1 in some order; else None.

    The table lies in an unnamed temporary file, not in memory.
    """
    with tempfile.TemporaryFile() as file:
        order = np.memmap(file, np.int64, "w+", shape=(max(shard.count, 1),))[: shard.count]
    order[:] = -1
    for start in range(0, shard.count, _KEYS_A_BATCH):
        rows = np.arange(start, min(start + _KEYS_A_BATCH, shard.count), dtype=np.int64)
        stored = shard.stored_ids(rows)
        if stored.min() < 0 or stored.max() >= shard.count:
            return None
        order[stored] = rows
    return None if (order < 0).any() else order
