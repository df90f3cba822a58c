"""Reads the files users put beside an index: ids (npy, JSON, CSV, text, Parquet) and metadata (JSONL, JSON, CSV, Parquet)."""

from __future__ import annotations

import csv
import itertools
import json
import re
import tokenize
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from migrator.connectors.faiss import tables
from migrator.errors import ConfigError, UnreadableSourceError
from migrator.records import canonical_metadata, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from migrator.connectors.faiss.spool import Row

_WINDOW = 1 << 20
_LARGEST_ITEM = 1 << 26
_WHOLE_NUMBER = re.compile(r"0|-?[1-9]\d{0,18}")
_BLANKS = re.compile(r"[ \t\r\n]*")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_DECODER = json.JSONDecoder()


def read_ids(path: Path) -> Iterator[str | int]:
    """Yield the ids of a sidecar: integers where the file holds integers, else text.

    Raise ``ConfigError`` for another kind of file, ``UnreadableSourceError`` naming what is wrong in it.
    """
    readers: dict[str, Callable[[Path], Iterator[str | int]]] = {
        ".npy": _npy_ids, ".json": _json_ids, ".csv": _csv_ids, ".txt": _text_ids, ".parquet": _parquet_ids,
    }  # fmt: skip
    if path.suffix.lower() not in readers:
        raise ConfigError(f"ids={path} is of a kind that is not known", fix=f"use one of: {', '.join(readers)}", code="bad_sidecar")
    yield from _guarded(readers[path.suffix.lower()], path, "ids")


def read_metadata(path: Path) -> Iterator[Any]:
    """Yield the rows of a metadata sidecar: a mapping each, or a ``ValueError`` saying why a row is none.

    Raise as ``read_ids`` does.
    """
    readers: dict[str, Callable[[Path], Iterator[Any]]] = {
        ".jsonl": _jsonl_rows, ".ndjson": _jsonl_rows, ".json": json_items, ".csv": tables.csv_rows, ".parquet": tables.parquet_rows,
    }  # fmt: skip
    if path.suffix.lower() not in readers:
        raise ConfigError(f"metadata={path} is of a kind that is not known", fix=f"use one of: {', '.join(readers)}", code="bad_sidecar")
    yield from _guarded(readers[path.suffix.lower()], path, "metadata")


def metadata_row(item: Any, *, keyed: bool) -> Row:
    """Turn one row into an id, where it names one, and canonical metadata; ``keyed`` takes the id out of the metadata."""
    if isinstance(item, ValueError):
        return None, None, str(item)
    if item is None:
        return None, None, None
    if not isinstance(item, dict):
        return None, None, f"a row is a {type(item).__name__}, not an object"
    key = item.get("id")
    held: Any = item
    identifier = str(key) if keyed and isinstance(key, (str, int)) and not isinstance(key, bool) else None
    if identifier is not None and _LONE_SURROGATE.search(identifier):
        return None, None, "its id is no text: it holds half of a character"
    if identifier is not None:
        held = {name: value for name, value in item.items() if name != "id"}
    if set(held) == {"metadata"} and isinstance(held["metadata"], (dict, str, type(None))):
        held = held["metadata"]  # an envelope: {"id": …, "metadata": {…}}
    try:
        return identifier, canonical_metadata(held), None
    except ValueError as error:
        return identifier, None, str(error)


def _guarded(reader: Callable[[Path], Iterator[Any]], path: Path, option: str) -> Iterator[Any]:
    """Yield from ``reader``; its libraries' exceptions become ours. Nothing else in this module is caught."""
    try:
        yield from reader(path)
    except OSError as error:
        if error.errno is None:  # pyarrow's own complaints about the content are OSErrors too
            raise _damaged(path, option, error) from None
        raise ConfigError(f"{option}={path} cannot be opened: {error.strerror}", fix="correct the path, or its permissions", code="file_not_found") from None
    except (ValueError, EOFError, tokenize.TokenError, SyntaxError, csv.Error, pa.ArrowException, MemoryError, RecursionError) as error:
        # numpy's npy header parser raises TokenError and SyntaxError for damaged headers
        raise _damaged(path, option, error) from None


def _damaged(path: Path, option: str, error: BaseException) -> UnreadableSourceError:
    lines = str(error).splitlines() or [type(error).__name__]
    return UnreadableSourceError(
        f"{option}={path} cannot be read: {lines[0][:300]}", fix=f"check that it is a whole {path.suffix} file, one row for each vector"
    )


def _npy_ids(path: Path) -> Iterator[str | int]:
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, kind = header(file)
        if len(shape) != 1 or kind.kind not in "iuUS" or not kind.itemsize:
            raise ValueError(f"it holds {kind} of shape {shape}, not one row of integers or text")
        left = shape[0]
        while left:
            count = min(left, max(_WINDOW // kind.itemsize, 1))
            data = file.read(count * kind.itemsize)
            if len(data) != count * kind.itemsize:
                raise ValueError(f"it ends {left - len(data) // kind.itemsize} ids too early")
            for value in np.frombuffer(data, kind).tolist():
                yield value.decode("utf-8") if isinstance(value, bytes) else value
            left -= count


def _json_ids(path: Path) -> Iterator[str | int]:
    for number, item in enumerate(json_items(path)):
        if isinstance(item, bool) or not isinstance(item, (str, int)):
            raise ValueError(f"entry {number} is {str(item)[:60]}, neither text nor a whole number")  # noqa: TRY004 - the content is wrong, not the program
        if isinstance(item, str) and _LONE_SURROGATE.search(item):
            raise ValueError(f"entry {number} is no text: it holds half of a character")
        yield item


def _text_ids(path: Path) -> Iterator[str | int]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield _number_or_text(line.rstrip("\n"))


def _csv_ids(path: Path) -> Iterator[str | int]:
    """Take the column ``id`` where there is a header that has one, else the first column."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, strict=True)
        first = next(rows, None)
        column = 0
        if first and "id" in [cell.lower() for cell in first]:
            column = [cell.lower() for cell in first].index("id")
        elif first:
            rows = itertools.chain([first], rows)  # type: ignore[assignment]
        for number, row in enumerate(rows):
            if len(row) <= column:
                raise ValueError(f"row {number} has no column {column + 1}")
            yield _number_or_text(row[column])


def _number_or_text(text: str) -> str | int:
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else text


def _parquet_ids(path: Path) -> Iterator[str | int]:
    """Take the column ``id``, else the first one."""
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        name = "id" if "id" in names else names[0]
        kind = file.schema_arrow.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise ValueError(f"its column {name} is {kind}, neither text nor whole numbers")
        for batch in file.iter_batches(tables.ROWS, columns=[name]):
            if batch.column(0).null_count:
                raise ValueError(f"its column {name} has empty entries")
            yield from batch.column(0).to_pylist()


def json_items(path: Path) -> Iterator[Any]:
    """Yield the entries of a JSON list without holding more than one of them and a window of the file."""
    with path.open(encoding="utf-8") as file:
        text, at = file.read(_WINDOW).lstrip(), 1
        if not text.startswith("["):
            raise ValueError("it is not a JSON list")
        first = True
        while True:
            text, at = _ahead(file, text, at)
            if text[at : at + 1] == "]":
                break
            if not first:
                if text[at : at + 1] != ",":
                    raise ValueError("a comma is missing between its entries, or it ends too early")
                text, at = _ahead(file, text, at + 1)
            value, text, at = _one_item(file, text, at)
            first = False
            yield value
        if (text[at + 1 :] + file.read(_WINDOW)).strip():
            raise ValueError("something follows its list")


def _ahead(file: Any, text: str, at: int) -> tuple[str, int]:
    """Skip white space, reading on where the window ends."""
    while True:
        at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]
        if at < len(text):
            return text, at
        text, at = file.read(_WINDOW), 0
        if not text:
            return "", 0


def _one_item(file: Any, text: str, at: int) -> tuple[Any, str, int]:
    """Decode one entry; an entry that reaches beyond the window makes it grow."""
    while True:
        try:
            value, end = _DECODER.raw_decode(text, at)
            if end < len(text):  # a number at the very end of the window may go on
                return value, text, end
        except json.JSONDecodeError as error:
            if len(text) - at > _LARGEST_ITEM:
                raise ValueError(f"an entry is damaged or longer than {_LARGEST_ITEM} characters: {error}") from None
        more = file.read(max(_WINDOW, len(text) - at))
        if not more:
            _DECODER.raw_decode(text, at)  # raises what is wrong with it
            raise ValueError("it ends too early")
        text, at = text[at:] + more, 0


def _jsonl_rows(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        while line := file.readline(_LARGEST_ITEM):
            if len(line) == _LARGEST_ITEM:
                raise ValueError(f"a line is longer than {_LARGEST_ITEM} bytes")
            if line.strip():
                try:
                    yield parse_json(line)
                except ValueError as error:
                    yield error
