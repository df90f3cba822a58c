"""Types of scalar fields: how Milvus numbers them, how people write them (``varchar(200)``, ``array<int64,100>``), and which a value needs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pymilvus.grpc_gen import schema_pb2

if TYPE_CHECKING:
    from migrator.model import FieldStats

Type = schema_pb2.DataType
SCALARS = {
    Type.Bool: "bool",
    Type.Int8: "int8",
    Type.Int16: "int16",
    Type.Int32: "int32",
    Type.Int64: "int64",
    Type.Float: "float",
    Type.Double: "double",
    Type.VarChar: "varchar",
    Type.JSON: "json",
    Type.Array: "array",
}
SLOTS = {
    Type.Bool: "bool_data",
    Type.Int8: "int_data",
    Type.Int16: "int_data",
    Type.Int32: "int_data",
    Type.Int64: "long_data",
    Type.Float: "float_data",
    Type.Double: "double_data",
    Type.VarChar: "string_data",
    Type.JSON: "json_data",
}
"""Where a scalar column's values lie in a protobuf message (schema.proto, ScalarField)."""
TEXT_LENGTH = 65_535
"""Milvus Limits: the longest VARCHAR. It reserves nothing."""
CAPACITY = 4_096
"""Milvus Limits: the most items an ARRAY may have; more is refused by 2.3.5."""
CHOICES = ("bool", "int8", "int16", "int32", "int64", "float", "double", "varchar(65535)", "json", "array<varchar(65535)>", "array<int64>", "array<double>")
"""Offered where a type is chosen."""
EXAMPLE = '{"year": "int64", "title": "varchar(200)", "tags": "array<varchar(50),100>"}'

_NUMBERS = {name: number for number, name in SCALARS.items()}
_SIMPLE = re.compile(r"([a-z0-9]+)(?:\((\d+)\))?")
_ARRAY = re.compile(r"array<([^<>,]+?)(?:,(\d+))?>")
_SEEN = {"text": "varchar", "integer": "int64", "number": "double", "boolean": "bool", "object": "json"}
"""What a sample saw -> the type that gives it back exactly."""
_ALIASES = {
    **dict.fromkeys(("boolean",), "bool"),
    **dict.fromkeys(("string", "str", "text", "large_string"), "varchar"),
    **dict.fromkeys(("int", "integer"), "int64"),
    **dict.fromkeys(("float", "float64"), "double"),
    **dict.fromkeys(("object", "dict", "struct"), "json"),
}
"""Names that sources have for their types -> the type that gives their values back exactly."""


@dataclass(frozen=True)
class Field:
    """One scalar field."""

    name: str
    type: int
    max_length: int = 0
    """Bytes of a text, or of a text in an array."""
    nullable: bool = False
    element: int = 0
    """Type of an array's elements."""
    capacity: int = 0
    """Most items of an array; 0 where it is not known."""

    @property
    def kind(self) -> str:
        """The type as people write it, without ``not null``."""
        return spelt(self)


def same_type(there: Field, wanted: Field) -> bool:
    """Return whether a field that exists is of the type that is asked for; Lite does not keep the length of texts in arrays."""
    sizes = ((there.max_length, wanted.max_length), (there.capacity, wanted.capacity))
    return (there.type, there.element) == (wanted.type, wanted.element) and all(has in {0, asked} for has, asked in sizes)


def parse_type(name: str, text: str) -> Field:
    """Return the field that ``text`` describes, nullable unless it says ``not null``. Raise ``ValueError`` saying what is wrong with it."""
    wanted = " ".join(text.lower().split())
    bare = wanted.removesuffix("not null").strip().replace(" ", "")
    nullable = not wanted.endswith("not null")
    if (array := _ARRAY.fullmatch(bare)) is not None:
        item = _simple(name, array[1])
        if item.type == Type.JSON:
            raise ValueError("an array holds no JSON")
        capacity = int(array[2] or CAPACITY)
        if not 1 <= capacity <= CAPACITY:
            raise ValueError(f"an array takes 1 to {CAPACITY} items, not {capacity}")
        return Field(name, Type.Array, item.max_length, nullable, item.type, capacity)
    return replace(_simple(name, bare), nullable=nullable)


def _simple(name: str, text: str) -> Field:
    found = _SIMPLE.fullmatch(text)
    number = _NUMBERS.get(found[1]) if found is not None else None
    if found is None or number is None or number == Type.Array:
        raise ValueError(f"there is no type {text!r}")
    if found[2] is not None and number != Type.VarChar:
        raise ValueError(f"{found[1]} has no length")
    length = int(found[2] or TEXT_LENGTH) if number == Type.VarChar else 0
    if number == Type.VarChar and not 1 <= length <= TEXT_LENGTH:
        raise ValueError(f"a varchar takes 1 to {TEXT_LENGTH} bytes, not {length}")
    return Field(name, number, length)


def spelt(field: Field) -> str:
    """Return the text that ``parse_type`` makes this field of again, but for whether it may be null."""
    if field.type != Type.Array:
        return SCALARS[field.type] + (f"({field.max_length})" if field.type == Type.VarChar and field.max_length else "")
    item = SCALARS.get(field.element, "?") + (f"({field.max_length})" if field.element == Type.VarChar and field.max_length else "")
    return f"array<{item},{field.capacity}>" if field.capacity else f"array<{item}>"


def declared(name: str, kind: str) -> Field | None:
    """Return the field that gives back exactly what a source calls values of type ``kind``; None when there is none."""
    try:
        return parse_type(name, _ALIASES.get(kind, kind))
    except ValueError:
        return None


def proposed(stats: FieldStats) -> Field | None:
    """Return the field that gives back exactly all values that a sample saw under a key; None when no one type does."""
    kinds = [kind for kind, count in stats.types.items() if count]
    if len(kinds) != 1:
        return None
    if kinds[0] != "list":
        return parse_type(stats.name, _SEEN[kinds[0]]) if kinds[0] in _SEEN else None
    items = [kind for kind, count in stats.items.items() if count] or ["text"]
    if len(items) != 1 or items[0] not in _SEEN or items[0] == "object":
        return None
    return parse_type(stats.name, f"array<{_SEEN[items[0]]}>")
