"""Between gRPC messages and the engine's records: vectors stay the bytes they are on the wire, metadata stays the ``Struct`` it came as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.message import DecodeError

from migrator.local_pinecone.engine.errors import invalid
from migrator.local_pinecone.engine.records import Metadata, Record
from migrator.pinecone_protocol import messages
from migrator.pinecone_protocol.struct import struct_to_dict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migrator.local_pinecone.engine.records import Sparse, Values


def torn(vectors: Iterable[Any], size: int) -> bool:
    """Tell whether a raw message may have lost floats of ``vectors``, because they were not packed in one piece.

    ``size`` is the length of a whole vector in bytes. A vector that is too short for another reason is refused all the same.
    """
    return any(len(vector.values) != size or (vector.HasField("sparse_values") and torn_sparse(vector.sparse_values)) for vector in vectors)


def torn_sparse(sparse: Any) -> bool:
    """Tell the same of a sparse vector."""
    return len(sparse.values) != 4 * len(sparse.indices)


def whole(kind: Any, wire: bytes) -> Any:
    """Read a message again in which ``torn`` found something. Raise ``ApiError`` when its bytes are no floats at all."""
    try:
        return messages.canonical(kind, wire)
    except DecodeError as error:
        raise invalid(f"The request is no {kind.DESCRIPTOR.name}: {error}") from None


def record_of(vector: Any) -> Record:
    """Return a ``Vector`` as a record; its values are a read-only view."""
    values, metadata = vector.values, vector.metadata  # once each: every access copies
    return Record(
        vector.id,
        messages.floats(values) if values else None,
        sparse_of(vector),
        Metadata.from_struct(metadata) if metadata else None,
    )


def values_of(values: bytes) -> Values | None:
    """Return dense values, None when there are none."""
    return messages.floats(values) if values else None


def sparse_of(message: Any, field: str = "sparse_values") -> Sparse | None:
    """Return the sparse vector of ``message``, None when it has none. Raise ``ApiError`` when it is none."""
    if not message.HasField(field):
        return None
    sparse = getattr(message, field)
    if torn_sparse(sparse):
        raise invalid(f"Sparse vector has {len(sparse.indices)} indices but {len(sparse.values) // 4} values")
    return np.array(sparse.indices, np.uint32), messages.floats(sparse.values)


def filter_of(message: Any) -> dict[str, Any] | None:
    """Return the filter, None when there is none. Raise ``ApiError`` when it is no ``Struct``."""
    if not message.HasField("filter"):
        return None
    try:
        return struct_to_dict(message.filter)
    except ValueError as error:
        raise invalid(f"Invalid filter: {error}") from None


def fill(vector: Any, record: Record) -> None:
    """Write a record into a ``Vector`` or ``ScoredVector``."""
    vector.id = record.id
    if record.values is not None:
        vector.values = record.values.tobytes()
    if record.metadata is not None:
        vector.metadata = record.metadata.struct
    if record.sparse is not None:
        indices, weights = record.sparse
        vector.sparse_values.indices.extend(indices.tolist())
        vector.sparse_values.values = weights.tobytes()


def schema_of(schema: Any) -> dict[str, Any]:
    """Return a ``MetadataSchema`` as REST writes it."""
    return {"fields": {field.key: {"filterable": field.value.filterable} for field in schema.fields}}
