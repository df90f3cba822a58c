"""The page headers of a column chunk: what is really there, which a footer does not have to tell.

Headers are Thrift compact structs (parquet-format, "PageHeader"); of them only sizes and counts are read here, no page is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

_STRUCT = 12
_LISTS = (9, 10)
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY = 1, 2, 3, 7, 8
_TYPE, _UNCOMPRESSED, _COMPRESSED, _DATA, _DICTIONARY, _DATA_V2 = 1, 2, 3, 5, 7, 8
DICTIONARY_PAGE = 2
PLAIN, PLAIN_DICTIONARY, DELTA_BYTE_ARRAY, RLE_DICTIONARY = 0, 2, 7, 8
"""Encodings, by parquet-format's numbers."""
_DEEPEST = 8
_USUAL_HEADER = 4 << 10
_LONGEST_HEADER = 16 << 20
"""As much as pyarrow accepts."""
_MOST_PAGES = 1_000_000
_MOST_ELEMENTS = 10_000


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
        detail = header.get(_DATA) or header.get(_DATA_V2) or header.get(_DICTIONARY) or {}
        start, size = start + used, _number(header, _COMPRESSED)
        encoding = _number(detail, 4 if _DATA_V2 in header else 2) if detail else PLAIN
        yield Page(_number(header, _TYPE) == DICTIONARY_PAGE, _number(detail, 1) if detail else 0, _number(header, _UNCOMPRESSED), encoding, start, size)
        start += size
    raise ValueError("a column has too many pages")


def _header(content: mmap.mmap | bytes, start: int) -> tuple[dict[int, Any], int]:
    try:
        return _struct(content[start : start + _USUAL_HEADER], 0, 0)
    except ValueError:  # statistics can make a header long
        return _struct(content[start : start + _LONGEST_HEADER], 0, 0)


def _number(fields: Any, field: int) -> int:
    value = fields.get(field) if isinstance(fields, dict) else None
    if not isinstance(value, int) or value < 0:
        raise ValueError("a page header is garbled")
    return value


def _struct(content: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Return a struct's fields by number, and the offset after it."""
    if depth > _DEEPEST:
        raise ValueError("a page header is nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while True:
        head, at = _byte(content, at), at + 1
        if not head:
            return fields, at
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _zigzag(content, at)
        fields[number], at = _value(content, at, kind, depth)


def _value(content: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind == _STRUCT:
        return _struct(content, at, depth + 1)
    if kind == _BINARY:
        length, at = _varint(content, at)
        return None, at + length
    if kind in (_BYTE, _DOUBLE):
        return None, at + (1 if kind == _BYTE else 8)
    if kind in _LISTS:
        return _skipped_list(content, at, depth)
    return _zigzag(content, at)


def _skipped_list(content: bytes, at: int, depth: int) -> tuple[None, int]:
    head, at = _byte(content, at), at + 1
    count = head >> 4
    if count == 15:
        count, at = _varint(content, at)
    if count > _MOST_ELEMENTS:
        raise ValueError("a page header is garbled")
    for _ in range(count):
        _, at = (None, at + 1) if head & 15 in (_TRUE, _FALSE) else _value(content, at, head & 15, depth + 1)
    return None, at


def _byte(content: bytes, at: int) -> int:
    if not 0 <= at < len(content):
        raise ValueError("a page header lies outside the file")
    return content[at]


def _varint(content: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte, at = _byte(content, at), at + 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at
        shift += 7
        if shift > 63:
            raise ValueError("a page header is garbled")


def _zigzag(content: bytes, at: int) -> tuple[int, int]:
    number, at = _varint(content, at)
    return (number >> 1) ^ -(number & 1), at
