"""Rows of a file as a record batch: well-formed ones without copying where the file allows it, the others with their reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from migrator import records
from migrator.connectors.parquet.columns import changed_by_rounding, exact, weights_type
from migrator.connectors.parquet.metadata import metadata_of
from migrator.model import DEFAULT_NAMESPACE, Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from migrator.connectors.parquet.columns import Columns

_RAW_COMPONENTS = 8
"""Components of a refused vector that go into its message's raw record; the row number finds the rest."""
_INDEX_LIMIT = 1 << 32


@dataclass(frozen=True)
class Layout:
    """How the rows of one file become records."""

    columns: Columns
    dimension: int
    namespace: str
    """Of rows whose namespace column is null or missing."""
    rounding: Sequence[str]
    """The parts, ``values`` or ``sparse_values``, whose numbers the user has agreed to round to float32."""


@dataclass
class Fault:
    """Why a row cannot be a record."""

    code: str
    field: str
    message: str


def decode(batch: pa.RecordBatch, layout: Layout) -> tuple[pa.RecordBatch, npt.NDArray[np.int64], tuple[Rejected, ...]]:
    """Return the well-formed rows as a record batch, their positions in ``batch``, and the refused ones."""
    faults: dict[int, Fault] = {}
    ids = _texts(batch.column(layout.columns.id), "id", faults)
    namespaces = namespaces_of(batch, layout, faults)
    vectors, good = _vectors(batch, layout, faults)
    sparse = _sparse(batch, layout, faults)
    metadata, wrong = metadata_of(batch, layout.columns)
    for row, reason in wrong.items():
        faults.setdefault(row, Fault("bad_metadata", "metadata", f"metadata cannot be read: {reason}"))
    rejected = tuple(_rejected(batch, ids, namespaces, row, faults[row]) for row in sorted(faults))
    kept = np.array([row for row in range(batch.num_rows) if row not in faults], np.int64) if faults else np.arange(batch.num_rows)
    texts = pa.array(metadata, pa.string()) if any(metadata) else pa.nulls(batch.num_rows, pa.string())
    if not faults:
        return records.make_batch(ids, vectors, namespace=namespaces, metadata=texts, sparse_values=sparse), kept, ()
    chosen = pa.array(kept, pa.int64())
    places = np.cumsum(good) - 1
    columns = {"namespace": namespaces.take(chosen), "metadata": texts.take(chosen), "sparse_values": sparse.take(chosen)}
    return records.make_batch(ids.take(chosen), vectors[places[kept]], **columns), kept, rejected


def _rejected(batch: pa.RecordBatch, ids: pa.Array, namespaces: pa.Array, row: int, fault: Fault) -> Rejected:
    return Rejected(namespaces[row].as_py() or "", ids[row].as_py() or "", fault.code, fault.field, fault.message, _raw(batch, row))


def _raw(batch: pa.RecordBatch, row: int) -> str:
    content: dict[str, Any] = {}
    for name in batch.schema.names:
        try:
            value = batch.column(name)[row].as_py()
        except (ValueError, KeyError, OverflowError):
            value = "unreadable"
        cut = isinstance(value, list) and len(value) > _RAW_COMPONENTS
        content[name] = [*value[:_RAW_COMPONENTS], f"… {len(value)} in all"] if cut else value
    return json.dumps(content, default=str, ensure_ascii=True)


def _texts(column: pa.Array, field: str, faults: dict[int, Fault]) -> pa.Array:
    """Return ids or namespaces as strings; whole numbers in base 10."""
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    texts = column if types.is_string(column.type) else pc.cast(column, pa.string())
    try:
        texts.validate(full=True)  # pyarrow reads text columns without looking whether they are UTF-8
    except pa.ArrowInvalid:
        texts = _utf8(texts, field, faults)
    if texts.null_count and field == "id":
        for row in np.flatnonzero(texts.is_null().to_numpy(zero_copy_only=False)).tolist():
            faults.setdefault(row, Fault("missing_id", "id", "the record has no id"))
    return texts


def _utf8(texts: pa.Array, field: str, faults: dict[int, Fault]) -> pa.Array:
    decoded: list[str | None] = []
    for row, raw in enumerate(texts.cast(pa.binary()).to_pylist()):
        try:
            decoded.append(None if raw is None else raw.decode())
        except UnicodeDecodeError:
            faults.setdefault(row, Fault("bad_text", field, f"the {field} is not UTF-8: {raw[:40]!r}"))
            decoded.append(raw.decode(errors="replace"))
    return pa.array(decoded, pa.string())


def namespaces_of(batch: pa.RecordBatch, layout: Layout, faults: dict[int, Fault]) -> pa.Array:
    """Return the namespace of each row: its own, or that of its folder."""
    if layout.columns.namespace is None:
        return records.constant(layout.namespace, batch.num_rows)
    own = _texts(batch.column(layout.columns.namespace), "namespace", faults)
    filled = pc.fill_null(own, layout.namespace)
    return pc.if_else(pc.equal(filled, "__default__"), DEFAULT_NAMESPACE, filled)


def _vectors(batch: pa.RecordBatch, layout: Layout, faults: dict[int, Fault]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return the vectors of the rows marked in the second array as a matrix; the others become faults."""
    count, dimension = batch.num_rows, layout.dimension
    everything = np.ones(count, np.bool_)
    if layout.columns.values is None and not dimension:
        return np.zeros((count, 0), np.float32), everything
    column = pa.nulls(count) if layout.columns.values is None else batch.column(layout.columns.values)
    if types.is_null(column.type):  # as writers leave a column that has nothing in it
        column = column.cast(pa.list_(pa.float32()))
    good = _well_formed(column, dimension, faults)
    if not good.all():
        column = column.filter(pa.array(good))
    flat = column.flatten()
    numbers = flat.to_numpy(zero_copy_only=False).reshape(int(good.sum()), dimension)
    if exact(flat.type):
        return np.ascontiguousarray(numbers, np.float32), good
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(numbers, np.float32)
    _judge_conversion(numbers, vectors, np.flatnonzero(good), layout, faults)
    return vectors, good


def _well_formed(column: pa.Array, dimension: int, faults: dict[int, Fault]) -> npt.NDArray[np.bool_]:
    present = column.is_valid().to_numpy(zero_copy_only=False)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    good: npt.NDArray[np.bool_] = present & (lengths == dimension)
    for row in np.flatnonzero(~good).tolist():
        if present[row]:
            faults.setdefault(row, Fault("wrong_dimension", "values", f"the vector has {lengths[row]} components, not {dimension}"))
        else:
            faults.setdefault(row, Fault("missing_values", "values", "the record has no vector"))
    if column.flatten().null_count:
        for row in np.flatnonzero(good).tolist():
            if column[row].values.null_count:
                faults.setdefault(row, Fault("missing_values", "values", "a component of the vector is null"))
                good[row] = False
    return good


def _judge_conversion(numbers: Any, vectors: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], layout: Layout, faults: dict[int, Fault]) -> None:
    """Refuse rows whose values are no float32, unless rounding was agreed to; and always those beyond its range."""
    overflowed = np.isinf(vectors).any(axis=1) & np.isfinite(numbers).all(axis=1)
    for place in np.flatnonzero(overflowed).tolist():
        faults.setdefault(int(rows[place]), Fault("out_of_range", "values", "a component is too large for float32"))
    if "values" in layout.rounding:
        return
    for place in np.flatnonzero(changed_by_rounding(numbers, vectors)).tolist():
        faults.setdefault(int(rows[place]), Fault("not_float32", "values", f"a component is no float32, but {numbers.dtype}"))


def _sparse(batch: pa.RecordBatch, layout: Layout, faults: dict[int, Fault]) -> pa.Array:
    name = layout.columns.sparse_values
    if name is None or batch.column(name).null_count == batch.num_rows:
        return pa.nulls(batch.num_rows, records.SPARSE_TYPE)
    column = batch.column(name)
    if column.type == records.SPARSE_TYPE and _whole(column):
        return column
    kind = weights_type(column.type)
    found: list[dict[str, Any] | Fault | None]
    if kind is None:
        message = f"{column.type} is no form of sparse values; they are a struct of indices and values, or a map from index to value"
        found = [Fault("bad_sparse_values", "sparse_values", message) if valid else None for valid in column.is_valid().to_pylist()]
    else:
        rounding = "sparse_values" in layout.rounding
        found = [None if value is None else _sparse_row(value, kind, rounding=rounding) for value in column.to_pylist()]
    for row, value in enumerate(found):
        if isinstance(value, Fault):
            faults.setdefault(row, value)
    return pa.array([None if isinstance(value, Fault) else value for value in found], records.SPARSE_TYPE)


def _whole(column: pa.Array) -> bool:
    """Whether every row of a column of our own type has as many indices as values, without a null among them."""
    indices, weights = pc.struct_field(column, "indices"), pc.struct_field(column, "values")
    if not indices.null_count == weights.null_count == column.null_count:
        return False
    alike = pc.all(pc.equal(pc.list_value_length(indices), pc.list_value_length(weights))).as_py()
    return bool(alike and not indices.flatten().null_count and not weights.flatten().null_count)


def _sparse_row(value: Any, kind: pa.DataType, *, rounding: bool) -> dict[str, Any] | Fault:
    """Return a struct's or a map's sparse values as ours; weights follow the rules of vectors."""
    pairs = isinstance(value, list)
    indices, weights = ([index for index, _ in value], [weight for _, weight in value]) if pairs else (value["indices"], value["values"])
    if message := _sparse_fault(indices, weights):
        return Fault("bad_sparse_values", "sparse_values", f"sparse values cannot be read: {message}")
    numbers = np.array([weights], np.float32 if types.is_null(kind) else kind.to_pandas_dtype())
    with np.errstate(over="ignore"):
        vector = numbers.astype(np.float32)
    if (np.isinf(vector) & np.isfinite(numbers)).any():
        return Fault("out_of_range", "sparse_values", "a weight is too large for float32")
    if not rounding and changed_by_rounding(numbers, vector).any():
        return Fault("not_float32", "sparse_values", f"a weight is no float32, but {numbers.dtype}")
    return {"indices": indices, "values": vector[0].tolist()}


def _sparse_fault(indices: list[int | None] | None, weights: list[Any] | None) -> str:
    if fault := records.sparse_fault(indices, weights):
        return fault
    beyond = [index for index in indices or () if index is not None and not 0 <= index < _INDEX_LIMIT]
    return f"index {beyond[0]} is not between 0 and {_INDEX_LIMIT - 1}" if beyond else ""
