"""Records on their way out: encoded one by one, measured, and packed into requests that Pinecone takes."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors.pinecone.metadata import to_wire
from migrator.pinecone_protocol import limits
from migrator.pinecone_protocol.encoding import sparse_message, vector_parts
from migrator.pinecone_protocol.names import to_inner
from migrator.records import bytes_of_rows, matrix
from migrator.varint import varint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from migrator.connectors.pinecone.wire import Item

REQUEST_BYTES = 2_000_000
"""What a request may carry: below 2 MB however Pinecone counts a MB, with room for the namespace."""


def by_namespace(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the rows of each namespace."""
    distinct = batch.column("namespace").unique().to_pylist()
    if len(distinct) == 1:
        yield to_inner(distinct[0]), batch
        return
    for namespace in sorted(distinct):
        yield to_inner(namespace), batch.filter(pc.equal(batch.column("namespace"), namespace))


def encode_vectors(batch: pa.RecordBatch) -> list[Item]:
    """Return each record as the pieces of an entry of ``UpsertRequest.vectors``: entries laid end to end make the request."""
    ids, metadata = pc.cast(batch.column("id"), pa.binary()).to_pylist(), batch.column("metadata").to_pylist()
    items: list[Item] = []
    for name, values, text, sparse in zip(ids, bytes_of_rows(matrix(batch)), metadata, _sparse_messages(batch), strict=True):
        before, dense, after = vector_parts(name, values, None if text is None else to_wire(text), sparse)
        size = len(before) + len(dense) + len(after)
        head = b"\n%b%b" % (varint(size), before)
        items.append((name.decode(), (head, dense, after), len(head) + len(dense) + len(after)))
    return items


def _sparse_messages(batch: pa.RecordBatch) -> Iterable[bytes | None]:
    column = batch.column("sparse_values")
    if column.null_count == len(column):
        return repeat(None, len(column))
    return [row and sparse_message(row["indices"], row["values"]).SerializeToString() for row in column.to_pylist()]


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
