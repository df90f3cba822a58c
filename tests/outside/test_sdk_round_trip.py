"""The official Python SDK as installed, over REST and over gRPC, against the local service: the quick look from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pinecone import Pinecone, ServerlessSpec
from pinecone.errors import NotFoundError, UnauthorizedError

from migrator.local_pinecone.engine import Settings
from migrator.local_pinecone.server import Server, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(Settings(api_keys={"right"})) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Pinecone:
    return Pinecone(api_key="right", host=server.url, grpc_scheme="http")


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_a_round_trip(client: Pinecone, grpc: bool) -> None:  # noqa: FBT001
    name = f"round-{'grpc' if grpc else 'rest'}"
    client.indexes.create(name=name, dimension=4, metric="dotproduct", spec=ServerlessSpec(cloud="aws", region="us-east-1"))
    described = client.indexes.describe(name)
    assert described.status.ready
    index: Any = client.index(name, grpc=grpc)
    values = np.array([0.1, -2.5, 3e-30, 7], np.float32)
    record = {"id": "a", "values": values.tolist(), "sparse_values": {"indices": [3, 70_000], "values": [0.5, 0.25]}, "metadata": {"k": 1, "標題": "第一"}}
    assert index.upsert(vectors=[record, {"id": "b", "values": [1, 2, 3, 4]}], namespace="n").upserted_count == 2
    found = index.fetch(ids=["a", "b", "missing"], namespace="n").vectors
    assert sorted(found) == ["a", "b"]
    assert np.array_equal(np.array(found["a"].values, np.float32), values)
    assert dict(found["a"].metadata) == {"k": 1, "標題": "第一"}
    assert list(found["a"].sparse_values.indices) == [3, 70_000]
    assert index.query(vector=[0, 0, 0, 1], top_k=1, namespace="n").matches[0].id == "a"
    assert [match.id for match in index.query(id="a", top_k=2, namespace="n", filter={"k": {"$eq": 1}}).matches] == ["a"]
    index.update(id="b", set_metadata={"k": 2}, namespace="n")
    index.delete(ids=["a"], namespace="n")
    assert index.describe_index_stats().namespaces["n"].vector_count == 1
    client.indexes.delete(name)
    with pytest.raises(NotFoundError):
        client.indexes.describe(name)


def test_a_wrong_key_is_refused(server: Server) -> None:
    with pytest.raises(UnauthorizedError):
        list(Pinecone(api_key="wrong", host=server.url).indexes.list())
