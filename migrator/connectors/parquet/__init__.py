"""Parquet datasets, in a folder or in an S3 bucket: the layout Pinecone's bulk import reads, and most that others write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.connectors.parquet.naming import LONGEST_NAME
from migrator.connectors.parquet.target import ParquetTarget
from migrator.model import Capabilities

if TYPE_CHECKING:
    from migrator.model import Endpoint


def capabilities(_endpoint: Endpoint | None = None) -> Capabilities:
    return Capabilities(max_namespace_bytes=LONGEST_NAME, batch_records=10_000, concurrent_writes=2)


def open_target(endpoint: Endpoint) -> ParquetTarget:
    """Return the dataset for writing; ``prepare`` begins it."""
    return ParquetTarget(endpoint)
