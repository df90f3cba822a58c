"""Which values a typed Milvus field gives back exactly as they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.connectors.milvus.layout import SCALARS, Type

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.connectors.milvus.layout import Field

_RANGES = {Type.Int8: 2**7, Type.Int16: 2**15, Type.Int32: 2**31, Type.Int64: 2**63}


def column_value(scalar: Field, record: dict[str, Any]) -> tuple[str, Any]:
    """Return what is wrong with ``record``'s value for field ``scalar`` ("" when nothing is) and the value to store."""
    name = scalar.name
    if name not in record:
        return ("" if scalar.nullable else f"it has no metadata {name!r}, which the collection demands"), None
    value = record[name]
    if fits(scalar.type, value, scalar):
        return "", json.dumps(value, ensure_ascii=False).encode() if scalar.type == Type.JSON else value
    kind = SCALARS[scalar.type] + (f" of at most {scalar.max_length} bytes" if scalar.type == Type.VarChar else "")
    return f"its metadata {name!r} is no exact value of the field's type, {kind}", None


def fits(kind: int, value: Any, scalar: Field) -> bool:
    """Return whether a field of type ``kind`` gives back exactly ``value``."""
    check = _CHECKS.get(kind)
    return check is not None and check(value, scalar)


def _integer(value: Any, scalar: Field) -> bool:
    limit = _RANGES[scalar.element if scalar.type == Type.Array else scalar.type]
    return isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit


def _text(value: Any, scalar: Field) -> bool:
    return isinstance(value, str) and (not scalar.max_length or len(value.encode()) <= scalar.max_length)


_CHECKS: dict[int, Callable[[Any, Field], bool]] = {
    Type.Bool: lambda value, _: isinstance(value, bool),
    **dict.fromkeys(_RANGES, _integer),
    Type.Double: lambda value, _: isinstance(value, float),
    Type.Float: lambda value, _: isinstance(value, float) and float(np.float32(value)) == value,
    Type.VarChar: _text,
    Type.JSON: lambda value, _: isinstance(value, dict),  # 2.3.5 and Lite refuse other values, or give them back changed
    Type.Array: lambda value, scalar: isinstance(value, list) and all(fits(scalar.element, item, scalar) for item in value),
}
