"""The connection test: is the place there, are the files, do they match their checksums, can they be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.connectors.numpy.source import NumpySource
from migrator.examining import answers
from migrator.model import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.model import Endpoint, Step


def examine(endpoint: Endpoint) -> Iterator[Step]:
    """Return a step for each question, cheapest first; the first that fails is the last."""
    opened: list[NumpySource] = []

    def look() -> str:
        opened.append(NumpySource(endpoint))
        return f"{sum(len(part.files) for part in opened[0].dataset.parts)} files in {len(opened[0].dataset.parts)} parts"

    def describe() -> str:
        collection = opened[0].describe()
        return f"{collection.count} records of dimension {collection.dimension} in {len(collection.namespaces)} namespaces"

    return answers([("files", look), ("columns", describe), ("read", lambda: _read(opened[0]))])


def _read(source: NumpySource) -> str:
    checked = " of files whose SHA-256 is that of manifest.json" if source.dataset.manifest else ""
    for split in source.splits(Selection(), 1):
        for chunk in source.read(split, None, 100):
            return f"{chunk.batch.num_rows} of the first {chunk.scanned} records are well-formed{checked}"
    return "there are no records"
