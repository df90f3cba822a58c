"""The writes of an index in their order: the place of each in its namespace's log, when reads see it, and its copy on disk."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from migrator.local_pinecone.engine.errors import unavailable
from migrator.local_pinecone.engine.journal import Journal, compact, replay
from migrator.local_pinecone.engine.operations import Operation, State, writes_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from migrator.local_pinecone.engine.journal import Entry
    from migrator.local_pinecone.engine.settings import Settings


class History:
    """What an index has been told, and as ``state`` what reads see of it. Every method is called under ``lock``."""

    def __init__(self, dimension: int | None, settings: Settings, path: Path | None) -> None:
        self.lock = threading.RLock()
        self.state = State(dimension)
        self._settings = settings
        self._pending: deque[tuple[float, str, int, Operation]] = deque()
        self._path = path
        for entry in replay(path) if path else ():
            self.state.apply(*entry)
        self._assigned = dict(self.state.applied)
        self._journal = Journal(path) if path else None
        self._closed = False

    def settle(self) -> None:
        """Make visible every write whose lag is over."""
        if not self._pending:
            return
        now = self._settings.clock()
        while self._pending and (self._pending[0][0] <= now or self._settings.freshness_lag <= 0):
            _, namespace, lsn, operation = self._pending.popleft()
            self.state.apply(namespace, lsn, operation)

    def write(self, namespace: str, operation: Operation) -> int:
        """Take one write. Return its place in its namespace's log."""
        if self._closed:
            raise unavailable()
        lsn = self._assigned.get(namespace, 0) + 1
        if self._journal is not None:
            self._journal.append((namespace, lsn, operation))
        self._assigned[namespace] = lsn
        lag = self._settings.freshness_lag
        if lag > 0:
            self._pending.append((self._settings.clock() + lag, namespace, lsn, operation))
        else:
            self.settle()
            self.state.apply(namespace, lsn, operation)
        return lsn

    def load(self, writes: Iterable[Entry]) -> None:
        """Take over writes made elsewhere (a copy of another index, a bulk import), visible at once."""
        if self._closed:
            raise unavailable()
        self.settle()
        for namespace, lsn, operation in writes:
            place = max(lsn, self.last(namespace))
            if self._journal is not None:
                self._journal.append((namespace, place, operation))
            self._assigned[namespace] = place
            self.state.apply(namespace, place, operation)

    def last(self, namespace: str) -> int:
        """Return the place of the last write taken."""
        return self._assigned.get(namespace, 0)

    def has(self, namespace: str) -> bool:
        """Tell whether a namespace is there, or will be once the writes under way are visible."""
        return namespace in self.state.tables or any(pending == namespace for _, pending, _, _ in self._pending)

    def close(self) -> None:
        """Make everything visible, leave little but what is live on the disk, and let the file go. Safe twice."""
        for _, namespace, lsn, operation in self._pending:
            self.state.apply(namespace, lsn, operation)
        self._pending.clear()
        self._closed = True
        if self._journal is not None and self._path is not None:
            self._journal.close()
            self._journal = None
            compact(self._path, writes_of(self.state), live=sum(map(len, self.state.tables.values())))

    def discard(self) -> None:
        """Let the file go and delete it: the index is no more."""
        self._pending.clear()
        self._closed = True
        if self._journal is not None and self._path is not None:
            self._journal.close()
            self._journal = None
            self._path.unlink()
