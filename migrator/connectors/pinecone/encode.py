"""Records on their way out: encoded one by one, measured, and packed into requests that Pinecone takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from migrator.connectors.pinecone.metadata import to_wire
from migrator.pinecone_protocol import limits
from migrator.pinecone_protocol.messages import MESSAGES
from migrator.pinecone_protocol.names import to_inner
from migrator.records import matrix
from migrator.varint import varint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from migrator.connectors.pinecone.wire import Item

REQUEST_BYTES = 2_000_000
"""What a request may carry: below 2 MB however Pinecone counts a MB, with room for the namespace."""
_Vector: Any = MESSAGES["Vector"]
_SparseValues: Any = MESSAGES["SparseValues"]


def by_namespace(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the rows of each namespace."""
    distinct = batch.column("namespace").unique().to_pylist()
    if len(distinct) == 1:
        yield to_inner(distinct[0]), batch
        return
    for namespace in sorted(distinct):
        yield to_inner(namespace), batch.filter(pc.equal(batch.column("namespace"), namespace))


def encode_vectors(batch: pa.RecordBatch) -> list[Item]:
    """Return each record as an entry of ``UpsertRequest.vectors``, tag and length included: entries laid end to end make the request."""
    values = matrix(batch)
    ids, metadata, sparse = batch.column("id").to_pylist(), batch.column("metadata").to_pylist(), batch.column("sparse_values").to_pylist()
    items: list[Item] = []
    for row, name in enumerate(ids):
        message = _Vector(id=name, values=values[row].tobytes())
        if metadata[row] is not None:
            message.metadata = to_wire(metadata[row])
        if sparse[row] is not None:
            message.sparse_values.CopyFrom(sparse_message(sparse[row]["indices"], sparse[row]["values"]))
        encoded = message.SerializeToString()
        entry = b"\n%b%b" % (varint(len(encoded)), encoded)
        items.append((name, entry, len(entry)))
    return items


def sparse_message(indices: Sequence[int], weights: Sequence[float]) -> Any:
    """Return a ``SparseValues`` message."""
    return _SparseValues(indices=indices, values=np.asarray(weights, "<f4").tobytes())


def packed(items: Sequence[Item], *, most_bytes: int = REQUEST_BYTES, most_records: int = limits.UPSERT_RECORDS) -> Iterator[Sequence[Item]]:
    """Yield ``items`` in runs of at most ``most_records`` and ``most_bytes``; a record larger than that goes alone, for Pinecone to judge."""
    start, size = 0, 0
    for place, (_, _, bytes_) in enumerate(items):
        if place > start and (size + bytes_ > most_bytes or place - start == most_records):
            yield items[start:place]
            start, size = place, 0
        size += bytes_
    if start < len(items):
        yield items[start:]
