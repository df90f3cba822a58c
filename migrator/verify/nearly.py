"""Vectors that cannot be equal bit by bit: both sides are brought to one form, and what then differs by little enough is equal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from migrator.digest import hash_rows
from migrator.records import matrix, with_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from migrator.model import Chunk, Tolerance
    from migrator.verify.diff import Found, Partition
    from migrator.verify.sides import Content, Side

_AT_ONCE = 4_096
"""Pairs of vectors compared at once."""


def eased(side: Side, tolerance: Tolerance) -> Side:
    """Return ``side`` with its vectors in the form that ``tolerance`` compares."""
    if not (tolerance.normalised or tolerance.float16):
        return side

    def content(chunk: Chunk, position: int) -> Content:
        return ease(side.content(chunk, position)[0], tolerance), None

    def fetch(ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        return ease(side.fetch(ids, namespace), tolerance)

    return replace(side, content=content, fetch=fetch)


def ease(batch: pa.RecordBatch, tolerance: Tolerance) -> pa.RecordBatch:
    """Return the records with their vectors normalised, then rounded to float16, as ``tolerance`` asks. A zero vector stays zero."""
    values = matrix(batch)
    if tolerance.normalised:
        # in float64, but never a whole matrix of it: two threads each hold a chunk in several forms already
        lengths = np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64))[:, np.newaxis]
        values = np.divide(values, np.where(lengths > 0, lengths, 1.0), out=np.empty_like(values), dtype=np.float64, casting="same_kind")
    if tolerance.float16:
        with np.errstate(over="ignore"):  # beyond float16 there is infinity, on both sides alike
            values = values.astype(np.float16).astype(np.float32)
    return with_values(batch, values)


def rest_of(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of each record without its vector."""
    return hash_rows(with_values(batch, np.zeros((len(batch), 1), np.float32))).rows[:, 0]


@dataclass
class Nearly:
    """Passes on differences that are none within a tolerance, and counts those."""

    most: float
    """The largest difference of a component that is none."""
    within: int = 0
    largest: float = 0.0
    """The largest difference of a component among those that are none."""

    def __call__(self, found: Iterable[Found], ours: Partition, theirs: Partition) -> Iterator[Found]:
        """Yield those of ``found``, all in one partition of the two sides, that differ by more than is allowed."""
        near: list[Found] = []
        for one in found:
            if self.most and one.difference.kind == "changed" and len(one.source) == len(one.target) == 1:
                near.append(one)
                if len(near) == _AT_ONCE:
                    yield from self._beyond(near, ours, theirs)
                    near = []
            else:
                yield one
        if near:
            yield from self._beyond(near, ours, theirs)

    def _beyond(self, near: Sequence[Found], ours: Partition, theirs: Partition) -> Iterator[Found]:
        names = [(one.difference.namespace, one.difference.id) for one in near]
        left, right = ours.content(names), theirs.content(names)
        if left.values.shape != right.values.shape:
            yield from near
            return
        deltas = np.abs(left.values.astype(np.float64) - right.values).max(axis=1, initial=0.0)
        good = (deltas <= self.most) & (left.rest == right.rest)
        self.within += int(good.sum())
        self.largest = max(self.largest, float(deltas[good].max(initial=0.0)))
        yield from (one for one, fine in zip(near, good.tolist(), strict=True) if not fine)
