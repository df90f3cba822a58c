"""Records a scan did not meet: those really gone from the source are removed from the target, if the plan says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.errors import PlanError
from migrator.failpoints import failpoint
from migrator.protocols import Deletable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from migrator.protocols import Source, Target
    from migrator.runs.context import Attempt
    from migrator.transform import Transform

BATCH = 1_000
"""Ids looked up and deleted at once: what Pinecone takes in one request."""


@dataclass
class Gone:
    """Goes through state entries whose records the scan did not meet, and counts what became of them."""

    attempt: Attempt
    source: Source
    target: Target
    transform: Transform
    deletes: bool
    deleted: int = 0
    left: int = 0
    missed: int = 0

    def stay(self, entries: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the entries of the records that stay in the target."""
        for batch in entries:
            for start in range(0, len(batch), BATCH):
                yield from self._stay(batch.slice(start, BATCH))

    def _stay(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        if not self.deletes:
            self.left += len(batch)
            yield _unsure(batch)  # should they come back, they are new
            return
        for namespace in pc.unique(batch.column("namespace")).to_pylist():
            self.attempt.poll()
            self.attempt.raise_if_stopped()
            rows = batch.filter(pc.equal(batch.column("namespace"), namespace))
            ids = rows.column("id").to_pylist()
            there = self.attempt.patiently("looking for records in the source", lambda ids=ids, namespace=namespace: self._in_source(ids, namespace))  # type: ignore[misc]
            self._delete([id_ for id_ in ids if id_ not in there], namespace)
            if there:
                self.missed += len(there)
                yield _unsure(rows.filter(pa.array([id_ in there for id_ in ids])))

    def _in_source(self, ids: list[str], namespace: str) -> set[str]:
        """Return those of the target's ``ids`` that the source still has for ``namespace``: a scan can miss what was written during it."""
        chosen, names = self.transform.namespaces, self.transform.names
        known = [name for name in self.source.describe().namespaces if chosen is None or name in chosen]
        found = self.transform.look_up(self.source.fetch, ids, names.origins(namespace, known), self.source.describe().dimension)
        if (mask := self.transform.matching(found)) is not None:
            found = found.filter(pa.array(mask))
        return set(found.filter(pc.equal(found.column("namespace"), namespace)).column("id").to_pylist())

    def _delete(self, ids: list[str], namespace: str) -> None:
        if not ids:
            return
        if not isinstance(self.target, Deletable):
            raise PlanError("the target cannot delete records", fix="follow without --deletes", code="deletes_unsupported")
        failpoint("before_delete")
        target = self.target
        self.attempt.patiently("deleting from the target", lambda: target.delete(ids, namespace))
        self.deleted += len(ids)


def _unsure(entries: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``entries`` of records whose content was not seen: a pass that meets them sends them again."""
    position = entries.schema.get_field_index("sure")
    return entries.set_column(position, entries.schema.field(position), pa.array(np.zeros(len(entries), np.uint8)))
