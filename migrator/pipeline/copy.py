"""Copies one split: a reader thread runs ahead in a bounded window, writes overlap, checkpoints commit in order."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrator import retry
from migrator.failpoints import failpoint
from migrator.ledger import progress
from migrator.ledger.checkpoint import Checkpoint
from migrator.model import Counts
from migrator.pipeline.prepare import Prepared, Rules, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from migrator.errors import TransientError
    from migrator.ledger import Ledger
    from migrator.ledger.checkpoint import SplitProgress
    from migrator.ledger.runs import Lease
    from migrator.model import Chunk, Split
    from migrator.pipeline.window import Window
    from migrator.protocols import Source

_END = object()
_WRITTEN = object()


@dataclass(frozen=True)
class Job:
    """What the workers of one run share."""

    ledger: Ledger
    lease: Lease
    source: Source
    write: Callable[[Prepared, str], Prepared]
    """Writes a prepared chunk under a part name and returns what was in fact written."""
    rules: Rules
    records: int
    """Rows a chunk."""
    concurrent_writes: int
    window: Window
    stop: threading.Event
    log: Callable[[str, str], None]
    on_commit: Callable[[Counts], None]
    after_commit: Callable[[str, int], None] | None = None
    """Told the split and the sequence of every checkpoint, in the split's order, once it is durable."""


@dataclass(frozen=True)
class _Write:
    sequence: int
    size: int
    future: Future[tuple[Prepared, float]]


def copy_split(job: Job, where: SplitProgress) -> None:
    """Copy what is left of a split. Returns early, with everything written committed, when ``job.stop`` is set."""
    if where.done:
        return
    try:
        _copy_rest(job, where)
    finally:
        job.window.forget(where.split.id)
    if not job.stop.is_set():
        progress.finish_split(job.ledger, job.lease, where.split.id)


def _copy_rest(job: Job, where: SplitProgress) -> None:
    pending: deque[_Write] = deque()
    sequence = where.sequence
    events: queue.Queue[object] = queue.Queue()
    with ThreadPoolExecutor(job.concurrent_writes, thread_name_prefix=f"write-{where.split.id}") as pool, closing(_read_ahead(job, where, events)) as chunks:
        try:
            for prepared in chunks:
                if prepared is not None:
                    future = pool.submit(_write, job, prepared, f"{where.split.id}.{sequence}")
                    pending.append(_Write(sequence, prepared.batch.nbytes, future))
                    # a write that is done must be committed, or what it holds of the window would keep the reader waiting for ever
                    future.add_done_callback(lambda _: events.put(_WRITTEN))
                    sequence += 1
                while len(pending) > job.concurrent_writes or (pending and pending[0].future.done()):
                    _commit_oldest(job, where, pending)
        finally:
            # when reading fails, what was written before it is committed still; after a failed commit nothing is left here
            while pending:
                _commit_oldest(job, where, pending)


def _commit_oldest(job: Job, where: SplitProgress, pending: deque[_Write]) -> None:
    write = pending.popleft()
    try:
        _commit(job, where, write)
    except BaseException:
        pending.clear()  # later chunks must not be committed past a gap; resuming writes them again
        raise
    job.window.leave(where.split.id, write.size)


def _write(job: Job, prepared: Prepared, part: str) -> tuple[Prepared, float]:
    started = time.perf_counter()
    failpoint("before_write")
    written = job.write(prepared, part) if len(prepared.batch) or prepared.unread is not None else prepared
    failpoint("after_write")
    return written, time.perf_counter() - started


def _commit(job: Job, where: SplitProgress, write: _Write) -> None:
    written, seconds = write.future.result()
    counts = Counts(written.scanned, len(written.batch) + written.kept, len(written.rejected), written.vanished, written.duplicate)
    place = (where.split.id, write.sequence, written.cursor, written.read)
    checkpoint = Checkpoint(*place, counts, written.digests, written.rejected, written.held, seconds, written.verified)
    failpoint("before_commit")
    progress.commit(job.ledger, job.lease, checkpoint)
    failpoint("after_commit")
    job.on_commit(counts)
    if job.after_commit is not None:
        job.after_commit(where.split.id, write.sequence)


def _read_ahead(job: Job, where: SplitProgress, events: queue.Queue[object]) -> Generator[Prepared | None]:
    """Yield prepared chunks that a thread of its own reads, judges and hashes, and None for each write reported to ``events``."""
    abandoned = threading.Event()

    def produce() -> None:
        try:
            for chunk in read_patiently(job.source, where.split, where.cursor, job.records, stop=job.stop, log=job.log):
                failpoint("after_read")
                prepared = prepare(chunk, where.position, job.rules)
                if not job.window.enter(where.split.id, prepared.batch.nbytes, lambda: job.stop.is_set() or abandoned.is_set()):
                    break
                events.put(prepared)
            events.put(_END)
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
            events.put(error)

    thread = threading.Thread(target=produce, name=f"read-{where.split.id}", daemon=True)
    thread.start()
    try:
        while (item := events.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            if job.stop.is_set():
                break
            yield None if item is _WRITTEN else item  # type: ignore[misc]
    finally:
        abandoned.set()
        thread.join()


def read_patiently(
    source: Source, split: Split, cursor: str | None, records: int, *, stop: threading.Event, log: Callable[[str, str], None]
) -> Iterator[Chunk]:
    """Yield the chunks of a split; after a transient error read on from the last cursor."""

    def behind(last: Chunk | None) -> Iterator[Chunk]:
        return source.read(split, cursor if last is None else last.cursor, records)

    yield from retry.iterate(behind, stop=stop, on_retry=reading_again(split, log))


def reading_again(split: Split, log: Callable[[str, str], None]) -> Callable[[float, TransientError], None]:
    """Return what notes that ``split`` is read again after a pause."""
    return lambda pause, error: log("warning", f"reading {split.id} again in {pause:.1f} s: {error.message}")
