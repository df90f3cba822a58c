"""The page headers of a column chunk: what is really there, which a footer does not have to tell.

Of a header (parquet-format, "PageHeader") only sizes and counts are read; no page is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrator.connectors.parquet.thrift import read_struct

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    from migrator.connectors.parquet.thrift import Struct

_TYPE, _UNCOMPRESSED, _COMPRESSED, _DATA, _DICTIONARY, _DATA_V2 = 1, 2, 3, 5, 7, 8
DICTIONARY_PAGE = 2
PLAIN, PLAIN_DICTIONARY, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 0, 2, 7, 8
"""Encodings, by parquet-format's numbers."""
_USUAL_HEADER = 4 << 10
_LONGEST_HEADER = 16 << 20
"""As much as pyarrow accepts."""
_MOST_PAGES = 1_000_000


@dataclass(frozen=True)
class Page:
    """One page's header."""

    dictionary: bool
    values: int
    uncompressed: int
    encoding: int
    start: int
    """Where the page's bytes begin, after its header."""
    size: int
    """Its bytes in the file."""


def longest_entry(content: bytes) -> int:
    """Return the length of the longest text in a decompressed dictionary page. Raise ``ValueError`` when it is garbled."""
    longest = at = 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "little")
        longest = max(longest, length)
        at += 4 + length
    if at != len(content):
        raise ValueError("a dictionary page is garbled")
    return longest


def pages(content: mmap.mmap | bytes, start: int, end: int) -> Iterator[Page]:
    """Yield the pages between two offsets of a file. Raise ``ValueError`` where the bytes are no page header."""
    for _ in range(_MOST_PAGES):
        if start >= end:
            return
        header, used = _header(content, start)
        detail: Struct = next((header[kind].content for kind in (_DATA, _DATA_V2, _DICTIONARY) if kind in header), {})
        start, size = start + used, _number(header, _COMPRESSED)
        encoding = _number(detail, 4 if _DATA_V2 in header else 2) if detail else PLAIN
        yield Page(_number(header, _TYPE) == DICTIONARY_PAGE, _number(detail, 1) if detail else 0, _number(header, _UNCOMPRESSED), encoding, start, size)
        start += size
    raise ValueError("a column has too many pages")


def _header(content: mmap.mmap | bytes, start: int) -> tuple[Struct, int]:
    try:
        return read_struct(content[start : start + _USUAL_HEADER], 0)
    except ValueError:  # statistics can make a header long
        return read_struct(content[start : start + _LONGEST_HEADER], 0)


def _number(fields: object, field: int) -> int:
    value = fields.get(field) if isinstance(fields, dict) else None
    if value is None or not isinstance(value.content, int) or value.content < 0:
        raise ValueError("a page header is garbled")
    return int(value.content)
