"""The Pinecone demo: a local Pinecone whose pod index holds the demo's passages, to be moved to a serverless index."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from demo.build import NAMESPACE_FIELD, PASSAGES
from migrator.endpoints import render
from migrator.local_pinecone.engine import Definition, Deployment, Metadata, Record, vector_fields
from migrator.local_pinecone.server import Server, Settings
from migrator.model import Endpoint

if TYPE_CHECKING:
    from pathlib import Path

    from migrator.local_pinecone.engine import Engine, Index

POD_INDEX, SERVERLESS_INDEX = "sotu-pods", "sotu-serverless"
KEY = "demo"
"""The local server lets in any key."""
BATCH = 500


def start(folder: Path, port: int = 0) -> Server:
    """Start the local Pinecone of the demo, its data in ``folder``, and fill the pod index if that is not done yet."""
    server = Server(Settings(), folder, port)
    try:
        fill(server.engine)
    except BaseException:
        server.close()
        raise
    return server


def fill(engine: Engine) -> None:
    """Make sure the pod index is there and whole; the namespaces are the presidents' parties."""
    table = pq.read_table(PASSAGES)
    if not engine.has_index(POD_INDEX):
        pods = Deployment("pod", environment="us-east1-gcp")
        engine.create(Definition(POD_INDEX, pods, vector_fields("dense", 384, "cosine")))
    index = engine.index(POD_INDEX)
    if index.stats().total < table.num_rows:
        for start in range(0, table.num_rows, BATCH):
            _upsert(index, table.slice(start, BATCH).to_pylist())


def _upsert(index: Index, rows: list[dict[str, object]]) -> None:
    by_namespace: dict[str, list[Record]] = {}
    for row in rows:
        metadata = json.loads(str(row["metadata"]))
        record = Record(str(row["id"]), np.asarray(row["values"], np.float32), None, Metadata.from_json_object(metadata))
        by_namespace.setdefault(str(metadata[NAMESPACE_FIELD]), []).append(record)
    for namespace, records in by_namespace.items():
        index.upsert(namespace, records, request_bytes=0)


def endpoints(url: str) -> tuple[str, str]:
    """Return source and target on the local Pinecone at ``url``, without the key."""
    where = {"controller": url}
    return render(Endpoint("pinecone", POD_INDEX, where)), render(Endpoint("pinecone", SERVERLESS_INDEX, where))
