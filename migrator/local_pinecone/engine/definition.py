"""What an index is, apart from its records: the part the control plane creates, describes and configures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

VALUES, SPARSE_VALUES = "_values", "_sparse_values"
"""The field names that make a vector index; any other name makes a document index."""


@dataclass(frozen=True)
class Deployment:
    """Where and on what an index runs."""

    kind: Literal["serverless", "pod", "byoc"]
    cloud: str = ""
    region: str = ""
    environment: str = ""
    pod_type: str = "p1.x1"
    replicas: int = 1
    shards: int = 1
    indexed: tuple[str, ...] | None = None
    """The metadata fields the index was told to index, which are the only ones filters see; None means all."""


@dataclass(frozen=True)
class Definition:
    """An index as the control plane knows it. ``fields`` is its schema as API version 2026-07 shows it."""

    name: str
    deployment: Deployment
    fields: Mapping[str, Mapping[str, Any]]
    deletion_protection: str = "disabled"
    tags: Mapping[str, str] = field(default_factory=dict)
    read_capacity: Mapping[str, Any] = field(default_factory=lambda: {"mode": "OnDemand"})
    source_collection: str | None = None
    source_backup_id: str | None = None

    @property
    def documents(self) -> bool:
        """Whether this is a document index, which takes no vectors."""
        return not set(self.fields) <= {VALUES, SPARSE_VALUES}

    @property
    def dimension(self) -> int | None:
        """Components of the one dense vector; None in a sparse index."""
        dense = [one for one in self.fields.values() if one.get("type") == "dense_vector"]
        return int(dense[0]["dimension"]) if len(dense) == 1 else None

    @property
    def metric(self) -> str:
        """How vectors are compared; a sparse index knows only the dot product."""
        dense = [one for one in self.fields.values() if one.get("type") == "dense_vector"]
        return str(dense[0]["metric"]) if len(dense) == 1 else "dotproduct"

    @property
    def vector_type(self) -> str:
        """``dense`` or ``sparse``."""
        return "dense" if self.dimension is not None else "sparse"

    @property
    def pods(self) -> bool:
        """Whether the index runs on pods."""
        return self.deployment.kind == "pod"


def vector_fields(vector_type: str, dimension: int | None, metric: str) -> dict[str, dict[str, Any]]:
    """Return the schema of a vector index."""
    if vector_type == "sparse":
        return {SPARSE_VALUES: {"type": "sparse_vector"}}
    return {VALUES: {"type": "dense_vector", "dimension": dimension, "metric": metric}}
