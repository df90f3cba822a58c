"""The connection test: is the place there, are the files, do they match their checksums, can they be read."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from migrator.connectors.parquet.source import ParquetSource
from migrator.datasets.failures import translated
from migrator.errors import MigratorError
from migrator.examining import answers
from migrator.model import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.connectors.parquet.discover import Dataset
    from migrator.model import Endpoint, Step

CHECKED_BYTES = 1 << 30
"""Bytes hashed by a connection test; reading checks every page's checksum anyway."""


def examine(endpoint: Endpoint) -> Iterator[Step]:
    """Return a step for each question, cheapest first; the first that fails is the last."""
    opened: list[ParquetSource] = []

    def look() -> str:
        opened.append(ParquetSource(endpoint))
        return f"{len(opened[0].dataset.files)} files"

    def describe() -> str:
        collection = opened[0].describe()
        return f"{collection.count} records of dimension {collection.dimension} in {len(collection.namespaces)} namespaces"

    return answers([("files", look), ("schema", describe), ("checksums", lambda: _checksums(opened[0].dataset)), ("read", lambda: _read(opened[0]))])


def _checksums(dataset: Dataset) -> str:
    """Hash files until the limit is reached; return what was found, or nothing when there is no manifest."""
    if dataset.manifest is None:
        return ""
    checked = hashed = 0
    for file in dataset.files:
        if file.sha256 is None or hashed > CHECKED_BYTES:
            continue
        with dataset.place.open(file.path) as stored, translated(dataset.place.show(file.path)):
            digest = hashlib.file_digest(stored, "sha256").hexdigest()
        if digest != file.sha256:
            shown = dataset.place.show(file.path)
            raise MigratorError(f"{shown} does not have the SHA-256 that manifest.json gives", fix="get the export again, whole", code="checksum_differs")
        checked += 1
        hashed += file.bytes
    return f"{checked} of {len(dataset.files)} files have the SHA-256 that manifest.json gives"


def _read(source: ParquetSource) -> str:
    for split in source.splits(Selection(), 1):
        for chunk in source.read(split, None, 100):
            return f"{chunk.batch.num_rows} of the first {chunk.scanned} records are well-formed"
    return "there are no records"
