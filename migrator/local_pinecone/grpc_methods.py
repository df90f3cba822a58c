"""The methods of Pinecone's VectorService: each turns a request message into one call of the engine, and the answer into a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.local_pinecone.engine.errors import invalid
from migrator.local_pinecone.engine.records import Metadata
from migrator.local_pinecone.grpc_messages import (
    encoded_entries,
    encoded_ids,
    fill,
    filter_of,
    records_of,
    schema_of,
    sparse_of,
    torn,
    torn_sparse,
    values_of,
    whole,
)
from migrator.pinecone_protocol import messages
from migrator.pinecone_protocol.names import to_inner, to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from migrator.local_pinecone.engine import Index
    from migrator.local_pinecone.engine.records import Lsn, NamespaceInfo, Read

M = messages.MESSAGES


class Answer:
    """A response message, perhaps with parts of it encoded already, and the LSN headers that go with it."""

    __slots__ = ("_encoded", "_message", "headers")

    def __init__(self, message: Any, *, written: Lsn | None = None, read: Read[Any] | None = None, encoded: Sequence[bytes] = ()) -> None:
        self._message = message
        self._encoded = encoded
        self.headers: list[tuple[str, str]] = []
        if written is not None:
            self.headers += written.headers.items()
        if read is not None:
            self.headers += read.headers.items()
            if "usage" in message.DESCRIPTOR.fields_by_name:
                message.usage.read_units = read.read_units

    def parts(self) -> list[bytes]:
        """Return the message's bytes, in pieces."""
        return [*self._encoded, self._message.SerializeToString()]


def _upsert(index: Index, request: Any, wire: bytes) -> Answer:
    values = [vector.values for vector in request.vectors]  # once: every access copies
    if torn(request.vectors, values, 4 * (index.dimension or 0)):
        request = whole(M["UpsertRequest"], wire)
        values = [vector.values for vector in request.vectors]
    records = records_of(request.vectors, values)
    written = index.upsert(to_inner(request.namespace), records, len(wire))
    return Answer(M["UpsertResponse"](upserted_count=len(records)), written=written)


def _fetch(index: Index, request: Any, _wire: bytes) -> Answer:
    read = index.fetch(to_inner(request.namespace), list(request.ids))
    return Answer(M["FetchResponse"](namespace=request.namespace), read=read, encoded=encoded_entries(read.value.values()))


def _fetch_by_metadata(index: Index, request: Any, _wire: bytes) -> Answer:
    limit = request.limit if request.HasField("limit") else None
    read = index.fetch_by_metadata(to_inner(request.namespace), filter_of(request), limit, request.pagination_token or None)
    response = M["FetchByMetadataResponse"](namespace=request.namespace)
    if read.value.next_token:
        response.pagination.next = read.value.next_token
    return Answer(response, read=read, encoded=encoded_entries(read.value.records))


def _list(index: Index, request: Any, _wire: bytes) -> Answer:
    limit = request.limit if request.HasField("limit") else None
    read = index.list(to_inner(request.namespace), request.prefix, limit, request.pagination_token or None)
    response = M["ListResponse"](namespace=request.namespace)
    if read.value.next_token:
        response.pagination.next = read.value.next_token
    return Answer(response, read=read, encoded=encoded_ids(read.value.ids))


def _query(index: Index, request: Any, wire: bytes) -> Answer:
    if request.queries:
        raise invalid("'queries' is deprecated and not supported: use 'vector' or 'id'")
    if len(request.vector) != 4 * (index.dimension or 0) or torn_sparse(request.sparse_vector):
        request = whole(M["QueryRequest"], wire)
    read = index.query(
        to_inner(request.namespace),
        request.top_k,
        vector=values_of(request.vector),
        sparse=sparse_of(request, "sparse_vector"),
        id=request.id or None,
        filter=filter_of(request),
        include_values=request.include_values,
        include_metadata=request.include_metadata,
    )
    response = M["QueryResponse"](namespace=request.namespace)
    for match in read.value:
        fill(response.matches.add(score=match.score), match.record)
    return Answer(response, read=read)


def _update(index: Index, request: Any, wire: bytes) -> Answer:
    if len(request.values) != 4 * (index.dimension or 0) or torn_sparse(request.sparse_values):
        request = whole(M["UpdateRequest"], wire)
    updated = index.update(
        to_inner(request.namespace),
        id=request.id or None,
        values=values_of(request.values),
        sparse=sparse_of(request),
        set_metadata=Metadata.from_struct(request.set_metadata) if request.set_metadata else None,
        filter=filter_of(request),
        dry_run=request.dry_run,
    )
    response = M["UpdateResponse"]()
    if updated.matched is not None:
        response.matched_records = updated.matched
    return Answer(response, written=updated.lsn)


def _delete(index: Index, request: Any, _wire: bytes) -> Answer:
    ids: Sequence[str] | None = list(request.ids) or None
    written = index.delete(to_inner(request.namespace), ids=ids, delete_all=request.delete_all, filter=filter_of(request))
    return Answer(M["DeleteResponse"](), written=written)


def _stats(index: Index, request: Any, _wire: bytes) -> Answer:
    stats = index.stats(filter_of(request))
    response = M["DescribeIndexStatsResponse"](index_fullness=stats.fullness, total_vector_count=stats.total)
    for name, value in (("dimension", stats.dimension), ("metric", stats.metric), ("vector_type", stats.vector_type)):
        if value is not None:
            setattr(response, name, value)
    for name, count in stats.namespaces.items():
        response.namespaces.add(key=to_wire(name)).value.vector_count = count
    return Answer(response)


def _describe(info: NamespaceInfo, description: Any) -> Any:
    description.name = to_wire(info.name)
    description.record_count = info.records
    for field, properties in (info.schema or {}).get("fields", {}).items():
        description.schema.fields.add(key=field).value.filterable = bool(properties.get("filterable"))
        description.indexed_fields.fields.append(field)
    return description


def _list_namespaces(index: Index, request: Any, _wire: bytes) -> Answer:
    limit = request.limit if request.HasField("limit") else None
    page = index.namespaces(request.prefix, limit, request.pagination_token or None)
    response = M["ListNamespacesResponse"](total_count=page.total)
    for info in page.namespaces:
        _describe(info, response.namespaces.add())
    if page.next_token:
        response.pagination.next = page.next_token
    return Answer(response)


def _describe_namespace(index: Index, request: Any, _wire: bytes) -> Answer:
    return Answer(_describe(index.namespace(request.namespace), M["NamespaceDescription"]()))


def _create_namespace(index: Index, request: Any, _wire: bytes) -> Answer:
    schema = schema_of(request.schema) if request.HasField("schema") else None
    return Answer(_describe(index.create_namespace(request.name, schema), M["NamespaceDescription"]()))


def _delete_namespace(index: Index, request: Any, _wire: bytes) -> Answer:
    return Answer(M["DeleteResponse"](), written=index.delete_namespace(request.namespace))


HANDLERS: dict[str, Callable[[Index, Any, bytes], Answer]] = {
    "Upsert": _upsert,
    "Fetch": _fetch,
    "FetchByMetadata": _fetch_by_metadata,
    "List": _list,
    "Query": _query,
    "Update": _update,
    "Delete": _delete,
    "DescribeIndexStats": _stats,
    "ListNamespaces": _list_namespaces,
    "DescribeNamespace": _describe_namespace,
    "CreateNamespace": _create_namespace,
    "DeleteNamespace": _delete_namespace,
}
"""Method -> what it does with the index, the parsed request, and the request's own bytes."""
