"""The journal of one scan: a small file for every part, on disk before the part is written to the target.

It says which records the part leaves in the target and which of them were sent for it. After a kill it tells what may have been
written without a checkpoint; at the end of a pass it becomes the state; and stamps are set from it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from migrator.duplicates import hashed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from migrator.pipeline.prepare import Prepared

UNCHANGED, NEW, CHANGED = 0, 1, 2
SCHEMA = pa.schema(
    [
        ("key_low", pa.uint64()),
        ("key_high", pa.uint64()),
        ("low", pa.uint64()),
        ("high", pa.uint64()),
        ("kind", pa.uint8()),
        ("namespace", pa.string()),
        ("id", pa.string()),
        ("source_namespace", pa.string()),
        ("source_id", pa.string()),
    ]
)
"""Hash of the name and of the whole record, what the part does with it, its name in the target, and in the source where that matters."""


def entries(prepared: Prepared, kinds: npt.NDArray[np.uint8], *, ids_only: bool) -> pa.RecordBatch:
    """Return the journal's rows for the records of ``prepared``."""
    batch, rows = prepared.batch, prepared.hashes.rows
    keys = hashed(batch.column("id"), batch.column("namespace"), ids_only=ids_only)
    unknown = pa.nulls(len(batch), pa.string())
    origin = (unknown, unknown) if prepared.origin is None else (prepared.origin.column("namespace"), prepared.origin.column("id"))
    hashes = (keys["low"], keys["high"], rows[:, 0], rows[:, 1])
    columns = [pa.array(np.ascontiguousarray(column)) for column in (*hashes, kinds)]
    return pa.RecordBatch.from_arrays([*columns, batch.column("namespace"), batch.column("id"), *origin], schema=SCHEMA)


def held(names: pa.RecordBatch, keys: npt.NDArray[np.void], contents: npt.NDArray[np.uint64]) -> pa.RecordBatch:
    """Return the journal's rows for records that the target holds and that were not read: ``keys`` and ``contents`` are their hashes."""
    unknown = pa.nulls(len(names), pa.string())
    hashes = (keys["low"], keys["high"], contents[:, 0], contents[:, 1], np.full(len(names), UNCHANGED, np.uint8))
    columns = [pa.array(np.ascontiguousarray(column)) for column in hashes]
    return pa.RecordBatch.from_arrays([*columns, names.column("namespace"), names.column("id"), unknown, unknown], schema=SCHEMA)


class Journal:
    """The parts of one scan, each a file in ``folder`` under its own name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, part: str, rows: pa.RecordBatch, *, durable: bool) -> None:
        """Keep what ``part`` is about; ``durable`` on disk when this returns. The same part again replaces."""
        staged = self.folder / f"{part}.tmp"
        with pa.OSFile(str(staged), "wb") as file, pa.ipc.new_file(file, SCHEMA) as writer:
            writer.write_batch(rows)
        if durable:
            sync(staged)
        staged.replace(self.folder / f"{part}.arrow")
        if durable:
            sync(self.folder)

    def load(self, part: str) -> pa.Table | None:
        """Return the rows of ``part``, or None when nothing was written for it."""
        path = self.folder / f"{part}.arrow"
        if not path.exists():
            return None
        with pa.OSFile(str(path)) as file:
            return pa.ipc.open_file(file).read_all()

    def parts(self) -> Iterator[str]:
        """Yield the names of all parts there are."""
        for path in sorted(self.folder.glob("*.arrow")):
            yield path.name.removesuffix(".arrow")

    def drop(self, part: str) -> None:
        """Forget ``part``. Safe twice."""
        (self.folder / f"{part}.arrow").unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
