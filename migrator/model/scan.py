"""How a source is read: splits, chunks, rejected records, and the counts that must balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import abc

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

COUNT_NAMES = ("scanned", "copied", "rejected", "vanished", "duplicate")


@dataclass(frozen=True)
class Split:
    """A disjoint slice of a scan: JSON-only data, runnable anywhere, in any order, again."""

    id: str
    """Stable and safe as a file name: the same source and count give the same ids."""
    namespace: str | None
    """The one namespace the split lies in, or None when it spans several."""
    state: abc.Mapping[str, Any]
    """Whatever the connector needs to read it again, JSON types only."""
    records: int | None = None
    """Rows in the split where that is known without reading it."""


@dataclass(frozen=True)
class Rejected:
    """One record that cannot be copied, with the reason. Written to the run's rejected-records file."""

    namespace: str
    id: str
    code: str
    """Stable reason, e.g. ``wrong_dimension``, ``not_finite``, ``id_too_long``, ``duplicate_id``."""
    field: str
    """Which part of the record: ``id``, ``values``, ``sparse_values``, ``metadata`` or ``metadata.<key>``."""
    message: str
    raw: str | None = None
    """The record as JSON, as far as it could be read."""
    refused: bool = False
    """Whether the store refused it at writing, after every check of ours had passed."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a split and the cursor just after them."""

    batch: pa.RecordBatch
    """Well-formed rows in the layout of ``migrator.records``."""
    cursor: str
    """Give it to ``Source.read`` to go on just after this chunk."""
    start: int = 0
    """Position in the split of the chunk's first row, counting every row, malformed ones too."""
    rows: npt.NDArray[np.int64] | None = None
    """Position in the split of each row of ``batch``; None when they are consecutive from ``start``."""
    rejected: tuple[Rejected, ...] = ()
    """Rows of the source that could not be brought into ``batch``."""
    vanished: int = 0
    """Records that were listed and had been deleted by others when they were fetched."""
    unread: pa.RecordBatch | None = None
    """``id`` and ``namespace`` of rows that are there and were not read, because their reader knows them."""

    @property
    def scanned(self) -> int:
        """Rows of the source this chunk stands for."""
        return int(self.batch.num_rows) + len(self.rejected) + self.vanished + (len(self.unread) if self.unread is not None else 0)


@dataclass(frozen=True)
class Counts:
    """The identity of a run: ``scanned = copied + rejected + vanished + duplicate``."""

    scanned: int = 0
    copied: int = 0
    rejected: int = 0
    vanished: int = 0
    duplicate: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, name) + getattr(other, name) for name in COUNT_NAMES))

    @property
    def balanced(self) -> bool:
        """Whether every scanned record is accounted for."""
        return self.scanned == self.copied + self.rejected + self.vanished + self.duplicate

    def to_json(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNT_NAMES}
