"""Which values a typed Milvus field gives back exactly as they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.connectors.milvus.fieldtypes import Type, spelt

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.connectors.milvus.fieldtypes import Field

_RANGES = {Type.Int8: 2**7, Type.Int16: 2**15, Type.Int32: 2**31, Type.Int64: 2**63}


def column_value(scalar: Field, record: dict[str, Any]) -> tuple[str, Any]:
    """Return what is wrong with ``record``'s value for field ``scalar`` ("" when nothing is) and the value to store."""
    name = scalar.name
    if name not in record:
        return ("" if scalar.nullable else f"it has no metadata {name!r}, which the collection demands"), None
    value = record[name]
    if fits(scalar.type, value, scalar):
        return "", json.dumps(value, ensure_ascii=False).encode() if scalar.type == Type.JSON else value
    return f"its metadata {name!r} is no exact value of the field's type, {spelt(scalar)}{_size(scalar, value)}", None


def _size(scalar: Field, value: Any) -> str:
    """Return by how much a text or list is too long, as the end of a sentence."""
    if isinstance(value, str) and scalar.type == Type.VarChar:
        return f": it has {len(value.encode()):,} bytes, {scalar.max_length:,} are allowed"
    if isinstance(value, list) and scalar.type == Type.Array:
        if scalar.capacity and len(value) > scalar.capacity:
            return f": it has {len(value):,} items, {scalar.capacity:,} are allowed"
        longest = max((len(item.encode()) for item in value if isinstance(item, str)), default=0)
        return f": an item has {longest:,} bytes, {scalar.max_length:,} are allowed" if longest > scalar.max_length > 0 else ""
    return ""


def fits(kind: int, value: Any, scalar: Field) -> bool:
    """Return whether a field of type ``kind`` gives back exactly ``value``."""
    check = _CHECKS.get(kind)
    return check is not None and check(value, scalar)


def _integer(value: Any, scalar: Field) -> bool:
    limit = _RANGES[scalar.element if scalar.type == Type.Array else scalar.type]
    return isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit


def _text(value: Any, scalar: Field) -> bool:
    return isinstance(value, str) and (not scalar.max_length or len(value.encode()) <= scalar.max_length)


def _array(value: Any, scalar: Field) -> bool:
    short = isinstance(value, list) and (not scalar.capacity or len(value) <= scalar.capacity)
    return short and all(fits(scalar.element, item, scalar) for item in value)


_CHECKS: dict[int, Callable[[Any, Field], bool]] = {
    Type.Bool: lambda value, _: isinstance(value, bool),
    **dict.fromkeys(_RANGES, _integer),
    Type.Double: lambda value, _: isinstance(value, float),
    Type.Float: lambda value, _: isinstance(value, float) and float(np.float32(value)) == value,
    Type.VarChar: _text,
    Type.JSON: lambda value, _: isinstance(value, dict),  # 2.3.5 and Lite refuse other values, or give them back changed
    Type.Array: _array,
}
