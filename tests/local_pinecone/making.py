"""Engines, indexes and records for the tests of the local service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.local_pinecone.engine import Definition, Deployment, Engine, Index, Metadata, Record, Settings, vector_fields

if TYPE_CHECKING:
    from pathlib import Path

SERVERLESS = Deployment("serverless", cloud="aws", region="us-east-1")
PODS = Deployment("pod", environment="us-east1-gcp")


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def definition(name: str = "a", *, dimension: int = 2, metric: str = "cosine", deployment: Deployment = SERVERLESS, **more: Any) -> Definition:
    return Definition(name, deployment, vector_fields("dense", dimension, metric), **more)


def sparse_definition(name: str = "s") -> Definition:
    return Definition(name, SERVERLESS, vector_fields("sparse", None, "dotproduct"))


def index(settings: Settings | None = None, data: Path | None = None, **shape: Any) -> Index:
    return Engine(settings or Settings(), data).create(definition(**shape))


def record(id_: str, values: list[float] | None = None, sparse: dict[int, float] | None = None, **metadata: Any) -> Record:
    return Record(
        id_,
        None if values is None else np.array(values, np.float32),
        None if sparse is None else sparse_vector(sparse),
        Metadata.from_json_object(metadata) if metadata else None,
    )


def sparse_vector(weights: dict[int, float]) -> tuple[Any, Any]:
    return np.array(list(weights), np.uint32), np.array(list(weights.values()), np.float32)


def put(target: Index, *records: Record, namespace: str = "") -> int:
    return target.upsert(namespace, records, 100).request


def ids(target: Index, namespace: str = "") -> list[str]:
    return target.list(namespace).value.ids
