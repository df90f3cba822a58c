"""How a run that verifies its batches looks each up in its target: by id in a store, as a part where files are still being made."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors import connector, opened_source
from migrator.errors import PermanentError
from migrator.ledger import verified
from migrator.pipeline.readback import ReadBack
from migrator.protocols import PartReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.pipeline.readback import Look
    from migrator.pipeline.write import ChunkWriter
    from migrator.protocols import Source, Target
    from migrator.runs.context import Attempt

LEAST_PATIENCE = 2.0
"""Seconds that any store gets to show a write: also those that say they show it at once answer from caches and replicas."""


@contextmanager
def read_back(attempt: Attempt, target: Target, write: ChunkWriter) -> Iterator[ChunkWriter]:
    """Give what writes chunks through ``write`` and, where the plan asks for it, reads each back."""
    plan = attempt.plan
    if not plan.verify_batches or plan.in_place:
        yield write
    elif isinstance(target, PartReader):
        yield _reading_back(attempt, write, _by_part(attempt, target), 0.0)
    else:
        patience = max(LEAST_PATIENCE, connector(plan.target.connector).capabilities(plan.target).settling_seconds)
        with attempt.opening("opening the target", lambda: opened_source(plan.target)) as opened:
            yield _reading_back(attempt, write, _by_id(attempt, opened), patience)


def _reading_back(attempt: Attempt, write: ChunkWriter, look: Look, patience: float) -> ReadBack:
    return ReadBack(write, look, patience, attempt.stop, attempt.log, lambda records: verified.differed(attempt.ledger, attempt.lease, records))


def _by_id(attempt: Attempt, opened: Source) -> Look:
    def look(batch: pa.RecordBatch, part: str, *, anew: bool) -> pa.RecordBatch:
        del part
        if not anew:
            return _fetched(opened, batch)
        # a namespace that this very batch made may be unknown to a source opened before it
        with attempt.opening("opening the target", lambda: opened_source(attempt.plan.target)) as fresh:
            return _fetched(fresh, batch)

    return look


def _fetched(source: Source, batch: pa.RecordBatch) -> pa.RecordBatch:
    ids, column = batch.column("id"), batch.column("namespace")
    wanted = {namespace: ids.filter(pc.equal(column, namespace)).to_pylist() for namespace in pc.unique(column).to_pylist()}
    return pa.concat_batches([source.fetch(names, namespace) for namespace, names in wanted.items()])


def _by_part(attempt: Attempt, target: PartReader) -> Look:
    def look(batch: pa.RecordBatch, part: str, *, anew: bool) -> pa.RecordBatch:
        del anew
        try:
            found = list(target.read_part(part))
        except PermanentError as error:  # gone or damaged: then none of it is there
            attempt.log("warning", f"part {part} cannot be read back: {error.message}")
            found = []
        return pa.concat_batches(found) if found else batch.slice(0, 0)

    return look


def counted(attempt: Attempt) -> dict[str, int] | None:
    """Return what was read back so far, None when the plan does not ask for it."""
    return verified.counts(attempt.ledger, attempt.run) if attempt.plan.verify_batches else None
