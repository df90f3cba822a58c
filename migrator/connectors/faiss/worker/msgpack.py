"""Decodes the part of MessagePack that lists of ids use: arrays, maps, text, whole numbers. (specification: msgpack.org)"""

from __future__ import annotations

from typing import Any

from migrator.connectors.faiss.worker.index import RefusedError

_UNSIGNED = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_SIGNED = {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_TEXT = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_ARRAY = {0xDC: 2, 0xDD: 4}
_MAP = {0xDE: 2, 0xDF: 4}
_DEEPEST = 8


def unpack(data: bytes) -> Any:
    """Return the one value in ``data``. Raise ``RefusedError`` for other types, or bytes that end early or too late."""
    try:
        value, end = _value(data, 0, 0)
    except (IndexError, UnicodeDecodeError):
        raise RefusedError("it is neither pickle nor whole MessagePack") from None
    if end != len(data):
        raise RefusedError("bytes follow its MessagePack value")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    mark, at = data[at], at + 1
    if mark <= 0x7F or mark >= 0xE0:
        return (mark if mark <= 0x7F else mark - 0x100), at
    if mark in {0xC0, 0xC2, 0xC3}:
        return {0xC0: None, 0xC2: False, 0xC3: True}[mark], at
    if mark in _UNSIGNED or mark in _SIGNED:
        size = _UNSIGNED.get(mark) or _SIGNED[mark]
        return _number(data, at, size, signed=mark in _SIGNED), at + size
    if 0xA0 <= mark <= 0xBF or mark in _TEXT:
        return _text(data, at, mark)
    if mark >= 0x80 and (mark <= 0x9F or mark in _ARRAY or mark in _MAP) and depth < _DEEPEST:
        return _container(data, at, mark, depth)
    raise RefusedError(f"it holds a MessagePack value of type 0x{mark:02x}, which no list of ids has")


def _number(data: bytes, at: int, size: int, *, signed: bool = False) -> int:
    if at + size > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + size], "big", signed=signed)


def _text(data: bytes, at: int, mark: int) -> tuple[str, int]:
    size, width = (_number(data, at, _TEXT[mark]), _TEXT[mark]) if mark in _TEXT else (mark & 0x1F, 0)
    at += width
    if at + size > len(data):
        raise IndexError
    return data[at : at + size].decode("utf-8"), at + size


def _container(data: bytes, at: int, mark: int, depth: int) -> tuple[Any, int]:
    width = _ARRAY.get(mark) or _MAP.get(mark) or 0
    count = _number(data, at, width) if width else mark & 0x0F
    at += width
    is_map = mark in _MAP or 0x80 <= mark <= 0x8F
    items = []
    for _ in range(count * (2 if is_map else 1)):
        item, at = _value(data, at, depth + 1)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if is_map else items), at
