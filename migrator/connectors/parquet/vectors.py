"""The ``values`` column of a Parquet file, laid out by hand and put into a file pyarrow wrote without it.

pyarrow spends far longer on working out the nesting levels of a list than on moving its components. Rows that all have the same
number of components have levels that are known beforehand, and their uncompressed pages are the matrix's own bytes
(parquet-format, "Nested Encoding" and "Data Pages"). The rest of the file, and all reading, is pyarrow's.
"""

from __future__ import annotations

import base64
import functools
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from migrator.connectors.parquet.thrift import BINARY, I32, LIST, STRUCT, Value, i32, i64, read_struct, text, write_struct
from migrator.varint import varint

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    from migrator.connectors.parquet.thrift import Struct

FIELD = pa.field("values", pa.list_(pa.field("element", pa.float32(), nullable=False)), nullable=False)
CODECS = {"none": 0, "snappy": 1, "zstd": 6}
"""Compressions, by parquet-format's numbers."""
PAGE_BYTES = 1 << 20
"""Bytes of vectors in a page, about as many as pyarrow's pages have."""
_MAGIC = b"PAR1"
_FLOAT, _LIST, _REQUIRED, _REPEATED = 4, 3, 0, 2
_PLAIN, _RLE = 0, 3
_PATH = (b"values", b"list", b"element")
_SCHEMA, _ROW_GROUPS, _KEYS, _ORDERS = 2, 4, 5, 7
"""Fields of FileMetaData; then of SchemaElement and of RowGroup."""
_CHILDREN = 5
_COLUMNS, _TOTAL_BYTES, _COMPRESSED_BYTES = 1, 2, 6


@dataclass(frozen=True)
class _Page:
    pieces: list[pa.Buffer]
    size: int
    """In the file, with its header."""
    uncompressed: int


def insert(written: pa.Buffer, matrix: npt.NDArray[np.float32], schema: pa.Schema, compression: str) -> list[pa.Buffer]:
    """Return the pieces of ``written``, a Parquet file of one row group, with ``matrix`` as its second column.

    ``matrix`` has shape (records, dimension); without compression the pieces share its memory. ``schema`` is that of the whole file.
    """
    end = len(written) - len(_MAGIC) - 4
    start = end - int.from_bytes(written[end : end + 4].to_pybytes(), "little")
    footer, _ = read_struct(written[start:end].to_pybytes(), 0)
    pages = list(_pages(matrix, None if compression == "none" else pa.Codec(compression)))
    _describe(footer, _column(start, pages, _entries(*matrix.shape), compression), schema)
    tail = write_struct(footer)
    pieces = [piece for page in pages for piece in page.pieces]
    return [written[:start], *pieces, pa.py_buffer(tail + len(tail).to_bytes(4, "little") + _MAGIC)]


def _pages(matrix: npt.NDArray[np.float32], codec: pa.Codec | None) -> Iterator[_Page]:
    count, dimension = matrix.shape
    step = max(1, PAGE_BYTES // max(1, 4 * dimension))
    for first in range(0, count, step):
        rows = min(step, count - first)
        values = pa.py_buffer(matrix[first : first + rows])
        levels = _levels(rows, dimension)
        plain = len(levels) + len(values)
        # as bytes: a buffer that was shrunk shows its old length to whoever views it
        body = [pa.py_buffer(levels), values] if codec is None else [pa.py_buffer(codec.compress(levels + values.to_pybytes(), asbytes=True))]
        checksum = functools.reduce(lambda so_far, piece: zlib.crc32(piece, so_far), body, 0)
        size = sum(len(piece) for piece in body)
        about = {1: i32(_entries(rows, dimension)), 2: i32(_PLAIN), 3: i32(_RLE), 4: i32(_RLE)}
        header = write_struct({1: i32(0), 2: i32(plain), 3: i32(size), 4: i32(_signed(checksum)), 5: Value(STRUCT, about)})
        yield _Page([pa.py_buffer(header), *body], len(header) + size, len(header) + plain)


def _entries(rows: int, dimension: int) -> int:
    return rows * max(1, dimension)  # an empty list is an entry too


@functools.lru_cache(maxsize=32)
def _levels(rows: int, dimension: int) -> bytes:
    """Return repetition levels, a 0 and then 1s for each row, and definition levels, 1 where there is a component, as runs."""
    row = _run(1, 0) + (_run(dimension - 1, 1) if dimension > 1 else b"")
    repetition, definition = row * rows, _run(_entries(rows, dimension), min(1, dimension))
    return b"".join(len(levels).to_bytes(4, "little") + levels for levels in (repetition, definition))


def _run(length: int, level: int) -> bytes:
    return varint(length << 1) + bytes([level])


def _signed(checksum: int) -> int:
    return checksum - (1 << 32) if checksum >> 31 else checksum


def _column(start: int, pages: list[_Page], entries: int, compression: str) -> Struct:
    """Return the ColumnChunk whose pages begin at offset ``start``."""
    about = {
        1: i32(_FLOAT),
        2: Value(LIST, (I32, [_PLAIN, _RLE])),
        3: Value(LIST, (BINARY, list(_PATH))),
        4: i32(CODECS[compression]),
        5: i64(entries),
        6: i64(sum(page.uncompressed for page in pages)),
        7: i64(sum(page.size for page in pages)),
        9: i64(start),
    }
    return {2: i64(0), 3: Value(STRUCT, about)}


def _describe(footer: Struct, column: Struct, schema: pa.Schema) -> None:
    """Enter ``column`` in the footer, after the first. Its pages come after all others, so that no offset changes."""
    _, elements = footer[_SCHEMA].content
    elements[0][_CHILDREN] = i32(elements[0][_CHILDREN].content + 1)
    elements[2:2] = _elements()
    _, (group,) = footer[_ROW_GROUPS].content
    group[_COLUMNS].content[1].insert(1, column)
    for total, part in ((_TOTAL_BYTES, 6), (_COMPRESSED_BYTES, 7)):
        group[total] = i64(group[total].content + column[3].content[part].content)
    footer[_ORDERS].content[1].insert(1, {1: Value(STRUCT, {})})  # as the type defines it
    for pair in footer[_KEYS].content[1]:
        if pair[1].content == b"ARROW:schema":
            pair[2] = text(_arrow_schema(schema))


def _elements() -> list[Struct]:
    """Return the column's place in the schema: a required list of required floats ("Logical Types", "Lists")."""
    values, items, component = _PATH
    return [
        {3: i32(_REQUIRED), 4: text(values), _CHILDREN: i32(1), 6: i32(_LIST), 10: Value(STRUCT, {3: Value(STRUCT, {})})},
        {3: i32(_REPEATED), 4: text(items), _CHILDREN: i32(1)},
        {1: i32(_FLOAT), 3: i32(_REQUIRED), 4: text(component)},
    ]


@functools.lru_cache(maxsize=8)
def _arrow_schema(schema: pa.Schema) -> bytes:
    """Return what pyarrow keeps under ARROW:schema, for the whole file."""
    return base64.b64encode(schema.serialize().to_pybytes())
