"""The record batch every part exchanges: Arrow columns, canonical metadata, no copies where none are needed.

id             string, not null            integer keys as base-10 text
values         fixed_size_list<float32>[dimension]
sparse_values  struct<indices list<uint32>, values list<float32>>, nullable
metadata       string, nullable            canonical JSON: sorted keys, no spaces, UTF-8; null when empty
namespace      string, not null            "" is the default namespace
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections import abc
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from migrator.model import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

SPARSE_TYPE = pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])
COLUMNS = ("id", "values", "sparse_values", "metadata", "namespace")

_LONG_INTEGER = re.compile(r"\d{19}")


def values_type(dimension: int) -> pa.DataType:
    """Return the Arrow type of ``values``: elements are not nullable, which halves what Parquet spends on them."""
    return pa.list_(pa.field("item", pa.float32(), nullable=False), dimension)


def schema(dimension: int) -> pa.Schema:
    """Return the schema of a record batch of ``dimension`` components."""
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("values", values_type(dimension), nullable=False),
            pa.field("sparse_values", SPARSE_TYPE),
            pa.field("metadata", pa.string()),
            pa.field("namespace", pa.string(), nullable=False),
        ]
    )


def make_batch(
    ids: pa.Array | Sequence[str],
    values: npt.NDArray[np.float32],
    *,
    namespace: str | pa.Array = DEFAULT_NAMESPACE,
    metadata: pa.Array | Sequence[str | None] | None = None,
    sparse_values: pa.Array | Sequence[abc.Mapping[str, Any] | None] | None = None,
) -> pa.RecordBatch:
    """Return a record batch over ``values``, a C-contiguous float32 matrix of shape (records, dimension).

    The matrix is referenced, not copied: do not write to it afterwards. ``metadata`` must be canonical already.
    """
    count, dimension = values.shape
    return pa.RecordBatch.from_arrays(
        [
            ids if isinstance(ids, pa.Array) else pa.array(ids, pa.string()),
            matrix_to_array(values),
            _column(sparse_values, SPARSE_TYPE, count),
            _column(metadata, pa.string(), count),
            namespace if isinstance(namespace, pa.Array) else constant(namespace, count),
        ],
        schema=schema(dimension),
    )


def _column(values: Any, kind: pa.DataType, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, kind)
    return values if isinstance(values, pa.Array) else pa.array(list(values), kind)


def constant(text: str, count: int) -> pa.Array:
    """Return a string array of ``count`` times ``text``."""
    return pa.repeat(pa.scalar(text, pa.string()), count)


def matrix_to_array(values: npt.NDArray[np.float32]) -> pa.Array:
    """Return the rows of a float32 matrix as a fixed-size-list array sharing its memory."""
    count, dimension = values.shape
    # pa.Array.from_buffers, because pa.array(ndarray) imports pandas on first use
    flat = pa.Array.from_buffers(pa.float32(), count * dimension, [None, pa.py_buffer(np.ascontiguousarray(values, np.float32))])
    return pa.Array.from_buffers(values_type(dimension), count, [None], children=[flat])


def matrix(batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
    """Return ``values`` as a float32 matrix of shape (records, dimension) sharing the batch's memory."""
    column = batch.column("values")
    return np.asarray(column.flatten().to_numpy(zero_copy_only=True), np.float32).reshape(len(column), column.type.list_size)


def with_values(batch: pa.RecordBatch, values: npt.NDArray[np.float32]) -> pa.RecordBatch:
    """Return ``batch`` with the rows of ``values`` as its vectors."""
    place = batch.schema.get_field_index("values")
    column = matrix_to_array(values)
    return batch.set_column(place, batch.schema.field(place).with_type(column.type), column)


def bytes_of_rows(values: npt.NDArray[np.float32]) -> Iterator[bytes]:
    """Yield each row's bytes, each copied when it is asked for: by far the fastest way to hand them to a function of one row."""
    count, dimension = values.shape
    if not dimension:
        return repeat(b"", count)
    return chain.from_iterable(struct.iter_unpack(f"{4 * dimension}s", np.ascontiguousarray(values).data))


def dimension_of(batch: pa.RecordBatch) -> int:
    """Return how many components the vectors of ``batch`` have."""
    return int(batch.schema.field("values").type.list_size)


def empty_batch(dimension: int) -> pa.RecordBatch:
    """Return a batch without records."""
    return make_batch([], np.empty((0, dimension), np.float32))


def integer_ids(ids: npt.NDArray[np.int64]) -> pa.Array:
    """Return 64-bit integer keys as their base-10 text."""
    array = pa.Array.from_buffers(pa.int64(), len(ids), [None, pa.py_buffer(np.ascontiguousarray(ids, np.int64))])
    return pc.cast(array, pa.string())


def canonical_metadata(value: abc.Mapping[str, Any] | str | bytes | None) -> str | None:
    """Return metadata as canonical JSON text, or None when there is none.

    Takes a mapping or JSON text. Integers of any size and the difference between ``1`` and ``1.0`` are kept.
    Raise ``ValueError`` naming what JSON cannot hold: NaN, infinities, lone surrogates, or text that is no object.
    """
    if value is None:
        return None
    decoded = parse_json(value) if isinstance(value, (str, bytes)) else value
    if decoded is None:
        return None
    if not isinstance(decoded, abc.Mapping):
        raise ValueError(f"metadata must be a JSON object, not {type(decoded).__name__}")  # noqa: TRY004 - one error type for all bad JSON
    if not decoded:
        return None
    try:
        return dump_json(decoded)
    except ValueError as error:
        raise ValueError(_naming_the_key(decoded, error)) from None


def parse_json(text: str | bytes) -> Any:
    """Parse strict JSON; integers beyond 64 bits stay exact. Raise ``ValueError`` for anything else."""
    plain = text.decode("utf-8") if isinstance(text, bytes) else text
    try:
        if _LONG_INTEGER.search(plain):  # orjson rounds integers beyond 64 bits to floats without a word
            return json.loads(plain, parse_constant=_refuse_constant, parse_float=_finite)
        return orjson.loads(plain)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _naming_the_key(metadata: abc.Mapping[str, Any], error: ValueError) -> str:
    for key, value in metadata.items():
        try:
            dump_json(value)
        except ValueError as reason:
            return f"{key!r} holds what JSON cannot: {reason}"
    return str(error)


def dump_json(value: Any) -> str:
    """Return canonical JSON: sorted keys, no spaces, shortest numbers. Raise ``ValueError`` for NaN and infinities."""
    try:
        encoded = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, orjson.JSONEncodeError) as error:
        return _dump_slowly(value, error)
    if b"null" in encoded:  # orjson writes NaN as null
        _refuse_not_finite(value)
    return encoded.decode()


def _dump_slowly(value: Any, reason: Exception) -> str:
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError):
        raise ValueError(str(reason)) from None
    return text


def _refuse_not_finite(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is not a JSON number")
    if isinstance(value, abc.Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            _refuse_not_finite(item)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond the range of a number")
    return number


def sparse_fault(indices: Sequence[int | None] | None, weights: Sequence[Any] | None) -> str:
    """Return why indices and weights make no sparse vector, ``""`` when each index has its weight."""
    if indices is None or weights is None:
        return f"the {'indices' if indices is None else 'values'} are null"
    if len(indices) != len(weights):
        return f"{len(indices)} indices but {len(weights)} values"
    if None in indices or None in weights:
        return f"{'an index' if None in indices else 'a weight'} is null"
    return ""


def to_dicts(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Return the records as Python dictionaries, metadata parsed; for samples and messages, not for bulk."""
    rows: list[dict[str, Any]] = batch.to_pylist()
    for row in rows:
        row["metadata"] = parse_json(row["metadata"]) if row["metadata"] else None
    return rows
