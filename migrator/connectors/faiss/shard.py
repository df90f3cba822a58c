"""One index file in use: its vectors and its ids by row."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from migrator.connectors.faiss.child import Child
from migrator.connectors.faiss.layout import NO_IDS
from migrator.errors import UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from migrator.connectors.faiss.description import Description
    from migrator.connectors.faiss.files import OpenFile

_DECODED_BYTES_A_SECOND = 10e6  # slower than any decoder: what a worker may take before it counts as hanging


@dataclass(eq=False)
class Shard:
    """An index file, its description, and the row of the whole collection at which it begins."""

    file: OpenFile
    told: Description
    first: int = 0
    seconds: float = 60.0
    _idle: list[Child] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def count(self) -> int:
        return self.told.extents.count

    @property
    def row_bytes(self) -> int:
        """Bytes of a row with its id in the file."""
        return self.told.code_size + (8 if self.told.extents.has_ids else 0)

    def vectors(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Return the vectors of ``rows``, shape (rows, dimension), in memory of their own."""
        if not self.told.exact:
            return self._decoded(rows)
        size = self.told.code_size
        codes = np.empty(len(rows) * size, np.uint8)
        at = 0
        for run, first, count in self.told.extents.pieces(rows):
            self.file.read(int(self.told.extents.codes[run]) + first * size, codes[at : at + count * size])
            at += count * size
        return codes.view(np.float32).reshape(len(rows), self.told.dimension)

    def _decoded(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Have the worker decode: it alone may run Faiss on these bytes."""
        size = len(rows) * self.told.dimension * 4
        with self.lent(size) as child:
            _, content = next(child.ask({"do": "decode", "file": 0, "rows": rows.tolist()}, largest=size))
        if len(content) != size:
            raise UnreadableSourceError(f"{self.file.name} cannot be read: it decodes to another size than it says", fix="build the index again")
        return np.frombuffer(content, np.float32).reshape(len(rows), self.told.dimension)

    @contextmanager
    def lent(self, size: int) -> Iterator[Child]:
        """Give a worker that has the file open, for one question whose answer has about ``size`` bytes; one that fails is ended."""
        with self._lock:
            child = self._idle.pop() if self._idle else None
        if child is None:
            cpu = 60 + self.count * self.told.dimension * 4 / _DECODED_BYTES_A_SECOND
            child = Child([self.file], seconds=self.seconds, memory=3 * self.file.size + 8 * size, cpu_seconds=cpu)
        try:
            yield child
        except BaseException:
            child.close()
            raise
        with self._lock:
            self._idle.append(child)

    def stored_ids(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return what the innermost index calls ``rows``: the ids in the inverted lists, else the positions."""
        extents = self.told.extents
        return self._int64([(int(extents.ids[run]) + first * 8, count) for run, first, count in extents.pieces(rows)]) if extents.has_ids else rows

    def own_ids(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
        """Return the ids the index stores for ``rows``, None when it numbers its vectors only."""
        stored = self.stored_ids(rows)
        if self.told.id_map == NO_IDS:
            return stored if self.told.extents.has_ids else None
        if len(stored) and (stored.min() < 0 or stored.max() >= self.told.ntotal):
            raise UnreadableSourceError(f"{self.file.name} cannot be read: its id map has no entry for some rows", fix="build the index again")
        breaks = np.flatnonzero(np.diff(stored) != 1) + 1
        begins = np.concatenate([[0], breaks]) if len(stored) else np.empty(0, np.int64)
        lengths = np.diff(np.concatenate([begins, [len(stored)]]))
        return self._int64([(self.told.id_map + int(stored[begin]) * 8, int(length)) for begin, length in zip(begins, lengths, strict=True)])

    def _int64(self, places: list[tuple[int, int]]) -> npt.NDArray[np.int64]:
        ids = np.empty(sum(count for _, count in places), np.int64)
        raw, at = ids.view(np.uint8), 0
        for offset, count in places:
            self.file.read(offset, raw[at : at + 8 * count])
            at += 8 * count
        return ids

    def close(self) -> None:
        """Close the file and end its workers. Safe twice."""
        with self._lock:
            children, self._idle = self._idle, []
        for child in children:
            child.close()
        self.file.close()
