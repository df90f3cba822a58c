"""Where the rows of an index lie in its file: extents, and which of them a set of rows falls into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

NO_IDS = -1
"""An extent without stored ids: its rows are numbered by their position."""


@dataclass(frozen=True)
class Extents:
    """Runs of consecutive rows, in reading order: one for a flat index, one an inverted list for an IVF index.

    Each array has one entry a run: ``rows`` in it, byte offset of its int64 ``ids`` (or ``NO_IDS``), byte offset of its ``codes``.
    """

    rows: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    """Row number at which each run begins, and the number of all rows as the last entry."""

    @property
    def count(self) -> int:
        """Rows in all runs."""
        return int(self.starts[-1])

    @property
    def has_ids(self) -> bool:
        """Whether rows carry a stored id."""
        return bool(len(self.ids)) and int(self.ids[0]) != NO_IDS

    def table(self) -> npt.NDArray[np.int64]:
        """Return ``rows, ids, codes`` as the columns of one matrix, the form in which extents travel."""
        return np.stack([self.rows, self.ids, self.codes], axis=1)

    def pieces(self, rows: npt.NDArray[np.int64]) -> list[tuple[int, int, int]]:
        """Return the fewest ``(run, first row within it, rows)`` that give ``rows`` in their order."""
        if not len(rows):
            return []
        runs = np.searchsorted(self.starts, rows, side="right") - 1
        breaks = np.flatnonzero((np.diff(rows) != 1) | (np.diff(runs) != 0)) + 1
        begins = np.concatenate([[0], breaks])
        lengths = np.diff(np.concatenate([begins, [len(rows)]]))
        first = rows[begins] - self.starts[runs[begins]]
        return list(zip(runs[begins].tolist(), first.tolist(), lengths.tolist(), strict=True))


def extents(table: npt.NDArray[np.int64]) -> Extents:
    """Return the extents of ``table`` without its empty runs."""
    kept = table[table[:, 0] != 0]
    rows = np.ascontiguousarray(kept[:, 0])
    return Extents(rows, np.ascontiguousarray(kept[:, 1]), np.ascontiguousarray(kept[:, 2]), np.concatenate([[0], np.cumsum(rows)]).astype(np.int64))


def outside(table: npt.NDArray[np.int64], code_size: int, file_size: int) -> bool:
    """Return whether any extent reaches beyond the file: then whoever made ``table`` must not be believed."""
    if not len(table):
        return False
    # floats: exact up to 2**53, and beyond that still too large, where integers of a hostile table would wrap around
    rows, ids, codes = (table[:, column].astype(np.float64) for column in range(3))
    stored = table[:, 1] != NO_IDS
    if stored.any() != stored.all() or (table < np.array([0, NO_IDS, 0])).any():
        return True
    ends = np.concatenate([rows * code_size + codes, np.where(stored, rows * 8 + ids, 0)])
    return bool((ends > file_size).any())
