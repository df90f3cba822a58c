"""Sparse vectors as Milvus packs them: pairs of a little-endian uint32 index and a float32 value, by rising index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def encode_sparse(column: pa.Array) -> list[bytes | None]:
    """Return each sparse vector packed; None for one that is null or empty."""
    rows: list[bytes | None] = []
    for indices, values in _sparse_rows(column):
        if indices is None or not len(indices):
            rows.append(None)
            continue
        order = np.argsort(indices, kind="stable")
        packed = np.empty((len(indices), 2), "<u4")
        packed[:, 0] = indices[order]
        packed[:, 1] = np.asarray(values, "<f4")[order].view("<u4")
        rows.append(packed.tobytes())
    return rows


def _sparse_rows(column: pa.Array) -> Iterable[tuple[Any, Sequence[float] | Any]]:
    for row in column:
        if not row.is_valid:
            yield None, None
        else:
            yield row["indices"].values.to_numpy(), row["values"].values.to_numpy()


def decode_sparse(rows: Sequence[bytes]) -> pa.Array:
    """Return packed sparse vectors as the ``sparse_values`` column; an empty one is null."""
    pairs = np.frombuffer(b"".join(rows), "<u4").reshape(-1, 2)
    offsets = pa.array(np.concatenate([[0], np.cumsum([len(row) // 8 for row in rows])]).astype(np.int32))
    indices = pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(pairs[:, 0]), pa.uint32()))
    values = pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(pairs[:, 1]).view("<f4"), pa.float32()))
    empty = pa.array([not row for row in rows], pa.bool_())
    return pa.StructArray.from_arrays([indices, values], ["indices", "values"], mask=empty)
