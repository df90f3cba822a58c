"""The data plane through the SDK's REST client: slower, for networks that let no gRPC through."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from migrator.connectors.pinecone.decode import decode_plain
from migrator.connectors.pinecone.failures import translate
from migrator.connectors.pinecone.wire import Marks, Stats, lsn
from migrator.pinecone_protocol import limits
from migrator.pinecone_protocol.names import to_inner
from migrator.records import matrix, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from migrator.connectors.pinecone.control import Control
    from migrator.connectors.pinecone.wire import Fetched, Item

_URL_BYTES = 6_000
"""The SDK puts a fetch's ids into the URL, and gateways refuse those over 8 KB."""


class RestPlane:
    """One SDK client of one index."""

    transport = "REST"
    fetch_ids = 100

    def __init__(self, control: Control, host: str, dimension: int) -> None:
        self.address = host
        self.dimension = dimension
        self.marks = Marks()
        self._index: Any = control.client.index(host=host)

    def _call(self, what: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:
            raise translate(error, what=what, address=self.address) from error

    def stats(self, filter_: Mapping[str, Any] | None = None) -> Stats:
        """Return how many records there are; with a filter (pods only) how many match it."""
        options = {"filter": dict(filter_)} if filter_ else {}
        answer = self._call("read the index statistics", lambda: self._index.describe_index_stats(**options))
        counts: dict[str, int] = {}
        for name, summary in (answer.namespaces or {}).items():
            counts[to_inner(name)] = counts.get(to_inner(name), 0) + summary.vector_count
        return Stats(counts, answer.dimension or 0, answer.metric or "")

    def list_page(self, namespace: str, token: str | None) -> tuple[list[str], str | None]:
        """Return up to 100 ids, in bitwise order, and the token of the next page."""
        options = {"pagination_token": token} if token else {}
        answer = self._call("list ids", lambda: self._index.list_paginated(namespace=namespace, limit=limits.LIST_IDS, **options))
        return [item.id for item in answer.vectors], (answer.pagination.next if answer.pagination else None) or None

    def fetch(self, namespace: str, ids: Sequence[str]) -> Fetched:
        """Return those of ``ids`` that exist."""
        found: dict[str, Any] = {}
        for some in _short_enough(ids):
            found |= self._call(f"fetch {len(some)} records", partial(self._index.fetch, ids=some, namespace=namespace)).vectors
        return decode_plain(found, ids, namespace, self.dimension)

    def query(
        self, namespace: str, vector: Sequence[float], top_k: int, *, filter_: Mapping[str, Any] | None = None, sparse: bool = False
    ) -> list[tuple[str, float]]:
        """Return the nearest as (id, score)."""
        chosen: dict[str, Any] = {"sparse_vector": {"indices": [0], "values": [1.0]}} if sparse else {"vector": list(vector)}
        options = {"filter": dict(filter_)} if filter_ else {}
        answer = self._call("query", lambda: self._index.query(namespace=namespace, top_k=top_k, **chosen, **options))
        return [(match.id, match.score) for match in answer.matches]

    def encode(self, batch: pa.RecordBatch) -> list[Item]:
        """Return each record as it will be sent."""
        values = matrix(batch)
        columns = (batch.column(name).to_pylist() for name in ("id", "metadata", "sparse_values"))
        items: list[Item] = []
        for row, (name, metadata, sparse) in enumerate(zip(*columns, strict=True)):
            record: dict[str, Any] = {"id": name, "values": values[row].tolist()}
            if metadata is not None:
                record["metadata"] = parse_json(metadata)
            if sparse is not None:
                record["sparse_values"] = sparse
            items.append((name, record, len(orjson.dumps(record)) + 1))
        return items

    def upsert(self, namespace: str, items: Sequence[Item]) -> int:
        """Send one request and return how many records the index says it took."""
        wrote = self.marks.writing(namespace)
        vectors = [record for _, record, _ in items]
        answer = self._call(f"write {len(items)} records", lambda: self._index.upsert(vectors=vectors, namespace=namespace, show_progress=False))
        wrote(_headers(answer))
        return int(answer.upserted_count)

    def delete(self, namespace: str, ids: Sequence[str]) -> None:
        """Delete up to 1,000 ids; those that do not exist are no error."""
        wrote = self.marks.writing(namespace, deletes=True)
        answer = self._call(f"delete {len(ids)} records", lambda: self._index.delete(ids=list(ids), namespace=namespace))
        wrote(_headers(answer))

    def set_metadata(self, namespace: str, record: str, fields: Mapping[str, Any]) -> None:
        """Add or overwrite metadata fields of one record; everything else of it stays."""
        wrote = self.marks.writing(namespace)
        answer = self._call(f"mark record {record!r}", lambda: self._index.update(id=record, set_metadata=dict(fields), namespace=namespace))
        wrote(_headers(answer))

    def indexed(self, namespace: str) -> int | None:
        """Return up to which log position reads see the writes, None when the index does not say."""
        answer = self._call("look how fresh reads are", lambda: self._index.fetch(ids=["-"], namespace=namespace))
        return lsn(_headers(answer), "x-pinecone-max-indexed-lsn", "x-pinecone-lsn-reconciled")

    def close(self) -> None:
        """Close the connections. Safe twice."""
        self._index.close()


def _headers(answer: Any) -> dict[str, str]:
    info = getattr(answer, "response_info", None)
    return dict(info.raw_headers) if info is not None else {}


def _short_enough(ids: Sequence[str]) -> list[list[str]]:
    """Return ``ids`` in runs whose URL is short enough."""
    runs: list[list[str]] = []
    size = _URL_BYTES
    for name in ids:
        cost = 3 * len(name) + len("&ids=")  # as if every character were escaped
        if size + cost > _URL_BYTES:
            runs.append([])
            size = 0
        runs[-1].append(name)
        size += cost
    return runs
