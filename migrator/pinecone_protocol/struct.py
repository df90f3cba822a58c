"""A record's metadata between its two forms: the bytes of a protobuf ``Struct`` on the wire, and canonical JSON in our batches.

Written by hand because a Struct of a few fields costs protobuf's own converters 13 to 35 microseconds. What the fast paths do not expect
(unknown fields, a value without a kind) goes to protobuf itself.

A Struct knows only 64-bit floats. Integral ones up to 2**53 become JSON integers, so that 1 stays 1; larger ones stay floats.
"""

from __future__ import annotations

import math
from collections import abc
from struct import Struct as Layout
from typing import Any

from google.protobuf import struct_pb2
from google.protobuf.message import DecodeError

from migrator.records import dump_json, parse_json
from migrator.varint import varint

_DOUBLE = Layout("<d")
_TAGGED_DOUBLE = Layout("<sd")
_EXACT = 2.0**53
_DEEPEST = 30
"""Levels of nesting: each is three messages at most, and protobuf refuses what is 100 deep."""


class _UnexpectedError(Exception):
    """The bytes are no plain Struct as every known encoder writes it: protobuf must judge them."""


def struct_to_json(wire: bytes) -> str:
    """Return canonical JSON text. Raise ``ValueError`` for broken bytes, NaN and infinities."""
    return dump_json(struct_to_dict(wire))


def json_to_struct(text: str) -> bytes:
    """Return the wire bytes of a JSON object, fields in its order. Raise ``ValueError`` when it is none or cannot be a Struct."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"metadata must be a JSON object, not {type(value).__name__}")  # noqa: TRY004 - one error type for all bad JSON
    return dict_to_struct(value)


def struct_to_dict(wire: bytes) -> dict[str, Any]:
    """Return the fields, integral numbers as ``int``. Raise ``ValueError`` for broken bytes, NaN and infinities."""
    try:
        return _fields(wire, 0, len(wire), 0)
    except (_UnexpectedError, IndexError):
        return _by_protobuf(wire)


def dict_to_struct(fields: abc.Mapping[str, Any]) -> bytes:
    """Return the wire bytes of ``fields``, in their order. Raise ``ValueError`` naming what a Struct cannot hold."""
    return _encode_fields(fields, 0)


def _length(wire: bytes, at: int) -> tuple[int, int]:
    """Return the number written at ``at``, which is longer than one byte, and where it ends."""
    number = shift = 0
    while True:
        byte = wire[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7


def _fields(wire: bytes, at: int, end: int, depth: int) -> dict[str, Any]:
    """Return the fields of the Struct in ``wire[at:end]``: entries tagged 0x0A of a key tagged 0x0A and a value tagged 0x12."""
    found: dict[str, Any] = {}
    while at < end:
        if wire[at] != 0x0A:
            raise _UnexpectedError
        size = wire[at + 1]
        at += 2
        if size > 127:
            size, at = _length(wire, at - 1)
        stop = at + size
        if stop > end or wire[at] != 0x0A:
            raise _UnexpectedError
        size = wire[at + 1]
        at += 2
        if size > 127:
            size, at = _length(wire, at - 1)
        tag = at + size
        if tag >= stop or wire[tag] != 0x12:
            raise _UnexpectedError
        size = wire[tag + 1]
        start = tag + 2
        if size > 127:
            size, start = _length(wire, start - 1)
        if start + size != stop:
            raise _UnexpectedError
        found[wire[at:tag].decode()] = _value(wire, start, stop, depth)
        at = stop
    return found


def _value(wire: bytes, at: int, end: int, depth: int) -> Any:
    """Return the Value in ``wire[at:end]``, which must be one field and nothing else."""
    if at >= end:
        raise _UnexpectedError
    kind = wire[at]
    if kind == 0x11:
        if end - at != 9:
            raise _UnexpectedError
        return _number(_DOUBLE.unpack_from(wire, at + 1)[0])
    if kind in {0x20, 0x08}:
        if end - at != 2 or wire[at + 1] > (kind == 0x20):
            raise _UnexpectedError
        return bool(wire[at + 1]) if kind == 0x20 else None
    size = wire[at + 1]
    start = at + 2
    if size > 127:
        size, start = _length(wire, start - 1)
    if start + size != end:
        raise _UnexpectedError
    return wire[start:end].decode() if kind == 0x1A else _nested(kind, wire, start, end, depth + 1)


def _nested(kind: int, wire: bytes, at: int, end: int, depth: int) -> Any:
    if depth > _DEEPEST or kind not in {0x32, 0x2A}:
        raise _UnexpectedError
    return _list(wire, at, end, depth) if kind == 0x32 else _fields(wire, at, end, depth)


def _list(wire: bytes, at: int, end: int, depth: int) -> list[Any]:
    found = []
    while at < end:
        if wire[at] != 0x0A:
            raise _UnexpectedError
        size = wire[at + 1]
        at += 2
        if size > 127:
            size, at = _length(wire, at - 1)
        stop = at + size
        if stop > end:
            raise _UnexpectedError
        found.append(_value(wire, at, stop, depth))
        at = stop
    return found


def _number(number: float) -> int | float:
    if number.is_integer():
        return int(number) if -_EXACT <= number <= _EXACT and (number or math.copysign(1.0, number) > 0) else number
    if not math.isfinite(number):
        raise ValueError(f"{number} is not a JSON number")
    return number


def _by_protobuf(wire: bytes) -> dict[str, Any]:
    try:
        message = struct_pb2.Struct.FromString(wire)
    except DecodeError as error:
        raise ValueError(f"metadata is no protobuf Struct: {error}") from None
    return _plain_fields(message)


def _plain_fields(message: struct_pb2.Struct) -> dict[str, Any]:
    return {name: _plain(value) for name, value in message.fields.items()}


def _plain(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    if kind == "struct_value":
        return _plain_fields(value.struct_value)
    return None if kind is None or kind == "null_value" else getattr(value, kind)


def _encode_fields(fields: abc.Mapping[str, Any], depth: int) -> bytes:
    written = []
    for key, value in fields.items():
        if type(key) is not str:
            raise ValueError(f"a metadata field's name must be a string, not {key!r}")
        name, encoded = key.encode(), _encode(value, depth)
        if len(name) + len(encoded) < 122:  # every length fits one byte
            written.append(b"\n%c\n%c%b\x12%c%b" % (len(name) + len(encoded) + 4, len(name), name, len(encoded), encoded))
        else:
            entry = b"\n%b%b\x12%b%b" % (varint(len(name)), name, varint(len(encoded)), encoded)
            written.append(b"\n%b%b" % (varint(len(entry)), entry))
    return b"".join(written)


def _encode(value: Any, depth: int) -> bytes:
    """Return the bytes of a Value."""
    if isinstance(value, str):
        return _block(0x1A, value.encode())
    if isinstance(value, bool):
        return b"\x20\x01" if value else b"\x20\x00"
    if isinstance(value, (int, float)):
        return _encode_number(value)
    if value is None:
        return b"\x08\x00"
    if depth >= _DEEPEST:
        raise ValueError("metadata is nested too deeply")
    if isinstance(value, (list, tuple)):
        return _block(0x32, b"".join(_block(0x0A, _encode(item, depth + 1)) for item in value))
    if isinstance(value, abc.Mapping):
        return _block(0x2A, _encode_fields(value, depth + 1))
    raise ValueError(f"metadata cannot hold {type(value).__name__}")


def _encode_number(value: float) -> bytes:
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{value} is beyond the range of a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{number} is not a JSON number")
    return _TAGGED_DOUBLE.pack(b"\x11", number)


def _block(tag: int, body: bytes) -> bytes:
    size = len(body)
    return b"%c%c%b" % (tag, size, body) if size < 128 else b"%c%b%b" % (tag, varint(size), body)
