"""The records of one namespace: a growing float32 matrix whose freed rows are used again, and what belongs to each row."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

import numpy as np

from migrator.local_pinecone.engine.checks import squares
from migrator.local_pinecone.engine.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from migrator.local_pinecone.engine.metadata import Metadata
    from migrator.local_pinecone.engine.records import Sparse, Values

_FIRST_ROWS = 1024
_BLOCK = 8192
"""Rows measured at once."""
_GROWTH = 1.25


class Table:
    """Rows by id. Not thread-safe: the index that owns it holds its lock. Arrays that leave are copies."""

    def __init__(self, dimension: int | None) -> None:
        self.dimension = dimension
        self.rows: dict[str, int] = {}
        self.names: list[str | None] = []
        self.metadata: list[Metadata | None] = []
        self.sparse: dict[int, Sparse] = {}
        self._free: list[int] = []
        self._matrix: npt.NDArray[np.float32] | None = None if dimension is None else np.empty((0, dimension), np.float32)
        self._lengths = np.empty(0, np.float32)
        self._rewritten: list[npt.NDArray[np.intp]] = []
        """Rows whose length is to be computed anew."""
        self._order: list[str] = []
        self._unsorted: list[str] = []
        self._removed = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def matrix(self) -> npt.NDArray[np.float32]:
        """The rows in use and the freed ones between them (whose name is None); only valid until the next write."""
        if self._matrix is None:
            return np.empty((len(self.names), 0), np.float32)
        return self._matrix[: len(self.names)]

    @property
    def lengths(self) -> npt.NDArray[np.float32]:
        """The euclidean length of every row of ``matrix``: what a search by cosine would otherwise compute each time."""
        matrix, known = self.matrix, len(self._lengths)
        self._lengths = np.resize(self._lengths, len(matrix)) if known < len(matrix) else self._lengths
        rows = np.unique(np.concatenate(self._rewritten)) if self._rewritten else np.empty(0, np.intp)
        self._rewritten = []
        with np.errstate(all="ignore"):  # freed rows hold anything
            for start in range(0, len(rows), _BLOCK):
                block = rows[start : start + _BLOCK]
                self._lengths[block] = np.sqrt(squares(matrix[block]))
        return self._lengths[: len(matrix)]

    def put(self, ids: Sequence[str], values: Values | None, sparse: Mapping[int, Sparse], metadata: Sequence[Metadata | None]) -> None:
        """Store whole records, replacing those that are there; of one id given twice, the last. ``sparse`` goes by position in ``ids``."""
        rows = [self._row(id_) for id_ in ids]
        if self._matrix is not None and values is not None:
            self._grow()
            self._matrix[rows] = values
            self._rewritten.append(np.array(rows, np.intp))
        if self.sparse:
            for row in rows:
                self.sparse.pop(row, None)
        for position, row in enumerate(rows):
            self.metadata[row] = metadata[position]
            if position in sparse:
                self.sparse[row] = sparse[position]
            elif sparse:
                self.sparse.pop(row, None)

    def change(self, id_: str, values: Values | None, sparse: Sparse | None, metadata: Metadata | None) -> None:
        """Replace the parts that are given; ``metadata`` is merged. A record that is not there is left alone, as the service does."""
        row = self.rows.get(id_)
        if row is None:
            return
        if values is not None and self._matrix is not None:
            self._matrix[row] = values
            self._rewritten.append(np.array([row], np.intp))
        if sparse is not None:
            self.sparse[row] = sparse
        if metadata is not None:
            old = self.metadata[row]
            self.metadata[row] = metadata if old is None else old.merged(metadata)

    def remove(self, ids: Iterable[str]) -> None:
        """Delete the records that are there."""
        for id_ in ids:
            row = self.rows.pop(id_, None)
            if row is not None:
                self.names[row] = self.metadata[row] = None
                self.sparse.pop(row, None)
                self._free.append(row)
                self._removed = True

    def records(self, ids: Sequence[str], *, values: bool = True, metadata: bool = True) -> list[Record]:
        """Return the records that are there, in the order of ``ids``."""
        found = [(id_, row) for id_ in ids if (row := self.rows.get(id_)) is not None]
        if self._matrix is None or not values:
            block: Sequence[Values | None] = [None] * len(found)
        else:
            block = list(self._matrix[[row for _, row in found]]) if found else []
        known = self.metadata
        sparse = self.sparse if values else {}
        return [
            Record(id_, vector, sparse.get(row) if sparse else None, known[row] if metadata else None) for (id_, row), vector in zip(found, block, strict=True)
        ]

    def page(self, prefix: str, after: str | None, limit: int) -> list[str]:
        """Return up to ``limit`` ids with ``prefix``, in bitwise order, from just after ``after``."""
        self._sort()
        start = bisect_left(self._order, prefix) if after is None or after < prefix else bisect_right(self._order, after)
        page = self._order[start : start + limit]
        while page and not page[-1].startswith(prefix):
            page.pop()
        return page

    def vector(self, id_: str) -> tuple[Values | None, Sparse | None] | None:
        """Return the values and sparse values of a record, None when it is not there."""
        found = self.records([id_], metadata=False)
        return (found[0].values, found[0].sparse) if found else None

    def _row(self, id_: str) -> int:
        row = self.rows.get(id_)
        if row is None:
            if self._free:
                row = self._free.pop()
                self.names[row] = id_
            else:
                row = len(self.names)
                self.names.append(id_)
                self.metadata.append(None)
            self.rows[id_] = row
            self._unsorted.append(id_)
        return row

    def _grow(self) -> None:
        needed = len(self.names)
        if self._matrix is not None and needed > len(self._matrix):
            capacity = max(needed, _FIRST_ROWS, int(len(self._matrix) * _GROWTH))
            # the allocator moves large blocks by remapping them: no second copy of the matrix is ever held
            self._matrix.resize((capacity, self._matrix.shape[1]), refcheck=False)

    def _sort(self) -> None:
        if self._removed:
            # an id deleted and put again stands in both lists
            self._order = list(set(self._order).intersection(self.rows).union(id_ for id_ in self._unsorted if id_ in self.rows))
            self._order.sort()
        elif self._unsorted:
            self._order += self._unsorted
            self._order.sort()  # two sorted runs, or nearly: cheap
        self._unsorted = []
        self._removed = False
