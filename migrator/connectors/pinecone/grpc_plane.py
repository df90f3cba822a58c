"""The data plane over gRPC, with messages of our own: vectors travel as the bytes they are, five times as fast as through the SDK."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import numpy as np

from migrator.connectors.pinecone.decode import decode_fetched
from migrator.connectors.pinecone.encode import encode_vectors
from migrator.connectors.pinecone.failures import rpc_metadata, translate
from migrator.connectors.pinecone.wire import Marks, Stats, lsn
from migrator.pinecone_protocol import limits
from migrator.pinecone_protocol.encoding import sparse_message
from migrator.pinecone_protocol.messages import METHODS, path
from migrator.pinecone_protocol.names import to_inner
from migrator.pinecone_protocol.struct import dict_to_struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from migrator.connectors.pinecone.options import Settings
    from migrator.connectors.pinecone.wire import Fetched, Item

VERSION = "2025-10"
CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_time_ms", 30_000),
)
_FETCH_BYTES = 2_000_000
"""Bytes of vectors worth asking for at once."""


class GrpcPlane:
    """One channel to one index."""

    transport = "gRPC"

    def __init__(self, settings: Settings, host: str, dimension: int) -> None:
        self.address = host
        self.dimension = dimension
        self.fetch_ids = max(50, min(limits.FETCH_IDS, _FETCH_BYTES // (4 * dimension + 400)))
        self.marks = Marks()
        self._timeout = settings.timeout
        self._metadata = (("api-key", settings.api_key), ("x-pinecone-api-version", VERSION))
        self._channel = _channel(host)
        self._methods = {name: self._method(name) for name in METHODS}

    def _method(self, name: str) -> Any:
        request, response = METHODS[name]
        del request
        # an upsert comes encoded, a fetch is decoded where its answer is put together
        serialize = None if name == "Upsert" else lambda message: message.SerializeToString()
        return self._channel.unary_unary(path(name), request_serializer=serialize, response_deserializer=None if name == "Fetch" else response.FromString)

    def _call(self, name: str, request: Any, what: str) -> tuple[Any, dict[str, str]]:
        """Return the answer and its metadata. ``what`` is the verb phrase of the error a failure becomes."""
        try:
            answer, call = self._methods[name].with_call(request, metadata=self._metadata, timeout=self._timeout)
        except (grpc.RpcError, ValueError) as error:  # grpc raises ValueError on a closed channel
            raise translate(error, what=what, address=self.address) from error
        return answer, rpc_metadata(call)

    def _new(self, name: str, **fields: Any) -> Any:
        return METHODS[name][0](**fields)

    def stats(self, filter_: Mapping[str, Any] | None = None) -> Stats:
        """Return how many records there are; with a filter (pods only) how many match it."""
        request = self._new("DescribeIndexStats", **({"filter": dict_to_struct(filter_)} if filter_ else {}))
        answer, _ = self._call("DescribeIndexStats", request, "read the index statistics")
        counts: dict[str, int] = {}
        for entry in answer.namespaces:  # "" and __default__ are one namespace, whichever the index says
            counts[to_inner(entry.key)] = counts.get(to_inner(entry.key), 0) + entry.value.vector_count
        return Stats(counts, answer.dimension, answer.metric)

    def list_page(self, namespace: str, token: str | None) -> tuple[list[str], str | None]:
        """Return up to 100 ids, in bitwise order, and the token of the next page."""
        request = self._new("List", namespace=namespace, limit=limits.LIST_IDS, **({"pagination_token": token} if token else {}))
        answer, _ = self._call("List", request, "list ids")
        return [item.id for item in answer.vectors], answer.pagination.next or None

    def fetch(self, namespace: str, ids: Sequence[str]) -> Fetched:
        """Return those of ``ids`` that exist."""
        wire, _ = self._call("Fetch", self._new("Fetch", ids=ids, namespace=namespace), f"fetch {len(ids)} records")
        return decode_fetched(wire, ids, namespace, self.dimension)

    def query(
        self, namespace: str, vector: Sequence[float], top_k: int, *, filter_: Mapping[str, Any] | None = None, sparse: bool = False
    ) -> list[tuple[str, float]]:
        """Return the nearest as (id, score)."""
        request = self._new("Query", namespace=namespace, top_k=top_k)
        if sparse:
            request.sparse_vector.CopyFrom(sparse_message([0], [1.0]))
        else:
            request.vector = np.asarray(vector, "<f4").tobytes()
        if filter_:
            request.filter = dict_to_struct(filter_)
        answer, _ = self._call("Query", request, "query")
        return [(match.id, match.score) for match in answer.matches]

    def encode(self, batch: pa.RecordBatch) -> list[Item]:
        """Return each record as it will be sent."""
        return encode_vectors(batch)

    def upsert(self, namespace: str, items: Sequence[Item]) -> int:
        """Send one request and return how many records the index says it took."""
        wrote = self.marks.writing(namespace)
        rest = self._new("Upsert", namespace=namespace).SerializeToString()
        body = b"".join([*chain.from_iterable(pieces for _, pieces, _ in items), rest])
        answer, headers = self._call("Upsert", body, f"write {len(items)} records")
        wrote(headers)
        return int(answer.upserted_count)

    def delete(self, namespace: str, ids: Sequence[str]) -> None:
        """Delete up to 1,000 ids; those that do not exist are no error."""
        wrote = self.marks.writing(namespace, deletes=True)
        _, headers = self._call("Delete", self._new("Delete", ids=ids, namespace=namespace), f"delete {len(ids)} records")
        wrote(headers)

    def set_metadata(self, namespace: str, record: str, fields: Mapping[str, Any]) -> None:
        """Add or overwrite metadata fields of one record; everything else of it stays."""
        wrote = self.marks.writing(namespace)
        request = self._new("Update", namespace=namespace, id=record, set_metadata=dict_to_struct(fields))
        _, headers = self._call("Update", request, f"mark record {record!r}")
        wrote(headers)

    def indexed(self, namespace: str) -> int | None:
        """Return up to which log position reads see the writes, None when the index does not say."""
        _, headers = self._call("Fetch", self._new("Fetch", ids=["-"], namespace=namespace), "look how fresh reads are")
        return lsn(headers, "x-pinecone-max-indexed-lsn", "x-pinecone-lsn-reconciled")

    def close(self) -> None:
        """Close the channel. Safe twice."""
        self._channel.close()


def _channel(host: str) -> grpc.Channel:
    parts = urlsplit(host)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    if parts.scheme == "http":
        return grpc.insecure_channel(f"{name}:{parts.port or 80}", options=CHANNEL_OPTIONS)
    return grpc.secure_channel(f"{name}:{parts.port or 443}", grpc.ssl_channel_credentials(), options=CHANNEL_OPTIONS)
