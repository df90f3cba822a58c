"""A folder a namespace: the records of a batch by folder, and the namespaces that no folder can be named after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from migrator.datasets import naming
from migrator.errors import PlanError
from migrator.model import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.model import Collection


def check_namespaces(collection: Collection) -> None:
    """Raise ``PlanError`` for a namespace of ``collection`` too long for a folder's name."""
    for namespace in collection.namespaces:
        if not naming.fits(namespace):
            raise PlanError(
                f"namespace {namespace[:40]!r}… is too long for a folder name of {naming.LONGEST_NAME} bytes",
                fix="map it to another with --target-namespace",
                code="namespace_too_long",
            )


def by_namespace(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield each namespace of ``batch`` with its records, which keep their order."""
    column = batch.column("namespace")
    for namespace in pc.unique(column).to_pylist():
        chosen = pc.equal(column, pa.scalar(namespace, pa.string()))
        yield namespace, batch if pc.all(chosen).as_py() else batch.filter(chosen)


def without_long_namespaces(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Rejected]]:
    """Return the records of ``batch`` that a folder can hold, and the others with the reason."""
    long = [namespace for namespace in pc.unique(batch.column("namespace")).to_pylist() if not naming.fits(namespace)]
    if not long:
        return batch, []
    refused = pc.is_in(batch.column("namespace"), pa.array(long, pa.string()))
    message = f"its folder name would be longer than {naming.LONGEST_NAME} bytes"
    rows = batch.select(["namespace", "id"]).filter(refused).to_pylist()
    return batch.filter(pc.invert(refused)), [Rejected(row["namespace"], row["id"], "namespace_too_long", "namespace", message) for row in rows]
