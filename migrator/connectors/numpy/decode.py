"""Rows of a part's columns as a record batch, and the rows that are no records with their reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors.numpy import npy
from migrator.errors import UnreadableSourceError
from migrator.key_escape import KeyEscape
from migrator.model import ColumnRoles, Rejected
from migrator.records import canonical_metadata, constant, integer_ids, make_batch, parse_json

if TYPE_CHECKING:
    import numpy.typing as npt

    from migrator.connectors.numpy.columns import Columns

EXACT = ("f4", "f2", "i1", "u1", "i2", "u2")
"""Kinds of vectors whose components float32 holds exactly."""


@dataclass(frozen=True)
class Layout:
    """How the rows of one part become records."""

    roles: ColumnRoles
    dimension: int
    namespace: str
    """Of the part, where no column says it."""
    shown: str
    """The part, for messages."""
    first: int
    """Number of the part's first row, which is its id where no column holds ids."""


def decode(columns: Columns, start: int, end: int, layout: Layout) -> tuple[pa.RecordBatch, npt.NDArray[np.int64], tuple[Rejected, ...]]:
    """Return rows ``start`` to ``end`` as records, the positions among them of those that are, and the others."""
    count = end - start
    ids, namespaces = keys(columns, start, end, layout)
    values = _vectors(columns, start, end, layout)
    sparse = _sparse(columns, start, end, layout)
    metadata, wrong = _metadata(columns, start, end, layout)
    texts = pa.array(metadata, pa.string()) if any(metadata) else None
    batch = make_batch(ids, values, namespace=namespaces, metadata=texts, sparse_values=sparse)
    if not wrong:
        return batch, np.arange(count), ()
    kept = np.array([row for row in range(count) if row not in wrong], np.int64)
    rejected = tuple(
        Rejected(namespaces[row].as_py(), ids[row].as_py(), "bad_metadata", "metadata", f"record {ids[row].as_py()!r}: {reason}")
        for row, reason in wrong.items()
    )
    return batch.take(pa.array(kept)), kept, rejected


def keys(columns: Columns, start: int, end: int, layout: Layout) -> tuple[pa.Array, pa.Array]:
    """Return ids and namespaces as text."""
    roles = layout.roles
    ids = _ids(columns[roles.id][start:end], layout) if roles.id else integer_ids(np.arange(layout.first + start, layout.first + end, dtype=np.int64))
    if roles.namespace is None or roles.namespace not in columns:
        return ids, constant(layout.namespace, end - start)
    return ids, _text(columns[roles.namespace][start:end], roles.namespace, layout)


def _ids(column: npt.NDArray[Any], layout: Layout) -> pa.Array:
    if column.dtype.kind in "SU":
        return _text(column, layout.roles.id, layout)
    if column.dtype.kind not in "iu" or (column.dtype == np.uint64 and column.size and column.max() > np.iinfo(np.int64).max):
        raise UnreadableSourceError(
            f"{layout.shown}/{layout.roles.id}.npy holds {column.dtype}, no 64-bit integers or text", fix="name the file of the ids: id="
        )
    return integer_ids(np.asarray(column, np.int64))


def _text(column: npt.NDArray[Any], name: str, layout: Layout) -> pa.Array:
    try:
        return npy.text_of(column)
    except ValueError as error:
        raise UnreadableSourceError(f"{layout.shown}/{name}.npy is no UTF-8 text: {error}", fix="write it as UTF-8, or as dtype U") from error


def _vectors(columns: Columns, start: int, end: int, layout: Layout) -> npt.NDArray[np.float32]:
    if layout.roles.values is None:
        return np.empty((end - start, 0), np.float32)
    column = columns[layout.roles.values]
    shown = f"{layout.shown}/{layout.roles.values}.npy"
    if column.ndim != 2 or column.dtype.kind not in "fiu":
        fix = "write them as an array of records x numbers, or name another file with values="
        raise UnreadableSourceError(f"{shown} holds {column.dtype} of shape {column.shape}, no vectors", fix=fix)
    if column.shape[1] != layout.dimension:
        fix = "leave the folder out: the vectors of a collection have one dimension"
        raise UnreadableSourceError(f"{shown} holds vectors of {column.shape[1]} numbers, others hold {layout.dimension}", fix=fix)
    return np.ascontiguousarray(column[start:end], "<f4")


def _sparse(columns: Columns, start: int, end: int, layout: Layout) -> pa.Array | None:
    name = layout.roles.sparse_values
    if name is None or f"{name}.indptr" not in columns:
        return None
    limits = np.asarray(columns[f"{name}.indptr"][start : end + 1], np.int64)
    first, last = int(limits[0]), int(limits[-1])
    offsets = pa.array((limits - first).astype(np.int32))
    indices = pa.array(np.asarray(columns[f"{name}.indices"][first:last], np.uint32))
    values = pa.array(np.asarray(columns[f"{name}.data"][first:last], np.float32))
    empty = pa.array(limits[1:] == limits[:-1])
    lists = [pa.ListArray.from_arrays(offsets, part) for part in (indices, values)]
    return pa.StructArray.from_arrays(lists, ["indices", "values"], mask=empty)


def _metadata(columns: Columns, start: int, end: int, layout: Layout) -> tuple[list[str | None], dict[int, str]]:
    """Return canonical metadata a row, and of each row that has none that is JSON the reason."""
    roles = layout.roles
    texts: list[str | None] = [None] * (end - start)
    if roles.metadata in columns and roles.metadata is not None:
        found = _text(columns[roles.metadata][start:end], roles.metadata, layout)
        texts = pc.if_else(pc.is_in(found, pa.array(["", "{}"])), None, found).to_pylist()
    fields = {name: _values(columns[name][start:end], name, layout) for name in roles.fields if name in columns}
    escape = KeyEscape(roles.reserved) if roles.reserved else None
    wrong: dict[int, str] = {}
    for row, text in enumerate(texts):
        if text is None and not fields:
            continue
        try:
            texts[row] = _joined(text, {name: values[row] for name, values in fields.items()}, escape)
        except ValueError as error:
            texts[row], wrong[row] = None, f"its metadata is not kept as a JSON object: {error}"
    return texts, wrong


def _joined(text: str | None, declared: dict[str, Any], escape: KeyEscape | None) -> str | None:
    if text is None or (not declared and escape is None):
        return canonical_metadata(declared or text)
    decoded = parse_json(text)
    if not isinstance(decoded, dict):
        raise ValueError(f"it is {type(decoded).__name__}")  # noqa: TRY004 - one error type for all bad JSON
    if escape is not None:
        decoded = {escape.unescape_key(key): value for key, value in decoded.items()}
    return canonical_metadata(decoded | declared)


def _values(column: npt.NDArray[Any], name: str, layout: Layout) -> list[Any]:
    return _text(column, name, layout).to_pylist() if column.dtype.kind in "SU" else column.tolist()  # type: ignore[no-any-return]
