"""The ids of one namespace, listed page by page in the background and kept on disk, while readers follow close behind.

It goes on only as long as there are readers: whoever looks at a few records does not use up the pages a second that the index allows.

A listing is only a cache: splits are ranges of ids, so when it is lost the ids are listed again and reading goes on where it was.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa

from migrator.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BLOCK = 20_000
"""Ids a file."""
_SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False)])


class Listing:
    """A growing sequence of ids in ascending order."""

    def __init__(self, folder: Path, pages: Callable[[Listing], Iterator[list[str]]]) -> None:
        """Begin to list what ``pages`` yields; it ends when ``stop`` is set, and may ``wait_for_readers``. Pages that come again are no harm."""
        self._folder = folder
        self._pages = pages
        self._changed = threading.Condition()
        self.stop = threading.Event()
        self._readers = 0
        self._lasts: list[str] = []
        """Last id of each block on disk."""
        self._tail: list[str] = []
        """Ids that are not on disk yet."""
        self._done = False
        self._complete = False
        self.failure: BaseException | None = None
        folder.mkdir(parents=True)
        self._thread = threading.Thread(target=self._list, name="pinecone-list", daemon=True)
        self._thread.start()

    def _list(self) -> None:
        try:
            last = ""
            for ids in self._pages(self):
                last = self._add(ids, last)
            self._complete = not self.stop.is_set()
        except BaseException as error:  # noqa: BLE001 - handed to the readers, who raise it
            self.failure = error
        with self._changed:
            self._done = True
            self._changed.notify_all()

    def _add(self, ids: list[str], last: str) -> str:
        """Append the ids after ``last``; return the last one known. Pages that overlap, or are read again, bring nothing twice."""
        if any(later < earlier for earlier, later in pairwise(ids)):
            raise PermanentError("Pinecone listed ids out of order, so ranges of them mean nothing", fix="report it with the run's log", code="list_disorder")
        fresh = ids[bisect_right(ids, last) :] if last else ids
        if not fresh:
            return last
        with self._changed:
            self._tail += fresh
            full = len(self._tail) >= BLOCK
            self._changed.notify_all()
        if full:
            self._seal()
        return fresh[-1]

    def _seal(self) -> None:
        """Move the first ``BLOCK`` ids of the tail to disk."""
        block = self._tail[:BLOCK]
        with pa.OSFile(str(self._file(len(self._lasts))), "wb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays([pa.array(block, pa.string())], schema=_SCHEMA))
        with self._changed:
            self._lasts.append(block[-1])
            self._tail = self._tail[BLOCK:]

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06}.arrow"

    def _block(self, number: int) -> pa.Array:
        with pa.memory_map(str(self._file(number))) as file:
            return pa.ipc.open_file(file).get_batch(0).column(0)

    def ids(self, after: str | None, up_to: str | None, size: int) -> Iterator[list[str]]:
        """Yield the ids after ``after`` up to and with ``up_to`` in runs of ``size``, the last one shorter; waits for pages still to come."""
        kept: list[str] = []
        with self._reading():
            for some in self._runs(after):
                end = bisect_right(some, up_to) if up_to is not None else len(some)
                kept += some[:end]
                while len(kept) >= size:
                    yield kept[:size]
                    kept = kept[size:]
                if end < len(some):
                    break
        if kept:
            yield kept

    def _runs(self, after: str | None) -> Iterator[list[str]]:
        """Yield the ids after ``after`` as they come."""
        position = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda position=position: self._done or len(self._lasts) * BLOCK + len(self._tail) > position)  # type: ignore[misc]
                sealed, tail = len(self._lasts), self._tail
                ended = self._done and sealed * BLOCK + len(tail) <= position
                if after is not None and position % BLOCK == 0:
                    skipped = bisect_left(self._lasts, after)
                    position = max(position, skipped * BLOCK)
            if ended:
                self._raise_failure()
                return
            number, offset = divmod(position, BLOCK)
            some: list[str] = self._block(number).slice(offset).to_pylist() if number < sealed else tail[position - sealed * BLOCK :]
            position += len(some)
            fresh = some[bisect_right(some, after) :] if after is not None else some
            if fresh:
                yield fresh

    def wait_for_readers(self) -> None:
        """Wait as long as nobody reads. Raise ``TransientError`` when listing is to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._readers or self.stop.is_set())
        if self.stop.is_set():
            raise TransientError("the listing of ids was stopped", fix="read on")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._changed:
            self._readers += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure
        if not self._complete:
            raise TransientError("the listing of ids was stopped", fix="read on")

    def close(self) -> None:
        """Stop listing. Safe twice; the folder belongs to whoever gave it."""
        with self._changed:
            self.stop.set()
            self._changed.notify_all()
        self._thread.join()
