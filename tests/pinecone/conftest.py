"""A local Pinecone service of each test's own, whose behaviour a test may change, seeded and read with the official SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from pinecone import Pinecone, RetryConfig

from migrator import retry
from migrator.connectors import pinecone
from migrator.local_pinecone.server import running
from migrator.service import PlanOptions, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from migrator.local_pinecone.server import Server

KEY = "key-of-the-tests"


class Account:
    """The local service and the SDK's client of it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.settings = server.engine.settings
        self.client = Pinecone(api_key=KEY, host=server.url, retry_config=RetryConfig(max_retries=0))

    def create(self, name: str, dimension: int = 3, metric: str = "cosine", *, pod: bool = False) -> None:
        if pod:
            spec = {"pod": {"environment": "us-east1-gcp", "pod_type": "p1.x1", "replicas": 1, "shards": 1, "pods": 1}}
            body = {"name": name, "dimension": dimension, "metric": metric, "spec": spec}
            headers = {"Api-Key": KEY, "X-Pinecone-Api-Version": "2025-10"}
            httpx.post(f"{self.server.url}/indexes", json=body, headers=headers).raise_for_status()
            return
        fields = {"_values": {"type": "dense_vector", "dimension": dimension, "metric": metric}}
        deployment = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
        self.client.indexes.create(name=name, schema={"fields": fields}, deployment=deployment)

    def fill(self, name: str, rows: Sequence[Mapping[str, Any]], namespace: str = "") -> None:
        with self.client.index(name=name) as index:
            for start in range(0, len(rows), 1_000):
                index.upsert(vectors=[dict(row) for row in rows[start : start + 1_000]], namespace=namespace, show_progress=False)

    def read(self, name: str, namespace: str = "") -> dict[str, Any]:
        """Return id -> (values, sparse values, metadata) of a serverless index."""
        found: dict[str, Any] = {}
        with self.client.index(name=name) as index:
            for page in index.list(namespace=namespace):
                vectors = index.fetch(ids=[item.id for item in page.vectors], namespace=namespace).vectors
                found |= {key: plain(vector) for key, vector in vectors.items()}
        return found

    def namespaces(self, name: str) -> dict[str, int]:
        with self.client.index(name=name) as index:
            counts = index.describe_index_stats().namespaces
        return {"" if key == "__default__" else key: value.vector_count for key, value in counts.items()}


def plain(vector: Any) -> tuple[Any, ...]:
    sparse = vector.sparse_values
    return (
        np.array(vector.values, np.float32).tobytes(),
        dict(zip(sparse.indices, sparse.values, strict=True)) if sparse else None,
        dict(vector.metadata) if vector.metadata else None,
    )


def rows(count: int, *, start: int = 0, dimension: int = 3, **fields: Any) -> list[dict[str, Any]]:
    """Return ``count`` records ``r0``, ``r1`` … with distinct vectors."""
    return [{"id": f"r{n}", "values": [n + 1.0, *[0.5] * (dimension - 1)], "metadata": {"n": n}, **fields} for n in range(start, start + count)]


@pytest.fixture
def account(monkeypatch) -> Iterator[Account]:
    with running() as server:
        monkeypatch.setenv("PINECONE_API_KEY", KEY)
        monkeypatch.setenv("PINECONE_CONTROLLER_HOST", server.url)
        monkeypatch.setattr(pinecone, "SETTLING_SECONDS", 0.0)  # what is written is seen at once, unless a test says otherwise
        yield Account(server)


@pytest.fixture
def service(tmp_path, monkeypatch) -> Iterator[Service]:
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.005)
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    opened = Service(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def copy(service) -> Callable[..., dict[str, Any]]:
    """Return a function that plans, runs and proves a copy, and returns its result with the status."""

    def run(source: str = "pinecone:a", target: str = "pinecone:b", **options: Any) -> dict[str, Any]:
        name = service.start(service.plan(source, target, PlanOptions(**options)))
        status = service.wait(name, 60)
        finished = status["status"] in {"proven", "differs", "incomplete"}
        return {**status, **(service.result(name) if finished else {})}

    return run
