"""A record batch as the columns of one Milvus collection, and the records that cannot be: Milvus Lite refuses nearly nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors.milvus.names import INT64_MAX, INT64_MIN, json_keys_need_care
from migrator.connectors.milvus.sparse import encode_sparse
from migrator.connectors.milvus.values import column_value
from migrator.connectors.milvus.vectors import BY_TYPE, inexact
from migrator.model import DEFAULT_NAMESPACE, Rejected
from migrator.records import dump_json, matrix, parse_json

if TYPE_CHECKING:
    import numpy.typing as npt

    from migrator.connectors.milvus.layout import Layout

MAX_DYNAMIC_BYTES = 65_536
"""Milvus Limits: the dynamic field of a row; seen refused at 65,537 by 2.3.5."""
_LONG_INTEGER = r"\d{19}"


@dataclass
class Columns:
    """Rows ready to be sent; every list has one entry a row."""

    keys: pa.Array
    """int64 or string."""
    values: npt.NDArray[np.float32] | None
    sparse: list[bytes | None] | None
    namespaces: pa.Array | None
    scalars: dict[str, list[Any]] = field(default_factory=dict)
    dynamic: pa.Array | None = None
    """Canonical JSON text; null where there is none."""

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """About how many bytes the rows take on the wire."""
        arrays = sum(int(array.nbytes) for array in (self.keys, self.namespaces, self.dynamic) if array is not None)
        return arrays + (self.values.nbytes if self.values is not None else 0) + sum(len(row or b"") for row in self.sparse or [])

    def slice(self, start: int, rows: int) -> Columns:
        """Return ``rows`` rows from ``start``, sharing memory."""
        end = start + rows
        return Columns(
            self.keys.slice(start, rows),
            None if self.values is None else self.values[start:end],
            None if self.sparse is None else self.sparse[start:end],
            None if self.namespaces is None else self.namespaces.slice(start, rows),
            {name: column[start:end] for name, column in self.scalars.items()},
            None if self.dynamic is None else self.dynamic.slice(start, rows),
        )


class Rejections:
    """Collects which rows of a batch cannot be stored, the first reason of each."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self.found: dict[int, Rejected] = {}

    def add(self, row: int, code: str, part: str, message: str) -> None:
        """Reject ``row`` for ``message``, unless it is rejected already."""
        if row not in self.found:
            name, namespace = self._batch.column("id")[row].as_py(), self._batch.column("namespace")[row].as_py()
            raw = self._batch.column("metadata")[row].as_py()
            self.found[row] = Rejected(namespace, name, code, part, f"record {name!r}: {message}", raw)

    def add_all(self, mask: Any, code: str, part: str, message: str) -> None:
        """Reject every row where ``mask``, an Arrow or NumPy boolean array, is true."""
        for row in _rows(mask):
            self.add(row, code, part, message)

    def kept(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return ``batch`` without the rejected rows."""
        if not self.found:
            return batch
        mask = np.ones(batch.num_rows, bool)
        mask[list(self.found)] = False
        return batch.filter(pa.array(mask))


def _rows(mask: Any) -> list[int]:
    """Return the rows where ``mask``, an Arrow or NumPy boolean array, is true."""
    flags = mask if isinstance(mask, np.ndarray) else mask.fill_null(fill_value=False).to_numpy(zero_copy_only=False)
    rows: list[int] = np.flatnonzero(flags).tolist()
    return rows


def split_batch(batch: pa.RecordBatch, layout: Layout) -> tuple[Columns, tuple[Rejected, ...]]:
    """Return the columns of the rows of ``batch`` that ``layout`` can hold, and the others with their reasons."""
    rejections = Rejections(batch)
    _check_keys(batch, layout, rejections)
    _check_namespaces(batch, layout, rejections)
    _check_vectors(batch, layout, rejections)
    good = rejections.kept(batch)
    metadata = good.column("metadata")
    found = Rejections(good)
    dynamic, scalars = _metadata(metadata, layout, found)
    if found.found:
        mask = np.ones(good.num_rows, bool)
        mask[list(found.found)] = False
        good = good.filter(pa.array(mask))
        dynamic = dynamic.filter(pa.array(mask)) if dynamic is not None else None
        scalars = {name: [value for value, keep in zip(column, mask, strict=True) if keep] for name, column in scalars.items()}
    ids = good.column("id")
    columns = Columns(
        keys=pc.cast(ids, pa.int64()) if layout.id_type == "int64" else ids,
        values=matrix(good) if layout.vector else None,
        sparse=encode_sparse(good.column("sparse_values")) if layout.sparse else None,
        namespaces=good.column("namespace") if layout.namespace else None,
        scalars=scalars,
        dynamic=dynamic,
    )
    return columns, (*rejections.found.values(), *found.found.values())


def _check_keys(batch: pa.RecordBatch, layout: Layout, rejections: Rejections) -> None:
    ids = batch.column("id")
    if layout.id_type == "int64":
        _check_integers(ids, layout, rejections)
    elif layout.key.max_length:
        long = pc.greater(pc.binary_length(ids), layout.key.max_length)
        rejections.add_all(long, "id_too_long", "id", f"its id is longer than the {layout.key.max_length} bytes of field {layout.key.name!r} (id_length=)")
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    seen: set[str] = set()
    for row, name in enumerate(ids.to_pylist()):
        if name in seen:  # Milvus 2.3.5 keeps both rows of one upsert request; Lite keeps the last
            rejections.add(row, "duplicate_id", "id", "its id occurs twice in one batch, and a Milvus key is unique over all namespaces")
        seen.add(name)


def _check_integers(ids: pa.Array, layout: Layout, rejections: Rejections) -> None:
    shaped = pc.match_substring_regex(ids, r"^(0|-?[1-9][0-9]{0,18})$")
    rejections.add_all(pc.invert(shaped), "id_not_integer", "id", "its id is no 64-bit integer, as the collection's key is")
    for row in _rows(pc.greater_equal(pc.binary_length(ids), 19)):
        number = int(ids[row].as_py()) if row not in rejections.found else 0
        if not INT64_MIN <= number <= INT64_MAX:
            rejections.add(row, "id_not_integer", "id", "its id is beyond 64 bits")
        elif number == INT64_MAX and not layout.lite:  # seen on 2.3.5: stored and counted, but no query returns it
            rejections.add(row, "id_unreadable", "id", "its id is the greatest 64-bit integer, which Milvus stores and never gives back")


def _check_namespaces(batch: pa.RecordBatch, layout: Layout, rejections: Rejections) -> None:
    namespaces = batch.column("namespace")
    if layout.namespace and layout.namespace.max_length:
        long = pc.greater(pc.binary_length(namespaces), layout.namespace.max_length)
        rejections.add_all(long, "namespace_too_long", "namespace", f"its namespace is longer than the {layout.namespace.max_length} bytes of its field")
    if layout.namespace is None and layout.in_field:
        stray = pc.not_equal(namespaces, DEFAULT_NAMESPACE)
        rejections.add_all(stray, "no_namespace_field", "namespace", "it has a namespace, and the collection has no field for one")


def _check_vectors(batch: pa.RecordBatch, layout: Layout, rejections: Rejections) -> None:
    if layout.vector:
        values = matrix(batch)
        finite = np.isfinite(values).all(axis=1)
        rejections.add_all(~finite, "not_finite", "values", "its vector holds NaN or an infinity")
        kind = BY_TYPE[layout.vector_type].option
        message = f"field {layout.vector!r} holds {kind} vectors, and would not give its vector back as it is"
        rejections.add_all(finite & inexact(layout.vector_type, values), "not_exact", "values", message)
    sparse = batch.column("sparse_values")
    if layout.sparse is None:
        rejections.add_all(pc.is_valid(sparse), "no_sparse_field", "sparse_values", "the collection has no field for its sparse vector")


def _metadata(texts: pa.Array, layout: Layout, rejections: Rejections) -> tuple[pa.Array | None, dict[str, list[Any]]]:
    """Return the dynamic field and the scalar columns of canonical metadata."""
    if not layout.dynamic or layout.scalars:
        return _typed(texts, layout, rejections)
    escape = layout.escape()
    rows = texts
    suspects = _rows(pc.match_substring_regex(texts, escape.suspects))
    if suspects:
        renamed = texts.to_pylist()
        for row in suspects:
            old = parse_json(renamed[row])
            renamed[row] = escape.escape(renamed[row])
            if not layout.marked and parse_json(renamed[row]).keys() != old.keys():
                _reject_key(row, next(key for key in old if escape.escape_key(key) != key), rejections)
        rows = pa.array(renamed, pa.string())
    _check_dynamic(rows, rejections)
    return rows, {}


def _reject_key(row: int, key: str, rejections: Rejections) -> None:
    rejections.add(row, "reserved_key", f"metadata.{key}", f"its metadata key {key!r} is the name of a field of this collection, which the tool did not create")


def _check_dynamic(rows: pa.Array, rejections: Rejections) -> None:
    for row in _rows(pc.greater(pc.binary_length(rows), MAX_DYNAMIC_BYTES)):
        size = pc.binary_length(rows[row]).as_py()
        message = f"its metadata has {size:,} bytes, the dynamic field of a row takes {MAX_DYNAMIC_BYTES:,} (put long texts into columns: fields=)"
        rejections.add(row, "metadata_too_large", "metadata", message)
    for row in _rows(pc.match_substring_regex(rows, _LONG_INTEGER)):
        for key, value in parse_json(rows[row].as_py()).items():
            if json_keys_need_care(value):
                rejections.add(row, "integer_too_large", f"metadata.{key}", f"its metadata {key!r} holds an integer beyond 64 bits")


def _typed(texts: pa.Array, layout: Layout, rejections: Rejections) -> tuple[pa.Array | None, dict[str, list[Any]]]:
    """Return the columns of a collection with declared metadata fields."""
    escape = layout.escape()
    declared = {scalar.name: scalar for scalar in layout.scalars}
    scalars: dict[str, list[Any]] = {name: [None] * len(texts) for name in declared}
    rest: list[str | None] = [None] * len(texts)
    for row, text in enumerate(texts.to_pylist()):
        record = parse_json(text) if text else {}
        for name, scalar in declared.items():
            problem, scalars[name][row] = column_value(scalar, record)
            if problem:
                rejections.add(row, "does_not_fit_field", f"metadata.{name}", problem)
        others = {key: value for key, value in record.items() if key not in declared}
        for key in others:
            if not layout.dynamic:
                rejections.add(row, "unknown_field", f"metadata.{key}", f"the collection has no field {key!r} and takes no others (dynamic=false)")
            elif not layout.marked and escape.escape_key(key) != key:
                _reject_key(row, key, rejections)
        if others:
            rest[row] = dump_json({escape.escape_key(key) if layout.marked else key: value for key, value in others.items()})
    if not layout.dynamic:
        return None, scalars
    dynamic = pa.array(rest, pa.string())
    _check_dynamic(dynamic, rejections)
    return dynamic, scalars
