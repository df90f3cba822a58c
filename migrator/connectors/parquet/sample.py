"""What a dataset's first rows say: the dimension, whether values survive float32, and which metadata fields there are."""

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
from migrator.connectors.parquet.columns import exact
from migrator.connectors.parquet.decode import changed_by_rounding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from migrator.connectors.parquet.columns import Columns
    from migrator.connectors.parquet.discover import DataFile, Dataset
    from migrator.connectors.parquet.rows import Footer

ROWS = 1_000
METADATA_ROWS = 100
"""Rows whose metadata is parsed to learn its fields."""
_JSON_NAMES = {str: "string", bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}


@dataclass(frozen=True)
class Sample:
    """Deterministic: the same files give the same sample in every process."""

    dimension: int
    rounding: bool | None
    """Whether a sampled value is no float32; None where the column's type rules that out."""
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
                return _judge(next(stream), columns, dimension)
    kinds = [footers[file.path].schema.field(name).type for file in dataset.files if (name := columns_of(file).values)]
    sizes = [kind.list_size for kind in kinds if pa.types.is_fixed_size_list(kind)]
    return Sample(dimension if dimension is not None else next(iter(sizes), 0), None, {})


def _judge(batch: pa.RecordBatch, columns: Columns, dimension: int | None) -> Sample:
    fields = _fields(batch, columns)
    if columns.values is None:
        return Sample(0, None, fields)
    column = batch.column(columns.values)
    lengths = Counter(length for length in pc.list_value_length(column).to_pylist() if length is not None)
    # of lengths that are equally common the first one seen counts
    common = dimension if dimension is not None else next((length for length, _ in lengths.most_common(1)), 0)
    return Sample(common, None if exact(column.type.value_type) else _rounds(column), fields)


def _rounds(column: pa.Array) -> bool:
    numbers = pc.drop_null(column.flatten()).to_numpy(zero_copy_only=False)
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
