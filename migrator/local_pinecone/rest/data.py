"""The data plane's routes of one index: vectors, namespaces, bulk imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.local_pinecone.engine.errors import invalid, not_emulated, too_large
from migrator.local_pinecone.rest import vectors
from migrator.local_pinecone.rest.bulk import Bulk
from migrator.local_pinecone.rest.http import Answer, Call, application
from migrator.local_pinecone.rest.spaces import Spaces
from migrator.pinecone_protocol import limits, names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.applications import Starlette

    from migrator.local_pinecone.engine import Engine, Index, Read


def data_app(engine: Engine, index_name: str) -> Starlette:
    """Return the ASGI application of an index's data plane. The index is looked up by name at every request: it may be gone."""
    plane, spaces, bulk = _Data(engine, index_name), Spaces(engine, index_name), Bulk(engine, index_name)
    quick, slow = False, True
    routes = {
        ("POST", "/vectors/upsert"): (plane.upsert, quick),
        ("GET", "/vectors/fetch"): (plane.fetch, quick),
        ("GET", "/vectors/list"): (plane.list, quick),
        ("POST", "/query"): (plane.query, slow),
        ("POST", "/vectors/update"): (plane.update, slow),
        ("POST", "/vectors/delete"): (plane.delete, slow),
        ("DELETE", "/vectors/delete"): (plane.delete, slow),
        ("POST", "/vectors/fetch_by_metadata"): (plane.fetch_by_metadata, slow),
        ("POST", "/describe_index_stats"): (plane.stats, slow),
        ("GET", "/describe_index_stats"): (plane.stats, slow),
        ("GET", "/namespaces"): (spaces.list, quick),
        ("POST", "/namespaces"): (spaces.create, quick),
        ("GET", "/namespaces/{name}"): (spaces.describe, quick),
        ("DELETE", "/namespaces/{name}"): (spaces.delete, quick),
        ("GET", "/bulk/imports"): (bulk.list, quick),
        ("POST", "/bulk/imports"): (bulk.start, quick),
        ("GET", "/bulk/imports/{id}"): (bulk.describe, quick),
        ("DELETE", "/bulk/imports/{id}"): (bulk.cancel, quick),
        ("POST", "/records/namespaces/{name}/upsert"): (plane.integrated, quick),
        ("POST", "/records/namespaces/{name}/search"): (plane.integrated, quick),
    }
    return application(engine, routes, control=False)


class _Data:
    def __init__(self, engine: Engine, index_name: str) -> None:
        self._engine = engine
        self._name = index_name

    @property
    def _index(self) -> Index:
        return self._engine.index(self._name)

    def upsert(self, call: Call) -> Answer:
        if call.size > limits.UPSERT_BYTES:  # before anything is parsed
            raise too_large(call.size, limits.UPSERT_BYTES)
        body = call.json()
        records = [vectors.record_of(one) for one in vectors.items(body, "vectors")]
        lsn = self._index.upsert(_namespace(body), records, call.size)
        return Answer({"upsertedCount": len(records)}, headers=lsn.headers)

    def fetch(self, call: Call) -> Answer:
        namespace = call.query.get("namespace", "")
        read = self._index.fetch(namespace, call.query.getlist("ids"))
        return _read(read, {"vectors": {id_: vectors.shown(record) for id_, record in read.value.items()}, "namespace": namespace})

    def list(self, call: Call) -> Answer:
        namespace = call.query.get("namespace", "")
        read = self._index.list(namespace, call.query.get("prefix", ""), call.number("limit"), call.query.get("paginationToken"))
        shown: dict[str, Any] = {"vectors": [{"id": id_} for id_ in read.value.ids], "namespace": namespace}
        return _read(read, _paged(shown, read.value.next_token))

    def query(self, call: Call) -> Answer:
        body = call.json()
        if vectors.field(body, "queries"):
            raise invalid("'queries' is deprecated and not supported: use 'vector' or 'id'")
        read = self._index.query(
            _namespace(body),
            vectors.whole_number(body, "topK", "top_k") or 0,
            vector=vectors.values_of(vectors.field(body, "vector")),
            sparse=vectors.sparse_of(vectors.field(body, "sparseVector", "sparse_vector")),
            id=vectors.text(body, "id"),
            filter=vectors.filter_of(body),
            include_values=vectors.flag(body, "includeValues", "include_values"),
            include_metadata=vectors.flag(body, "includeMetadata", "include_metadata"),
        )
        matches = [vectors.match(one) for one in read.value]
        return _read(read, {"results": [], "matches": matches, "namespace": _namespace(body)})

    def update(self, call: Call) -> Answer:
        body = call.json()
        updated = self._index.update(
            _namespace(body),
            id=vectors.text(body, "id"),
            values=vectors.values_of(vectors.field(body, "values")),
            sparse=vectors.sparse_of(vectors.field(body, "sparseValues", "sparse_values")),
            set_metadata=vectors.metadata_of(vectors.field(body, "setMetadata", "set_metadata")),
            filter=vectors.filter_of(body),
            dry_run=vectors.flag(body, "dryRun", "dry_run"),
        )
        return Answer({} if updated.matched is None else {"matchedRecords": updated.matched}, headers=updated.lsn.headers)

    def delete(self, call: Call) -> Answer:
        body = call.json()
        ids = [one if isinstance(one, str) else str(one) for one in vectors.items(body, "ids")]
        lsn = self._index.delete(_namespace(body), ids=ids, delete_all=vectors.flag(body, "deleteAll", "delete_all"), filter=vectors.filter_of(body))
        return Answer({}, headers=lsn.headers)

    def fetch_by_metadata(self, call: Call) -> Answer:
        body = call.json()
        token = vectors.text(body, "paginationToken", "pagination_token")
        read = self._index.fetch_by_metadata(_namespace(body), vectors.filter_of(body), vectors.whole_number(body, "limit"), token)
        shown: dict[str, Any] = {"vectors": {one.id: vectors.shown(one) for one in read.value.records}, "namespace": _namespace(body)}
        return _read(read, _paged(shown, read.value.next_token))

    def stats(self, call: Call) -> Answer:
        stats = self._index.stats(vectors.filter_of(call.json()))
        shown = {
            "namespaces": {names.to_wire(name): {"vectorCount": count} for name, count in stats.namespaces.items()},
            "indexFullness": stats.fullness,
            "totalVectorCount": stats.total,
            "metric": stats.metric,
            "vectorType": stats.vector_type,
        }
        return Answer(shown if stats.dimension is None else {**shown, "dimension": stats.dimension})

    def integrated(self, _: Call) -> Answer:
        raise not_emulated("Integrated embedding")


def _namespace(body: Mapping[str, Any]) -> str:
    return vectors.text(body, "namespace") or ""


def _read(read: Read[Any], shown: dict[str, Any]) -> Answer:
    return Answer({**shown, "usage": {"readUnits": read.read_units}}, headers=read.headers)


def _paged(shown: dict[str, Any], token: str | None) -> dict[str, Any]:
    return shown if token is None else {**shown, "pagination": {"next": token}}
