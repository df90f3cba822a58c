"""Dense vectors as each kind of vector field keeps them: float32 on our side, the field's own bytes on the other, exact both ways or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pymilvus.grpc_gen import common_pb2, schema_pb2

from migrator.connectors.milvus.fieldtypes import Type
from migrator.varint import varint

if TYPE_CHECKING:
    import numpy.typing as npt

_PACKED_FLOATS = b"\x0a"
"""The tag of ``FloatArray.data``: field 1, packed."""
_NEGATIVE_ZERO = np.uint32(0x80000000)


@dataclass(frozen=True)
class Kind:
    """A kind of dense vector field."""

    option: str
    """As ``vector_type=`` names it."""
    type: int
    slot: str
    """Where its bytes lie in a protobuf message (schema.proto, VectorField)."""
    bits: int
    """A component takes."""
    since: tuple[int, int]
    """The first release that can hold *and search* it; Milvus Lite has float32 only."""


KINDS = (
    Kind("float32", Type.FloatVector, "float_vector", 32, (0, 0)),
    # 2.3.5 takes float16 and gives it back exactly, but its searches answer at random (seen with the SDK alone, FLAT and COSINE)
    Kind("float16", Type.Float16Vector, "float16_vector", 16, (2, 4)),
    Kind("bfloat16", Type.BFloat16Vector, "bfloat16_vector", 16, (2, 4)),  # 2.3.5 stores it and refuses every index, so it cannot be loaded
    Kind("binary", Type.BinaryVector, "binary_vector", 1, (2, 0)),
    Kind("int8", Type.Int8Vector, "int8_vector", 8, (2, 6)),
)
BY_TYPE = {kind.type: kind for kind in KINDS}
BY_OPTION = {kind.option: kind for kind in KINDS}


def inexact(kind: int, values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return which rows of ``values`` (rows, dimension) a field of type ``kind`` cannot give back bit for bit."""
    if kind == Type.FloatVector:
        return np.zeros(len(values), bool)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    if kind == Type.BFloat16Vector:
        return np.asarray((bits & np.uint32(0xFFFF)).any(axis=1))
    if kind == Type.Float16Vector:
        with np.errstate(over="ignore"):
            back = values.astype(np.float16).astype(np.float32)
        return np.asarray((back.view(np.uint32) != bits).any(axis=1))
    whole = values == np.trunc(values)
    least, greatest = (0, 1) if kind == Type.BinaryVector else (-128, 127)
    good = whole & (values >= least) & (values <= greatest) & (bits != _NEGATIVE_ZERO)
    return np.asarray(~good.all(axis=1))


def encode(kind: int, values: npt.NDArray[np.float32]) -> bytes:
    """Return ``values`` as the bytes of a field of type ``kind``; they must be exact (``inexact``)."""
    if kind == Type.Float16Vector:
        return values.astype("<f2").tobytes()
    if kind == Type.BFloat16Vector:
        return (np.ascontiguousarray(values, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    if kind == Type.BinaryVector:
        return np.packbits(values != 0, axis=1).tobytes()  # the first component is the highest bit, as the SDK's own examples pack them
    if kind == Type.Int8Vector:
        return values.astype(np.int8).tobytes()
    return np.ascontiguousarray(values, "<f4").tobytes()


def decode(kind: int, raw: bytes, dimension: int) -> npt.NDArray[np.float32]:
    """Return the vectors in ``raw`` as float32 (rows, dimension), exactly. Raise ``ValueError`` when its length is none of whole vectors."""
    if kind == Type.Float16Vector:
        return np.frombuffer(raw, "<f2").astype(np.float32).reshape(-1, dimension)
    if kind == Type.BFloat16Vector:
        return (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4").reshape(-1, dimension)
    if kind == Type.BinaryVector:
        return np.unpackbits(np.frombuffer(raw, np.uint8).reshape(-1, dimension // 8), axis=1).astype(np.float32)
    if kind == Type.Int8Vector:
        return np.frombuffer(raw, np.int8).astype(np.float32).reshape(-1, dimension)
    return np.frombuffer(raw, "<f4").reshape(-1, dimension)


def field_data(name: str, kind: int, values: npt.NDArray[np.float32]) -> Any:
    """Return a vector field of a write request. Packed floats are their little-endian bytes, so parsing bytes copies the matrix once."""
    data = schema_pb2.FieldData(type=kind, field_name=name)
    data.vectors.dim = values.shape[1]
    raw = encode(kind, values)
    if kind == Type.FloatVector:
        data.vectors.float_vector.MergeFromString(_PACKED_FLOATS + varint(len(raw)) + raw)
    else:
        setattr(data.vectors, BY_TYPE[kind].slot, raw)
    return data


def raw_of(data: Any, kind: int) -> bytes:
    """Return the bytes of a vector field of an answer. A ``FloatArray`` serialised again is a tag, a length, and the floats as bytes."""
    if kind != Type.FloatVector:
        return bytes(getattr(data.vectors, BY_TYPE[kind].slot))
    floats = data.vectors.float_vector
    encoded: bytes = floats.SerializeToString()
    return encoded[len(encoded) - 4 * len(floats.data) :]


def placeholder(kind: int) -> Any:
    """Return how a search names vectors of this kind."""
    return getattr(common_pb2.PlaceholderType, Type.Name(kind))
