"""Milvus for the contract suite, seeded and read with pymilvus only."""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np
import pyarrow as pa
from milvus_lite.server_manager import server_manager_instance
from pymilvus import DataType, MilvusClient

from migrator.records import SPARSE_TYPE, to_dicts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from migrator.model import Metric
    from tests.servers import MilvusServer

METRICS = {"cosine": "COSINE", "dotproduct": "IP", "euclidean": "L2"}
KEY, VECTOR, SPARSE, NAMESPACE = "seed_key", "seed_vector", "seed_sparse", "seed_tenant"
"""Field names of seeded collections: such as the connector does not choose, and no test's metadata uses."""
TOKEN_VARIABLE = "MIGRATOR_TEST_MILVUS_TOKEN"


class _MilvusHarness:
    """What Lite and a server have in common."""

    can_seed = True
    can_read_back = True
    sparse: bool
    index: str

    @contextlib.contextmanager
    def client(self) -> Iterator[MilvusClient]:
        """Open the SDK's client for a moment."""
        raise NotImplementedError

    def endpoint(self, collection: str) -> str:
        raise NotImplementedError

    def new_target(self) -> str:
        return self.endpoint(f"target_{uuid.uuid4().hex[:12]}")

    def seed(self, batches: Sequence[pa.RecordBatch], *, metric: Metric) -> str:
        name = f"seeded_{uuid.uuid4().hex[:12]}"
        records = [record for batch in batches for record in to_dicts(batch)]
        dimension = batches[0].schema.field("values").type.list_size
        with self.client() as client:
            self._create(client, name, dimension, metric, sparse=any(record["sparse_values"] for record in records))
            has_sparse = any(record["sparse_values"] for record in records)
            rows = [self._row(record, has_sparse=has_sparse) for record in records]
            for start in range(0, len(rows), 500):
                client.insert(name, rows[start : start + 500])
            client.flush(name)
        return self.endpoint(name)

    def _create(self, client: MilvusClient, name: str, dimension: int, metric: Metric, *, sparse: bool) -> None:
        schema = client.create_schema(enable_dynamic_field=True)
        schema.add_field(KEY, DataType.VARCHAR, is_primary=True, max_length=1024)
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dimension)
        schema.add_field(NAMESPACE, DataType.VARCHAR, max_length=1024, is_partition_key=True)
        index = client.prepare_index_params()
        index.add_index(VECTOR, index_type=self.index, metric_type=METRICS[metric])
        if sparse:
            schema.add_field(SPARSE, DataType.SPARSE_FLOAT_VECTOR, nullable=True)
            index.add_index(SPARSE, index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
        client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")

    @staticmethod
    def _row(record: dict[str, Any], *, has_sparse: bool) -> dict[str, Any]:
        row = {**(record["metadata"] or {}), KEY: record["id"], VECTOR: record["values"], NAMESPACE: record["namespace"]}
        if has_sparse:
            sparse = record["sparse_values"]
            row[SPARSE] = dict(zip(sparse["indices"], sparse["values"], strict=True)) if sparse else None
        return row

    def read_back(self, endpoint: str) -> list[dict[str, object]]:
        base, _, options = endpoint.removeprefix("milvus:").partition("?")
        mode = dict(parse_qsl(options)).get("namespace_mode", "partition_key")
        found: list[dict[str, object]] = []
        with self.client() as client:
            for name in client.list_collections():
                if name == base or (mode == "collection" and name.startswith(f"{base}__")):
                    partitions = client.list_partitions(name) if mode == "partition" else [None]
                    for partition in partitions:
                        namespace = _namespace(name.removeprefix(base).removeprefix("__") if mode == "collection" else partition or "")
                        found += self._rows(client, name, partition, namespace)
        return found

    @staticmethod
    def _rows(client: MilvusClient, name: str, partition: str | None, namespace: str) -> Iterator[dict[str, object]]:
        client.load_collection(name)
        described = client.describe_collection(name)
        key = next(field["name"] for field in described["fields"] if field.get("is_primary"))
        names = {field["name"] for field in described["fields"]}
        vector = next((field["name"] for field in described["fields"] if field["type"] == DataType.FLOAT_VECTOR), None)
        sparse = next((field["name"] for field in described["fields"] if field["type"] == DataType.SPARSE_FLOAT_VECTOR), None)
        tenant = next((field["name"] for field in described["fields"] if field.get("is_partition_key")), None)
        chosen = {"partition_names": [partition]} if partition else {}
        pages = client.query_iterator(name, batch_size=500, output_fields=["*"], consistency_level="Strong", **chosen)
        while rows := pages.next():
            for row in rows:
                metadata = {_unescaped(field, names): value for field, value in row.items() if field not in {key, vector, sparse, tenant}}
                yield {
                    "id": str(row[key]),
                    "namespace": row[tenant] if tenant else namespace,
                    "values": np.array(row[vector] if vector else [], np.float32),
                    "sparse_values": _sparse(row.get(sparse)) if sparse else None,
                    "metadata": metadata or None,
                }
        pages.close()

    def adapt(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if self.sparse:
            return batch
        position = batch.schema.get_field_index("sparse_values")
        return batch.set_column(position, batch.schema.field(position), pa.nulls(len(batch), SPARSE_TYPE))


def _sparse(row: dict[int, float] | None) -> dict[str, list[Any]] | None:
    return {"indices": sorted(row), "values": [row[index] for index in sorted(row)]} if row else None


def _unescaped(key: str, fields: set[str]) -> str:
    bare = key.rstrip("_")
    return key[:-1] if key != bare and bare in fields | {"$meta", "_seq", "_partition"} else key


def _namespace(name: str) -> str:
    if name in {"", "_default"}:
        return ""
    if not name.startswith("ns__"):
        return name
    return re.sub(rb"_([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), name.removeprefix("ns__").encode()).decode()


class MilvusLiteHarness(_MilvusHarness):
    """Milvus Lite in a folder of the test's own."""

    name = "milvus-lite"
    sparse = True
    index = "FLAT"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "contract.db"

    @contextlib.contextmanager
    def client(self) -> Iterator[MilvusClient]:
        client = MilvusClient(str(self.path))
        try:
            yield client
        finally:
            client.close()
            server_manager_instance.release_server(str(self.path))  # closing the client leaves the file locked

    def endpoint(self, collection: str) -> str:
        return f"milvus:{collection}?uri={self.path}"


class MilvusServerHarness(_MilvusHarness):
    """A real Milvus server; each test works in collections with names of its own."""

    name = "milvus-server"
    sparse = False
    index = "FLAT"

    def __init__(self, server: MilvusServer) -> None:
        self.server = server
        os.environ[TOKEN_VARIABLE] = server.token

    @contextlib.contextmanager
    def client(self) -> Iterator[MilvusClient]:
        client = MilvusClient(self.server.uri, token=self.server.token, dedicated=True)
        try:
            yield client
        finally:
            client.close()

    def endpoint(self, collection: str) -> str:
        return f"milvus:{collection}?uri={self.server.uri}&token=env:{TOKEN_VARIABLE}&index_type=FLAT"
