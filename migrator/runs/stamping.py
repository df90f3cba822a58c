"""Marks copied records in the source once their checkpoint is committed, and takes the marks away again."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from migrator import retry
from migrator.connectors import connector, opened_source
from migrator.errors import PlanError
from migrator.failpoints import failpoint
from migrator.follow.journal import UNCHANGED, Journal
from migrator.follow.state import State
from migrator.follow.writer import JournalWriter
from migrator.ledger import passes, progress
from migrator.model import Selection
from migrator.pipeline.copy import read_patiently
from migrator.protocols import Stampable
from migrator.stamps import KEYS, stamp_now, stamped_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from migrator.model import Endpoint
    from migrator.pipeline.write import ChunkWriter
    from migrator.protocols import Source
    from migrator.runs.context import Attempt

_READ_RECORDS = 5_000


@dataclass(frozen=True)
class Stamper:
    """Stamps the records a checkpoint covers. The journal tells which they are, the ledger how far stamps were set."""

    attempt: Attempt
    source: Stampable
    journal: Journal
    keeps_journal: bool

    def __call__(self, split: str, sequence: int) -> None:
        """Stamp what the checkpoint ``sequence`` of ``split`` sent to the target. Called in the split's order."""
        part = f"{split}.{sequence}"
        failpoint("before_stamp")
        for namespace, ids in self._sent(part):
            retry.call(lambda ids=ids, namespace=namespace: self.source.stamp(ids, namespace, stamp_now()), stop=self.attempt.stop)  # type: ignore[misc]
        failpoint("after_stamp")
        passes.set_stamped(self.attempt.ledger, self.attempt.lease, split, sequence + 1)
        if not self.keeps_journal:
            self.journal.drop(part)

    def _sent(self, part: str) -> Iterable[tuple[str, list[str]]]:
        rows = self.journal.load(part)
        if rows is None:  # every record of the part was rejected or left out
            return ()
        sent = rows.filter(pa.array(rows.column("kind").to_numpy() != UNCHANGED))
        return _by_namespace(sent.column("source_namespace").to_pylist(), sent.column("source_id").to_pylist())

    def catch_up(self) -> None:
        """Stamp what a killed attempt committed and did not come to stamp."""
        ledger, run = self.attempt.ledger, self.attempt.run
        for where in progress.splits(ledger, run):
            for sequence in range(passes.stamped(ledger, run, where.split.id), where.sequence):
                self.attempt.poll()
                self.attempt.raise_if_stopped()
                self(where.split.id, sequence)


def stamper(attempt: Attempt, source: Source, journal: Journal, *, keeps_journal: bool) -> Stamper | None:
    """Return what stamps the records of ``source``, None when the plan wants none. Raise ``PlanError`` when it cannot be stamped."""
    if not attempt.plan.stamp:
        return None
    return Stamper(attempt, stampable(source, attempt.plan.source), journal, keeps_journal)


def stampable(source: Source, endpoint: Endpoint) -> Stampable:
    """Return ``source`` as one whose records can be stamped, or raise ``PlanError``."""
    if not isinstance(source, Stampable):
        message = f"records of {endpoint.connector} cannot be stamped"
        raise PlanError(message, fix="leave out --stamp: following needs no stamps", code="stamps_unsupported")
    return source


def stamped(attempt: Attempt, source: Source, write: ChunkWriter) -> tuple[ChunkWriter | JournalWriter, Callable[[str, int], None] | None]:
    """Return how a run without follow writes its chunks, and what stamps them once they are committed."""
    journal = Journal(attempt.folder / "journal") if attempt.plan.stamp else None
    if journal is None or (stamps := stamper(attempt, source, journal, keeps_journal=False)) is None:
        return write, None
    stamps.catch_up()
    for part in list(journal.parts()):  # of chunks that were never committed: they are copied again
        journal.drop(part)
    unique = connector(attempt.plan.target.connector).capabilities(attempt.plan.target).ids_unique_across_namespaces
    return JournalWriter(write, journal, State(attempt.folder / "no state"), "all", unique), stamps


def _by_namespace(namespaces: Sequence[str], ids: Sequence[str]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for namespace, id_ in zip(namespaces, ids, strict=True):
        found.setdefault(namespace, []).append(id_)
    return list(found.items())


def remove(
    endpoint: Endpoint, namespaces: tuple[str, ...] | None, on_progress: Callable[[int, int], None] | None = None, *, theirs: bool = False
) -> dict[str, Any]:
    """Remove every stamp from a source, and nothing else; return ``{"reset": records, "namespaces": {name: records}}``.

    ``on_progress`` hears how many records were read and how many of them had their stamp removed. ``theirs`` takes the stamps of the
    Pinecone Index Migrator for stamps, too.
    """
    stop = threading.Event()
    removed: dict[str, int] = {}
    read = 0
    with opened_source(endpoint) as source:
        marked = stampable(source, endpoint)
        known = source.describe().namespaces
        for split in list(source.splits(Selection(namespaces), 1)):
            for chunk in read_patiently(source, split, None, _READ_RECORDS, stop=stop, log=lambda _level, _message: None):
                read += chunk.scanned
                rows = chunk.batch.take(pa.array(stamped_rows(chunk.batch, theirs=theirs), pa.int64()))
                for namespace, ids in _by_namespace(rows.column("namespace").to_pylist(), rows.column("id").to_pylist()):
                    if namespaces is None or namespace in namespaces:
                        retry.call(lambda ids=ids, namespace=namespace: marked.unstamp(ids, namespace, KEYS), stop=stop)  # type: ignore[misc]
                        removed[namespace] = removed.get(namespace, 0) + len(ids)
                if on_progress is not None:
                    on_progress(read, sum(removed.values()))
    chosen = sorted(known) if namespaces is None else list(namespaces)
    return {"reset": sum(removed.values()), "namespaces": {name: removed.get(name, 0) for name in chosen}}
