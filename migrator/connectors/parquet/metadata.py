"""Metadata columns as canonical JSON text: JSON text, structs and maps, and any further columns."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
from collections import abc
from typing import TYPE_CHECKING, Any

from migrator import records

if TYPE_CHECKING:
    import pyarrow as pa

    from migrator.connectors.parquet.columns import Columns


def metadata_of(batch: pa.RecordBatch, columns: Columns) -> tuple[list[str | None], dict[int, str]]:
    """Return the canonical metadata of each row, and for rows that have none such the reason."""
    base = _base(batch, columns)
    extra = [(name, _cells(batch.column(name))) for name in columns.others]
    texts: list[str | None] = [None] * batch.num_rows
    faults: dict[int, str] = {}
    if base is None and not extra:
        return texts, faults
    for row in range(batch.num_rows):
        try:
            texts[row] = _row(base[row] if base else None, [(name, cells[row]) for name, cells in extra])
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            faults[row] = str(error)
    return texts, faults


def _base(batch: pa.RecordBatch, columns: Columns) -> list[Any] | None:
    if columns.metadata is None or batch.column(columns.metadata).null_count == batch.num_rows:
        return None
    return _cells(batch.column(columns.metadata))


def _row(base: Any, extra: list[tuple[str, Any]]) -> str | None:
    fields = [(name, _plain(value)) for name, value in extra if value is not None]
    if not fields and isinstance(base, (str, bytes)):
        return records.canonical_metadata(base)
    decoded = records.parse_json(base) if isinstance(base, (str, bytes)) else _plain(base)
    if decoded is not None and not isinstance(decoded, abc.Mapping):
        raise ValueError(f"metadata must be a JSON object, not {type(decoded).__name__}")
    merged = dict(decoded or {})
    for name, value in fields:
        if name in merged and merged[name] != value:
            raise ValueError(f"column {name!r} and the metadata's field of that name differ")
        merged[name] = value
    return records.canonical_metadata(merged)


def _cells(column: pa.Array) -> list[Any]:
    """Return the column as Python values; one that has none of its own is the exception saying why."""
    try:
        return list(column.to_pylist(maps_as_pydicts="strict"))
    except (UnicodeDecodeError, KeyError, ValueError, OverflowError):
        return [_cell(scalar) for scalar in column]


def _cell(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py(maps_as_pydicts="strict")
    except (UnicodeDecodeError, KeyError, ValueError, OverflowError) as error:
        return error


def _plain(value: Any) -> Any:
    """Return a value as JSON's types. A struct's null fields are left out: in a table null is how "no value" is written."""
    if isinstance(value, Exception):  # put there by _cells
        raise value
    if isinstance(value, abc.Mapping):
        return {name: _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return str(value) if isinstance(value, decimal.Decimal) else value
