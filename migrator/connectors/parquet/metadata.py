"""Metadata columns as canonical JSON text: JSON text, structs and maps, and any further columns."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import decimal
import json
from collections import abc
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import types

from migrator import records

if TYPE_CHECKING:
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
        text = records.canonical_metadata(base)
        _refuse_twice(base, text or "")
        return text
    decoded = records.parse_json(base) if isinstance(base, (str, bytes)) else _plain(base)
    if isinstance(base, (str, bytes)):
        _refuse_twice(base, records.dump_json(decoded))
    if decoded is not None and not isinstance(decoded, abc.Mapping):
        raise ValueError(f"metadata must be a JSON object, not {type(decoded).__name__}")
    merged = dict(decoded or {})
    for name, value in fields:
        if name in merged and merged[name] != value:
            raise ValueError(f"column {name!r} and the metadata's field of that name differ")
        merged[name] = value
    return records.canonical_metadata(merged)


def _refuse_twice(text: str | bytes, canonical: str) -> None:
    """Raise ``ValueError`` when an object in ``text`` has a key twice; parsers keep the last one without a word.

    A key that got lost takes its colon with it, so only texts with other colons than their canonical form are looked at closely.
    """
    text = text.decode() if isinstance(text, bytes) else text
    if text == canonical or (text.count(":") == canonical.count(":") and ("\\" not in text or "\\u003" not in text)):  # an escaped colon
        return
    try:
        json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {twice!r} twice")


def _cells(column: pa.Array) -> list[Any]:
    """Return the column as Python values; one that has none of its own is the exception saying why."""
    if types.is_timestamp(column.type) and column.type.unit == "ns":
        with contextlib.suppress(pa.ArrowInvalid):  # raised for values that need all nine decimals; most columns have none
            column = column.cast(pa.timestamp("us", column.type.tz))
    if _nanoseconds(column.type):
        return [_cell(scalar) for scalar in column]
    try:
        return list(column.to_pylist(maps_as_pydicts="strict"))
    except (UnicodeDecodeError, KeyError, ValueError, OverflowError):
        return [_cell(scalar) for scalar in column]


def _cell(scalar: pa.Scalar) -> Any:
    try:
        return _exact(scalar) if _nanoseconds(scalar.type) else scalar.as_py(maps_as_pydicts="strict")
    except (UnicodeDecodeError, KeyError, ValueError, OverflowError) as error:
        return error


def _nanoseconds(kind: pa.DataType) -> bool:
    """Whether values of a type are or hold times in nanoseconds, which Python's have no place for: pyarrow cuts them off or refuses."""
    if types.is_timestamp(kind) or types.is_time(kind):
        return bool(kind.unit == "ns")
    if types.is_dictionary(kind):
        return _nanoseconds(kind.value_type)
    return any(_nanoseconds(kind.field(place).type) for place in range(kind.num_fields))


def _exact(scalar: pa.Scalar) -> Any:
    """Return a scalar whose type holds nanoseconds as Python values; its times that need nine decimals as text."""
    kind = scalar.type
    if not scalar.is_valid or not _nanoseconds(kind):
        return scalar.as_py(maps_as_pydicts="strict")
    if types.is_dictionary(kind):
        return _exact(scalar.value)
    if types.is_map(kind):
        return _object([(pair[0].as_py(), _exact(pair[1])) for pair in scalar.values])
    if types.is_struct(kind):
        return _object([(kind.field(place).name, _exact(scalar[place])) for place in range(kind.num_fields)])
    if types.is_timestamp(kind) or types.is_time(kind):
        return _moment(scalar)
    return [_exact(item) for item in scalar.values]


def _moment(scalar: pa.Scalar) -> Any:
    """Return a time in nanoseconds as Python's, or as text where that has too few decimals."""
    kind = scalar.type
    whole, rest = divmod(scalar.value, 1_000)
    coarse = pa.scalar(whole, pa.timestamp("us", kind.tz) if types.is_timestamp(kind) else pa.time64("us")).as_py()
    if not rest:
        return coarse
    text = coarse.isoformat(timespec="microseconds")
    end = text.index(".") + 7
    return f"{text[:end]}{rest:03}{text[end:]}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _once(pairs)
    return dict(pairs)


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
