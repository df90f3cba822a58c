"""Reads the rows of tables, CSV and Parquet, as metadata: a key for each column, in JSON types."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = 128
"""Rows of Parquet decoded at a time: a few bytes of it may stand for gigabytes."""

Kind = Literal["boolean", "integer", "long", "number", "text"]
_FORMS: dict[Kind, str] = {
    "boolean": r"^(true|false)?$",
    "integer": r"^(-?[1-9][0-9]{0,17}|0)?$",  # 007 is a name, not a number
    "long": r"^(-?[1-9][0-9]*|0)?$",  # beyond 64 bits: Arrow has no type for these, Python has
    "number": r"^(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?)?$",
}
_ARROW: dict[Kind, pa.DataType] = {"boolean": pa.bool_(), "integer": pa.int64(), "long": pa.string(), "number": pa.float64(), "text": pa.string()}
_LONGEST_INTEGER = 640
"""Digits Python converts however it is set up; longer ones stay text."""
_SURELY_EXACT = r"^-?[0-9.]{0,15}$"
"""A float64 keeps any 15 digits."""


def parquet_rows(path: Path) -> Iterator[Any]:
    """Yield the rows of a Parquet file: a mapping each, or a ``ValueError`` saying why a row is none."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS):
            yield from _rows(batch)


def csv_rows(path: Path) -> Iterator[Any]:
    """Yield the rows of a CSV file with a header.

    A column whose every cell reads as a number and survives that, or as ``true`` or ``false``, holds numbers or booleans, and its
    empty cells are absent keys; any other column holds text just as it stands. This reads the file twice.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file, strict=True), [])
    if len(set(names)) != len(names):
        raise ValueError("two of its columns have the same name")
    kinds = _kinds(path, names)
    long = frozenset(name for name in names if kinds[name] == "long")
    for batch in _cells(path, names):
        yield from _rows(pa.record_batch([_typed(batch.column(name), kinds[name]) for name in names], names=names), long)


def _cells(path: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    convert = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    with pa_csv.open_csv(path, convert_options=convert, parse_options=pa_csv.ParseOptions(newlines_in_values=True)) as reader:
        yield from reader


def _kinds(path: Path, names: list[str]) -> dict[str, Kind]:
    """Return the narrowest kind every cell of each column has."""
    possible = {name: list(_FORMS) for name in names}
    filled = dict.fromkeys(names, False)
    for batch in _cells(path, names):
        for name in names:
            cells = batch.column(name)
            filled[name] = filled[name] or pc.any(pc.not_equal(cells, "")).as_py() is True
            possible[name] = [kind for kind in possible[name] if _all_are(kind, cells)]
    return {name: possible[name][0] if possible[name] and filled[name] else "text" for name in names}


def _all_are(kind: Kind, cells: pa.Array) -> bool:
    """Return whether every cell has the form of ``kind`` and keeps its exact value as that."""
    if pc.all(pc.match_substring_regex(cells, _FORMS[kind])).as_py() is False:
        return False
    if kind == "long":
        return bool((pc.max(pc.utf8_length(cells)).as_py() or 0) <= _LONGEST_INTEGER)
    if kind == "number":
        return all(map(_survives, cells.filter(pc.invert(pc.match_substring_regex(cells, _SURELY_EXACT))).to_pylist()))
    return True


def _survives(cell: str) -> bool:
    """Return whether the float64 nearest to ``cell`` is written with the same value."""
    try:
        return decimal.Decimal(cell) == decimal.Decimal(repr(float(cell)))
    except decimal.DecimalException:  # an exponent beyond anything
        return False


def _typed(cells: pa.Array, kind: Kind) -> pa.Array:
    return cells if kind == "text" else pc.cast(pc.replace_with_mask(cells, pc.equal(cells, ""), pa.scalar(None, pa.string())), _ARROW[kind])


def _rows(batch: pa.RecordBatch, long: frozenset[str] = frozenset()) -> Iterator[Any]:
    """Yield rows without their empty cells, which is how a table says that a key is absent. ``long`` columns hold integers as text."""
    for row in batch.to_pylist():
        try:
            yield {name: int(value) if name in long else _json_type(value) for name, value in row.items() if value is not None}
        except ValueError as error:
            yield error


def _json_type(value: Any) -> Any:
    """Return a cell in JSON types: times and decimals as text."""
    if isinstance(value, dict):
        return {name: _json_type(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_json_type(item) for item in value]
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise ValueError(f"JSON has no form for a {type(value).__name__}")
