"""NumPy files, in a folder or a bucket: a folder of ``.npy`` files a part, one file a column, as Milvus's bulk insert reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator import endpoints
from migrator.connectors.numpy.examination import examine
from migrator.connectors.numpy.parts import find
from migrator.connectors.numpy.shaping import NumpyTarget
from migrator.connectors.numpy.source import NumpySource
from migrator.datasets import addresses, locks
from migrator.datasets.buckets import BUCKET_OPTIONS
from migrator.datasets.manifest import stored_files
from migrator.datasets.naming import LONGEST_NAME
from migrator.datasets.places import place_of
from migrator.model import Capabilities, LoadUnit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.model import ColumnRoles, Endpoint, StoredFile

__all__ = ["address", "capabilities", "columns", "examine", "files", "hold", "open_source", "open_target", "server", "some_ids", "spells", "units"]

TARGET_OPTIONS = BUCKET_OPTIONS | {"overwrite", "metric"}
PART_BYTES = 256 << 20
"""Of a part's vectors. Milvus spends about 2 s on each part beside loading it, one after the other; a part is held in memory while it is written."""
address = addresses.address
server = addresses.server
hold = locks.hold_endpoint


def capabilities(_endpoint: Endpoint | None = None) -> Capabilities:
    return Capabilities(
        max_namespace_bytes=LONGEST_NAME, merges=False, batch_records=1_000_000, batch_bytes=PART_BYTES, concurrent_writes=2, stages_for=frozenset({"milvus"})
    )


def open_source(endpoint: Endpoint) -> NumpySource:
    """Return the dataset for reading. Raise ``PermanentError`` when there is none, ``UnreadableSourceError`` when it is not whole."""
    return NumpySource(endpoint)


def open_target(endpoint: Endpoint) -> NumpyTarget:
    """Return the dataset for writing; ``prepare`` begins it."""
    endpoints.check_options(endpoint, TARGET_OPTIONS)
    return NumpyTarget(place_of(endpoint), overwrite=endpoints.flag(endpoint, "overwrite"))


def files(endpoint: Endpoint) -> Iterator[StoredFile]:
    """Yield the data files of a dataset with the ``sha256`` its manifest says; then the manifest, where there is one."""
    dataset = find(endpoint)
    return stored_files(
        dataset.place, [(file.path, file.bytes, file.sha256) for part in dataset.parts for file in part.files.values()], listed=dataset.manifest is not None
    )


def units(endpoint: Endpoint) -> list[LoadUnit]:
    """Return the parts: what one bulk-insert task takes."""
    source, base = NumpySource(endpoint), address(endpoint)
    found = []
    for part in source.dataset.parts:
        folder = f"{base}/{part.path}" if part.path else base
        files = tuple(f"{base}/{file.path}" for file in part.files.values())
        found.append(LoadUnit(folder, part.namespace, files, source.rows_of(part) if part.records is None else part.records))
    return found


def some_ids(endpoint: Endpoint, unit: LoadUnit) -> list[str]:
    """Return ids from the beginning, the middle and the end of a part."""
    return NumpySource(endpoint).some_ids(unit.address.removeprefix(address(endpoint)).strip("/"))


def columns(endpoint: Endpoint) -> ColumnRoles:
    """Return which file holds which part of a record."""
    return find(endpoint).roles


def spells(_namespace: str) -> bool:
    """Whether a bulk load can tell the namespace: it is told it with each part."""
    return True
