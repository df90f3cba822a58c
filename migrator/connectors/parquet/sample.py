"""What a dataset's first rows say: the dimension, whether numbers survive float32, and which metadata fields there are."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator import records
from migrator.connectors.parquet import rows
from migrator.connectors.parquet.columns import changed_by_rounding, exact, is_list, weights_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from migrator.connectors.parquet.columns import Columns
    from migrator.connectors.parquet.discover import DataFile, Dataset
    from migrator.connectors.parquet.rows import Footer

ROWS = 1_000
FURTHER_ROWS = 8_192
"""Rows looked at together where the first ones have no vector."""
METADATA_ROWS = 100
"""Rows whose metadata is parsed to learn its fields."""
_JSON_NAMES = {str: "string", bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}


@dataclass(frozen=True)
class Sample:
    """Deterministic: the same files give the same sample in every process."""

    dimension: int
    rounding: tuple[str, ...]
    """The parts, ``values`` or ``sparse_values``, of which a sampled number is no float32."""
    fields: Mapping[str, str]


def take(dataset: Dataset, footers: Mapping[str, Footer], columns_of: Callable[[DataFile], Columns], dimension: int | None) -> Sample:
    """Look at the first rows of the first file that has any. ``dimension`` is the manifest's, where there is one."""
    for file in dataset.files:
        footer = footers[file.path]
        if footer.rows:
            columns = columns_of(file)
            most = rows.rows_at_once(ROWS, footer.row_bytes, 0)
            stream = rows.batches(dataset.place, file.path, (0, len(footer.groups)), columns.names(), most=most)
            with closing(stream):
                return _judge(next(stream), columns, dimension, _further(dataset, footers, columns_of))
    kinds = [footers[file.path].schema.field(name).type for file in dataset.files if (name := columns_of(file).values)]
    sizes = [kind.list_size for kind in kinds if pa.types.is_fixed_size_list(kind)]
    return Sample(dimension if dimension is not None else next(iter(sizes), 0), (), {})


def _further(dataset: Dataset, footers: Mapping[str, Footer], columns_of: Callable[[DataFile], Columns]) -> Iterator[pa.Array]:
    """Yield the vectors of all rows, and no other column: nulls cost little, and the first vector ends it."""
    for file in dataset.files:
        footer, name = footers[file.path], columns_of(file).values
        if not footer.rows or name is None or not is_list(footer.schema.field(name).type):
            continue
        most = rows.rows_at_once(FURTHER_ROWS, footer.row_bytes, 0)
        with closing(rows.batches(dataset.place, file.path, (0, len(footer.groups)), [name], most=most)) as stream:
            for batch in stream:
                yield batch.column(name)


def _judge(batch: pa.RecordBatch, columns: Columns, dimension: int | None, further: Iterator[pa.Array]) -> Sample:
    fields = _fields(batch, columns)
    rounding = ("sparse_values",) if _weights_round(batch, columns) else ()
    if columns.values is None:
        return Sample(0, rounding, fields)
    column = batch.column(columns.values)
    lengths = _lengths(column)
    if not lengths and dimension is None:
        column, lengths = next(((later, found) for later in further if (found := _lengths(later))), (column, lengths))
    # of lengths that are equally common the first one seen counts
    common = dimension if dimension is not None else next((length for length, _ in lengths.most_common(1)), 0)
    if is_list(column.type) and _rounds(column.flatten()):
        rounding = ("values", *rounding)
    return Sample(common, rounding, fields)


def _lengths(column: pa.Array) -> Counter[int]:
    """Return how many vectors there are of each length; those without components say nothing."""
    if not is_list(column.type):  # a column of nulls, which has no type
        return Counter()
    return Counter(length for length in pc.list_value_length(column).to_pylist() if length)


def _weights_round(batch: pa.RecordBatch, columns: Columns) -> bool:
    if columns.sparse_values is None:
        return False
    column = batch.column(columns.sparse_values)
    if weights_type(column.type) is None:
        return False
    return _rounds(column.items if pa.types.is_map(column.type) else pc.struct_field(column, "values").flatten())


def _rounds(flat: pa.Array) -> bool:
    if exact(flat.type):
        return False
    numbers = pc.drop_null(flat).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        vectors = numbers.astype(np.float32)
    return bool(changed_by_rounding(numbers.reshape(1, -1), vectors.reshape(1, -1)).any())


def _fields(batch: pa.RecordBatch, columns: Columns) -> dict[str, str]:
    found = {name: str(batch.schema.field(name).type) for name in columns.others}
    if columns.metadata is None:
        return found
    kind = batch.schema.field(columns.metadata).type
    if pa.types.is_struct(kind):
        return {**{kind.field(place).name: str(kind.field(place).type) for place in range(kind.num_fields)}, **found}
    for value in batch.column(columns.metadata).slice(0, METADATA_ROWS):
        for name, item in _decoded(value).items():
            found.setdefault(name, _JSON_NAMES.get(type(item), "null"))
    return found


def _decoded(value: pa.Scalar) -> dict[str, Any]:
    try:
        raw = value.as_py(maps_as_pydicts="strict")
        decoded = records.parse_json(raw) if isinstance(raw, (str, bytes)) else raw
    except (ValueError, KeyError):
        return {}  # read() rejects the record and says why
    return decoded if isinstance(decoded, dict) else {}
