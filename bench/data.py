"""Makes the indexes the benchmarks copy, and reads their rows back for the baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import faiss
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

BLOCK = 100_000
"""Vectors made at a time, so that making an index needs no second copy of it in memory."""


def make_flat_index(path: Path, records: int, dimension: int) -> None:
    """Write an ``IndexFlatL2`` of ``records`` random vectors, the same ones for the same numbers."""
    generator = np.random.default_rng(records * dimension)
    index = faiss.IndexFlatL2(dimension)
    for start in range(0, records, BLOCK):
        index.add(generator.standard_normal((min(BLOCK, records - start), dimension), np.float32))
    faiss.write_index(index, str(path))


def read_rows(path: Path) -> npt.NDArray[np.float32]:
    """Return the vectors of a flat index, of shape (records, dimension), all in memory."""
    index = faiss.read_index(str(path))
    rows: npt.NDArray[np.float32] = index.reconstruct_n(0, index.ntotal)
    return rows
