"""Thrift's compact protocol, as far as Parquet's footers and page headers use it: read into plain values, written from them.

A struct is a dict from field number to ``Value``; a list's content is its elements' kind and their contents; text is bytes
(Apache Thrift, "Thrift Compact protocol encoding"). Nothing read is trusted: depth, lengths and counts are bounded.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from migrator.varint import varint

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
_DEEPEST = 12
_MOST_ELEMENTS = 1_000_000
_VARINT_BITS = 63


class Value(NamedTuple):
    """What a field of a struct holds."""

    kind: int
    content: Any


Struct = dict[int, Value]


def text(content: str | bytes) -> Value:
    return Value(BINARY, content.encode() if isinstance(content, str) else content)


def i32(number: int) -> Value:
    return Value(I32, number)


def i64(number: int) -> Value:
    return Value(I64, number)


def read_struct(content: bytes, at: int, depth: int = 0) -> tuple[Struct, int]:
    """Return the struct that begins at ``at``, and the offset after it. Raise ``ValueError`` when the bytes are no struct."""
    if depth > _DEEPEST:
        raise ValueError("a header is nested too deeply")
    fields: Struct = {}
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
        if kind in (TRUE, FALSE):
            fields[number] = Value(kind, kind == TRUE)
        else:
            found, at = _content(content, at, kind, depth)
            fields[number] = Value(kind, found)


def _content(content: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind == STRUCT:
        return read_struct(content, at, depth + 1)
    if kind in (BINARY, BYTE, DOUBLE, TRUE, FALSE):  # a list's booleans have a byte each
        length, at = _varint(content, at) if kind == BINARY else (8 if kind == DOUBLE else 1, at)
        if at + length > len(content):
            raise ValueError("a header lies outside the file")
        return content[at : at + length], at + length
    if kind in (LIST, SET):
        return _list(content, at, depth)
    if kind == MAP:
        raise ValueError("a header is garbled")  # Parquet has no maps
    return _zigzag(content, at)


def _list(content: bytes, at: int, depth: int) -> tuple[tuple[int, list[Any]], int]:
    head, at = _byte(content, at), at + 1
    count = head >> 4
    if count == 15:
        count, at = _varint(content, at)
    if count > min(_MOST_ELEMENTS, len(content) - at):
        raise ValueError("a header is garbled")
    elements = []
    for _ in range(count):
        element, at = _content(content, at, head & 15, depth + 1)
        elements.append(element)
    return (head & 15, elements), at


def _byte(content: bytes, at: int) -> int:
    if not 0 <= at < len(content):
        raise ValueError("a header lies outside the file")
    return content[at]


def _varint(content: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte, at = _byte(content, at), at + 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, at
        shift += 7
        if shift > _VARINT_BITS:
            raise ValueError("a header is garbled")


def _zigzag(content: bytes, at: int) -> tuple[int, int]:
    number, at = _varint(content, at)
    return (number >> 1) ^ -(number & 1), at


def write_struct(fields: Struct) -> bytes:
    """Return a struct's bytes, its fields in the order of their numbers."""
    written = bytearray()
    last = 0
    for number, (kind, content) in sorted(fields.items()):
        step = number - last
        written += bytes([step << 4 | kind]) if step <= 15 else bytes([kind]) + varint(_folded(number))
        if kind not in (TRUE, FALSE):
            written += _written(kind, content)
        last = number
    return bytes(written) + b"\0"


def _written(kind: int, content: Any) -> bytes:
    if kind == STRUCT:
        return write_struct(content)
    if kind in (BINARY, BYTE, DOUBLE, TRUE, FALSE):
        return (varint(len(content)) if kind == BINARY else b"") + bytes(content)
    if kind in (LIST, SET):
        element, items = content
        head = bytes([len(items) << 4 | element]) if len(items) < 15 else bytes([0xF0 | element]) + varint(len(items))
        return head + b"".join(_written(element, item) for item in items)
    return varint(_folded(content))


def _folded(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1
