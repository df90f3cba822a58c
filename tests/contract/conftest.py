"""The stores the contract suite holds; adding one is a factory and a line here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.contract.harness import Harness

STORES = {
    "memory": "memory_harness.MemoryHarness",
    "parquet": "parquet_harness.ParquetFolderHarness",
    "parquet-s3": "parquet_harness.ParquetBucketHarness",
    "parquet-gs": "parquet_harness.ParquetGoogleHarness",
    "numpy": "numpy_harness.NumpyFolderHarness",
    "numpy-s3": "numpy_harness.NumpyBucketHarness",
    "faiss": "faiss_harness.FaissHarness",
    "milvus-lite": "milvus_harness.MilvusLiteHarness",
    "milvus-server": "milvus_harness.MilvusServerHarness",
    "pinecone": "pinecone_harness.PineconeHarness",
    "pinecone-rest": "pinecone_harness.PineconeRestHarness",
    "pinecone-pod": "pinecone_harness.PineconePodHarness",
}
SERVERS = {"parquet-s3": "s3_server", "parquet-gs": "google_store", "numpy-s3": "s3_server", "milvus-server": "milvus_server"}
LOCAL = dict.fromkeys(("pinecone", "pinecone-rest", "pinecone-pod"), "pinecone_server")
"""Services of our own that need no installation."""
SLOW = {"milvus-server", "parquet-gs", "numpy-s3"}
"""Creating, flushing and loading take a server seconds a collection; Milvus Lite runs the same cases in ``make test``, and Parquet in S3 those of buckets."""
IN_PROCESS = {"memory"}
SOURCES = list(STORES)
TARGETS = [name for name in STORES if name not in {"faiss", "pinecone-pod"}]


def params(names: list[str]) -> list[object]:
    """Return pytest parameters, those of real servers marked."""
    return [pytest.param(name, marks=[*[pytest.mark.server] * (name in SERVERS), *[pytest.mark.slow] * (name in SLOW)]) for name in names]


def _harness(name: str, request: pytest.FixtureRequest, folder: Path) -> Harness:
    module, _, factory = STORES[name].partition(".")
    make = getattr(importlib.import_module(f"tests.contract.{module}"), factory)
    if name in IN_PROCESS:
        return make()
    server = (SERVERS | LOCAL).get(name)
    return make(request.getfixturevalue(server) if server else folder)


@pytest.fixture(params=params(SOURCES))
def source_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """A store that can be read."""
    harness = _harness(request.param, request, tmp_path)
    yield harness
    if hasattr(harness, "close"):
        harness.close()


@pytest.fixture(params=params(TARGETS))
def target_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """A store that can be written."""
    harness = _harness(request.param, request, tmp_path)
    yield harness
    if hasattr(harness, "close"):
        harness.close()
