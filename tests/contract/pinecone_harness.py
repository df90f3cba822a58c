"""The local Pinecone service for the contract suite, seeded and read with the official SDK over REST."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pinecone import Pinecone, RetryConfig

from migrator.records import dimension_of, to_dicts
from tests.pinecone_server import KEY, KEY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.local_pinecone.server import Server
    from migrator.model import Metric

BATCH = 100


class PineconeHarness:
    """Serverless indexes, read by the connector over gRPC."""

    name = "pinecone"
    can_seed = True
    can_read_back = True
    options = ""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.client = Pinecone(api_key=KEY, host=server.url, retry_config=RetryConfig(max_retries=0))
        self._names: list[str] = []

    def _new_name(self) -> str:
        self._names.append(f"contract-{uuid.uuid4().hex[:12]}")
        return self._names[-1]

    def endpoint(self, name: str) -> str:
        return f"pinecone:{name}?api_key=env:{KEY_VARIABLE}&controller={self.server.url}{self.options}"

    def seed(self, batches: Sequence[pa.RecordBatch], *, metric: Metric) -> str:
        name = self._new_name()
        self.create(name, dimension_of(batches[0]), metric)
        records = [record for batch in batches for record in to_dicts(self.adapt(batch))]
        with self.client.index(name=name) as index:
            for namespace in {record["namespace"]: None for record in records}:
                rows = [_row(record) for record in records if record["namespace"] == namespace]
                for start in range(0, len(rows), BATCH):
                    index.upsert(vectors=rows[start : start + BATCH], namespace=namespace, show_progress=False)
        return self.endpoint(name)

    def create(self, name: str, dimension: int, metric: Metric) -> None:
        fields = {"_values": {"type": "dense_vector", "dimension": dimension, "metric": metric}}
        deployment = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
        self.client.indexes.create(name=name, schema={"fields": fields}, deployment=deployment)

    def new_target(self) -> str:
        return self.endpoint(self._new_name())

    def read_back(self, endpoint: str) -> list[dict[str, object]]:
        name = endpoint.removeprefix("pinecone:").partition("?")[0]
        found: list[dict[str, object]] = []
        with self.client.index(name=name) as index:
            for namespace in index.describe_index_stats().namespaces:
                for page in index.list(namespace=namespace):
                    vectors = index.fetch(ids=[item.id for item in page.vectors], namespace=namespace).vectors
                    found += [_record(vector, namespace) for vector in vectors.values()]
        return found

    def adapt(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the records whose ids are ASCII, in namespaces that are."""
        kept = batch.filter(pc.string_is_ascii(batch.column("id")))
        names = [name if name.isascii() else quote(name) for name in kept.column("namespace").to_pylist()]
        position = kept.schema.get_field_index("namespace")
        return kept.set_column(position, kept.schema.field(position), pa.array(names, pa.string()))

    def close(self) -> None:
        """Delete what the test made."""
        known = {index.name for index in self.client.indexes.list()}
        for name in known.intersection(self._names):
            self.client.indexes.delete(name, timeout=-1)
        self.client.close()


class PineconeRestHarness(PineconeHarness):
    """The same, read and written by the connector over REST."""

    name = "pinecone-rest"
    options = "&transport=rest"


class PineconePodHarness(PineconeHarness):
    """Pod indexes, which cannot list their ids; such as the SDK can no longer create."""

    name = "pinecone-pod"
    can_read_back = False

    def create(self, name: str, dimension: int, metric: Metric) -> None:
        spec = {"pod": {"environment": "us-east1-gcp", "pod_type": "p1.x1", "replicas": 1, "shards": 1, "pods": 1}}
        body = {"name": name, "dimension": dimension, "metric": metric, "spec": spec}
        headers = {"Api-Key": KEY, "X-Pinecone-Api-Version": "2025-10"}
        httpx.post(f"{self.server.url}/indexes", json=body, headers=headers).raise_for_status()


def _row(record: dict[str, Any]) -> dict[str, Any]:
    row = {"id": record["id"], "values": record["values"]}
    return row | {name: record[name] for name in ("metadata", "sparse_values") if record[name]}


def _record(vector: Any, namespace: str) -> dict[str, object]:
    sparse = vector.sparse_values
    return {
        "id": vector.id,
        "namespace": "" if namespace == "__default__" else namespace,
        "values": np.array(vector.values, np.float32),
        "sparse_values": {"indices": list(sparse.indices), "values": list(sparse.values)} if sparse else None,
        "metadata": dict(vector.metadata) if vector.metadata else None,
    }
