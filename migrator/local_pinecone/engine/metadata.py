"""A record's metadata: kept as it arrived, a ``Struct``'s bytes or a JSON object, and turned into the other form when that is asked for."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from migrator.local_pinecone.engine.errors import ApiError, invalid
from migrator.pinecone_protocol import limits
from migrator.pinecone_protocol.struct import dict_to_struct, struct_to_dict
from migrator.records import dump_json
from migrator.varint import varint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HARMLESS = re.compile(rb"(?:\n\x02\x12\x00|\n.\x12.\x32[\x00-\x76](?:\n\x00)*)*", re.DOTALL)
"""Any number of fields, each an empty value or a list of empty values; the lengths are right, because protobuf wrote them."""
_MAYBE_NOT_FINITE = re.compile(rb"[\xf0-\xff][\x7f\xff]")
_EXACT = 2**53
_JSON_GROWTH = 6
"""A byte of a ``Struct`` is at most so many bytes of JSON (an escaped control character); sizes below need no exact count."""


class Metadata:
    """The fields of one record, at least one.

    The service counts 40 KB; of what is not published: here it is the JSON text without spaces, UTF-8, whichever way the metadata came.
    """

    __slots__ = ("_fields", "_struct")

    def __init__(self, struct: bytes | None, fields: dict[str, Any] | None) -> None:
        self._struct = struct
        self._fields = fields

    @classmethod
    def from_struct(cls, struct: bytes) -> Metadata:
        """Take the wire bytes of a ``google.protobuf.Struct``. Raise ``ApiError`` for what metadata cannot be."""
        metadata = cls(struct, None)
        if not _only_scalars(struct):
            _check(metadata.fields)
        if len(struct) * _JSON_GROWTH > limits.METADATA_BYTES:
            metadata.check_size()
        return metadata

    @classmethod
    def from_structs(cls, structs: Sequence[bytes]) -> list[Metadata | None]:
        """Take what ``from_struct`` takes, many at once in a fifth of the time; empty ones become None."""
        if not _all_only_scalars([struct for struct in structs if struct]):
            return [cls.from_struct(struct) if struct else None for struct in structs]
        taken = [cls(struct, None) if struct else None for struct in structs]
        for metadata, struct in zip(taken, structs, strict=True):
            if metadata is not None and len(struct) * _JSON_GROWTH > limits.METADATA_BYTES:
                metadata.check_size()
        return taken

    @classmethod
    def from_json_object(cls, fields: Mapping[str, Any]) -> Metadata:
        """Take a decoded JSON object; numbers become 64-bit floats, as the service keeps them. Raise ``ApiError`` for what metadata cannot be."""
        _check(fields)
        metadata = cls(None, {name: _as_number(value) for name, value in fields.items()})
        metadata.check_size()
        return metadata

    @property
    def struct(self) -> bytes:
        """The wire bytes of a ``google.protobuf.Struct``."""
        if self._struct is None:
            self._struct = dict_to_struct(self.fields)
        return self._struct

    @property
    def fields(self) -> dict[str, Any]:
        """Field -> string, number, boolean or list of strings. Not to be changed."""
        if self._fields is None:
            self._fields = _decode(self.struct)
        return self._fields

    @property
    def size(self) -> int:
        """The bytes counted against 40 KB."""
        return len(dump_json(self.fields).encode())

    def merged(self, changes: Metadata) -> Metadata:
        """Return these fields with those of ``changes`` added or replaced, as an update does."""
        return Metadata(None, {**self.fields, **changes.fields})

    def check_size(self) -> None:
        """Raise ``ApiError`` beyond 40 KB."""
        size = self.size
        if size > limits.METADATA_BYTES:
            raise invalid(f"metadata size is {size} bytes, which exceeds the limit of {limits.METADATA_BYTES} bytes per vector")


def _decode(struct: bytes) -> dict[str, Any]:
    try:
        return struct_to_dict(struct)
    except ValueError as error:
        raise invalid(f"Invalid metadata: {error}") from None


def _check(fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        if isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
            continue
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            continue
        shown = dump_json(value)[:100] if not isinstance(value, float) else str(value)
        raise invalid(f"Metadata value must be a string, number, boolean or list of strings, got '{shown}' for field '{name}'")


def _as_number(value: Any) -> Any:
    # beyond 2**53 an integer is no longer one of the numbers a 64-bit float can hold
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return float(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


def _only_scalars(struct: bytes) -> bool:
    """Tell quickly whether every value is a string, a boolean, a finite number or a short list of strings.

    The checking message knows nothing of those kinds: once what it does not know is discarded, nothing but empty values may be left.
    """
    checked = _CHECKED()
    try:
        checked.ParseFromString(struct)
    except DecodeError as error:
        raise invalid(f"Invalid metadata: {error}") from None
    checked.DiscardUnknownFields()
    left: bytes = checked.SerializeToString()
    if not _HARMLESS.fullmatch(left):
        return False
    return not ((b"\x7f" in struct or b"\xff" in struct) and _MAYBE_NOT_FINITE.search(struct))


def _all_only_scalars(structs: Sequence[bytes]) -> bool:
    """Tell the same of many at once; no is the answer to broken bytes too."""
    try:
        # laid end to end, Structs are one Struct: but only if each is whole, which shows when it stands in a frame of its own
        _MANY.FromString(b"".join(b"\n%b%b" % (varint(len(struct)), struct) for struct in structs))
        return _only_scalars(b"".join(structs))
    except (DecodeError, ApiError):
        return False


def _checking_messages() -> tuple[Any, Any]:
    """Return the class of a ``Struct`` whose values know only null, nested objects and lists, and whose lists' items know all but strings.

    And the class of a message of many of them.
    """
    file = descriptor_pb2.FileDescriptorProto(name="local_metadata.proto", package="local_metadata", syntax="proto3")
    value, entry, struct, item, items, many = (file.message_type.add(name=name) for name in ("Value", "Entry", "Struct", "Item", "Items", "Many"))
    kinds = (("null", 1, 5), ("nested", 5, 12))  # int32 and bytes; a oneof has presence even when empty
    for message, known in ((value, kinds), (item, (*kinds, ("number", 2, 1), ("truth", 4, 8), ("list", 6, 12)))):
        for name, number, kind in known:
            message.field.add(name=name, number=number, type=kind, label=1, oneof_index=0)
        message.oneof_decl.add(name="kind")
    value.field.add(name="list", number=6, type=11, label=1, oneof_index=0, type_name=".local_metadata.Items")
    items.field.add(name="values", number=1, type=11, label=3, type_name=".local_metadata.Item")
    entry.field.add(name="value", number=2, type=11, label=1, type_name=".local_metadata.Value")
    struct.field.add(name="fields", number=1, type=11, label=3, type_name=".local_metadata.Entry")
    many.field.add(name="structs", number=1, type=11, label=3, type_name=".local_metadata.Struct")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    classes = [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"local_metadata.{name}")) for name in ("Struct", "Many")]
    return classes[0], classes[1]


_CHECKED, _MANY = _checking_messages()
