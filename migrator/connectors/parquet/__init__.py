"""Parquet datasets, in a folder or in an S3 bucket: the layout Pinecone's bulk import reads, and most that others write."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from migrator import endpoints
from migrator.connectors.parquet.discover import find
from migrator.connectors.parquet.encode import ParquetFormat
from migrator.connectors.parquet.examination import examine
from migrator.connectors.parquet.source import ParquetSource
from migrator.connectors.parquet.vectors import CODECS
from migrator.datasets.manifest import MANIFEST
from migrator.datasets.naming import LONGEST_NAME, folder_of
from migrator.datasets.places import S3_OPTIONS, place_of
from migrator.datasets.target import DatasetTarget
from migrator.errors import ConfigError
from migrator.model import DEFAULT_NAMESPACE, Capabilities, StoredFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.model import Endpoint

__all__ = ["address", "capabilities", "examine", "files", "open_source", "open_target", "server", "spells"]

TARGET_OPTIONS = S3_OPTIONS | {"compression", "overwrite"}
_PLAIN_ADDRESS = re.compile(r"s3://[A-Za-z0-9._/=+@,-]+")
"""Programs disagree on what a percent sign or a space in an address means."""
_AMAZON = (".amazonaws.com", ".amazonaws.com.cn")


def capabilities(_endpoint: Endpoint | None = None) -> Capabilities:
    return Capabilities(max_namespace_bytes=LONGEST_NAME, merges=False, batch_records=10_000, concurrent_writes=4)


def open_source(endpoint: Endpoint) -> ParquetSource:
    """Return the dataset for reading. Raise ``PermanentError`` when there is none, ``UnreadableSourceError`` when it is not whole."""
    return ParquetSource(endpoint)


def open_target(endpoint: Endpoint) -> DatasetTarget:
    """Return the dataset for writing; ``prepare`` begins it."""
    endpoints.check_options(endpoint, TARGET_OPTIONS)
    compression = endpoint.options.get("compression", "none")
    if compression not in CODECS:
        raise ConfigError(f"compression={compression} is unknown", fix=f"use one of: {', '.join(CODECS)}", code="bad_option")
    return DatasetTarget(place_of(endpoint), ParquetFormat(compression), overwrite=endpoints.flag(endpoint, "overwrite"))


def files(endpoint: Endpoint) -> Iterator[StoredFile]:
    """Yield the data files of a dataset with the ``sha256`` its manifest says; then the manifest, where there is one."""
    dataset = find(endpoint)
    for file in dataset.files:
        yield StoredFile(file.path, dataset.place.show(file.path), file.bytes, file.sha256)
    if dataset.manifest is not None and (content := dataset.place.load(MANIFEST)) is not None:
        yield StoredFile(MANIFEST, dataset.place.show(MANIFEST), len(content), hashlib.sha256(content).hexdigest())


def address(endpoint: Endpoint) -> str:
    """Return where the dataset lies, as other programs name it. Raise ``ConfigError`` for a bucket's address that they could read in two ways."""
    if not endpoint.resource.startswith("s3://"):
        return Path(endpoint.resource).absolute().as_uri()
    uri = endpoint.resource.rstrip("/")
    if not _PLAIN_ADDRESS.fullmatch(uri):
        message = f"{uri} has characters that programs read in several ways"
        raise ConfigError(message, fix="stage under a prefix of ASCII letters, digits and ._/=+@,-", code="bad_endpoint")
    return uri


def server(endpoint: Endpoint) -> str:
    """Return the S3 server of a bucket that is not on AWS, "" for the others and for folders."""
    given = endpoint.options.get("endpoint", "")
    return "" if (urlsplit(given).hostname or "").endswith(_AMAZON) else given


def spells(namespace: str) -> bool:
    """Whether the folder of ``namespace`` is named exactly so; the default namespace's is the name that Pinecone's bulk import knows it by."""
    return namespace == DEFAULT_NAMESPACE or folder_of(namespace) == namespace
