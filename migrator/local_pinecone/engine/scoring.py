"""Exact search: the score of every row as the service defines it for each metric, and the best of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from migrator.local_pinecone.engine.checks import squares

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from migrator.local_pinecone.engine.records import Sparse, Values
    from migrator.local_pinecone.engine.table import Table

_BLOCK = 8192
"""Rows compared at once, so that what is computed in between stays small."""


def dense_scores(table: Table, query: Values, metric: str) -> Values:
    """Return one score a row: cosine similarity, dot product, or the **squared** euclidean distance."""
    rows = table.matrix
    scores = np.empty(len(rows), np.float32)
    with np.errstate(all="ignore"):  # freed rows hold anything
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            scores[start : start + _BLOCK] = squares(block - query) if metric == "euclidean" else block @ query
        if metric == "cosine":
            lengths = table.lengths * np.float32(np.linalg.norm(query))
            scores = np.divide(scores, lengths, out=np.zeros_like(scores), where=lengths > 0)
    return scores


def sparse_scores(vectors: Mapping[int, Sparse], count: int, query: Sparse) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Return one dot product a row, and which rows share an index with the query at all. ``vectors`` goes by row."""
    scores = np.zeros(count, np.float32)
    touched = np.zeros(count, np.bool_)
    order = np.argsort(query[0])
    wanted, weights = query[0][order], query[1][order]
    for row, (indices, values) in vectors.items():
        places = np.searchsorted(wanted, indices)
        places[places == len(wanted)] = 0
        shared = wanted[places] == indices
        if shared.any():
            touched[row] = True
            scores[row] = weights[places[shared]] @ values[shared]
    return scores, touched


def best(scores: Values, candidates: npt.NDArray[np.intp], count: int, *, lowest: bool) -> npt.NDArray[np.intp]:
    """Return the ``count`` best of ``candidates`` (positions in ``scores``), best first, equal ones in their own order."""
    keys = scores[candidates] if lowest else -scores[candidates]
    if len(candidates) > count:
        chosen = np.argpartition(keys, count - 1)[:count]
        chosen.sort()
    else:
        chosen = np.arange(len(candidates))
    return candidates[chosen[np.argsort(keys[chosen], kind="stable")]]
