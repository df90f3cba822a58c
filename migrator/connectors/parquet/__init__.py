"""Parquet datasets, in a folder or in a bucket: the layout Pinecone's bulk import reads, and most that others write."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from migrator import endpoints
from migrator.connectors.parquet.discover import find
from migrator.connectors.parquet.encode import ParquetFormat
from migrator.connectors.parquet.examination import examine
from migrator.connectors.parquet.source import ParquetSource
from migrator.connectors.parquet.staged import read_piece
from migrator.connectors.parquet.vectors import CODECS
from migrator.datasets import addresses, locks
from migrator.datasets.buckets import BUCKET_OPTIONS
from migrator.datasets.manifest import stored_files
from migrator.datasets.naming import LONGEST_NAME, folder_of
from migrator.datasets.places import place_of
from migrator.datasets.target import DatasetTarget
from migrator.errors import ConfigError
from migrator.model import DEFAULT_NAMESPACE, Capabilities, LoadUnit, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.model import Endpoint, StoredFile

__all__ = ["address", "capabilities", "columns", "examine", "files", "hold", "open_source", "open_target", "server", "some_ids", "spells", "units"]

address = addresses.address
server = addresses.server
hold = locks.hold_endpoint
TARGET_OPTIONS = BUCKET_OPTIONS | {"compression", "overwrite"}


def capabilities(_endpoint: Endpoint | None = None) -> Capabilities:
    return Capabilities(max_namespace_bytes=LONGEST_NAME, merges=False, batch_records=10_000, concurrent_writes=4, stages_for=frozenset({"pinecone"}))


def open_source(endpoint: Endpoint) -> ParquetSource:
    """Return the dataset for reading. Raise ``PermanentError`` when there is none, ``UnreadableSourceError`` when it is not whole."""
    return ParquetSource(endpoint)


def open_target(endpoint: Endpoint) -> DatasetTarget:
    """Return the dataset for writing; ``prepare`` begins it."""
    endpoints.check_options(endpoint, TARGET_OPTIONS)
    compression = endpoint.options.get("compression", "none")
    if compression not in CODECS:
        raise ConfigError(f"compression={compression} is unknown", fix=f"use one of: {', '.join(CODECS)}", code="bad_option")
    return DatasetTarget(place_of(endpoint), ParquetFormat(compression), read_piece, overwrite=endpoints.flag(endpoint, "overwrite"))


def files(endpoint: Endpoint) -> Iterator[StoredFile]:
    """Yield the data files of a dataset with the ``sha256`` its manifest says; then the manifest, where there is one."""
    dataset = find(endpoint)
    return stored_files(dataset.place, [(file.path, file.bytes, file.sha256) for file in dataset.files], listed=dataset.manifest is not None)


def units(endpoint: Endpoint) -> list[LoadUnit]:
    """Return the whole dataset: a bulk load of it is one job."""
    with closing(open_source(endpoint)) as source:
        return [LoadUnit(address(endpoint), records=source.describe().count)]


def some_ids(endpoint: Endpoint, unit: LoadUnit) -> list[str]:  # noqa: ARG001 (the whole dataset is one unit)
    """Return ids of the first records."""
    with closing(open_source(endpoint)) as source:
        for split in source.splits(Selection(), 1):
            for chunk in source.read(split, None, 1):
                return [str(name) for name in chunk.batch.column("id").to_pylist()]
    return []


def columns(_endpoint: Endpoint) -> None:
    """Return nothing: the columns' names are those that Pinecone's bulk import knows."""


def spells(namespace: str) -> bool:
    """Whether the folder of ``namespace`` is named exactly so; the default namespace's is the name that Pinecone's bulk import knows it by."""
    return namespace == DEFAULT_NAMESPACE or folder_of(namespace) == namespace
