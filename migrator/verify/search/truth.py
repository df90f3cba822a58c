"""Exact nearest neighbours by brute force: every record compared with every query in float64, a block at a time.

What is kept is the best ``k`` of each query; a record that ties with the last of them is known by its score when an answer names it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from migrator.filters import compile_filter
from migrator.records import dump_json, matrix, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from migrator.model import Metric
    from migrator.verify.search.queries import Query

    Matrix = npt.NDArray[np.float64]

_BLOCK_BYTES = 4 << 20
"""Of vectors as float64, and of the scores of a block."""
_QUERIES = 256
"""Compared with a block at once."""
TOLERANCE = 1e-5
"""What float32 arithmetic in another order makes of a score, relative to the lengths of the two vectors."""


def closeness(metric: Metric, queries: Matrix, records: Matrix) -> Matrix:
    """Return how near each record is to each query, shape (queries, records): greater is nearer, NaN and zero lengths last.

    Cosine and dot product as they are, the squared euclidean distance negated.
    """
    with np.errstate(all="ignore"):
        found = queries @ records.T
        if metric == "cosine":
            lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(records, axis=1)[None, :]
            found = np.where(lengths == 0, 0.0, found / lengths)
        elif metric == "euclidean":
            squares = np.square(queries).sum(axis=1)[:, None] + np.square(records).sum(axis=1)[None, :]
            found = -np.maximum(squares - 2 * found, 0.0)
        return np.where(np.isnan(found), -np.inf, found)


def slack(metric: Metric, query: Matrix, record: Matrix, last: float) -> float:
    """Return by how much a store's float32 arithmetic may move the closeness of ``record`` beside the k-th, ``last``."""
    lengths = float(np.linalg.norm(query) * np.linalg.norm(record))
    if metric == "cosine":
        return TOLERANCE
    return TOLERANCE * lengths if metric == "dotproduct" else TOLERANCE * abs(last) + TOLERANCE / 10 * float(query @ query + record @ record)


@dataclass
class _Group:
    """Queries of one namespace and filter: they see the same records."""

    queries: Matrix
    matches: Callable[[Mapping[str, Any]], bool] | None
    best: Matrix
    names: npt.NDArray[np.object_]
    candidates: int = 0


@dataclass
class Truth:
    """The exact answers to ``queries``, which all name a namespace. Give it every record once, one thread at a time."""

    queries: Sequence[Query]
    k: int
    metric: Metric
    records: int = 0
    _groups: dict[str, dict[str, _Group]] = field(default_factory=dict)
    """Namespace, then filter as JSON."""
    _of: list[tuple[_Group, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        together: dict[tuple[str, str], list[int]] = {}
        for place, query in enumerate(self.queries):
            together.setdefault((query.namespace or "", dump_json(query.filter) if query.filter else ""), []).append(place)
        located: dict[int, tuple[_Group, int]] = {}
        for (namespace, text), places in together.items():
            vectors = np.stack([self.queries[place].vector for place in places]).astype(np.float64)
            best, names = np.full((len(places), self.k), -np.inf), np.empty((len(places), self.k), object)
            matches = compile_filter(parse_json(text)) if text else None
            group = _Group(vectors, matches, best, names)
            self._groups.setdefault(namespace, {})[text] = group
            located |= {place: (group, row) for row, place in enumerate(places)}
        self._of = [located[place] for place in range(len(self.queries))]

    def add(self, batch: pa.RecordBatch) -> None:
        """Compare more records with every query that asks for their namespace and filter."""
        self.records += len(batch)
        namespaces = np.array(batch.column("namespace").to_pylist(), object)
        for namespace, groups in self._groups.items():
            rows = np.flatnonzero(namespaces == namespace)
            if not len(rows):
                continue
            metadata = _parsed(batch, rows) if any(group.matches for group in groups.values()) else []
            for group in groups.values():
                mine = rows if group.matches is None else rows[[group.matches(found) for found in metadata]]
                self._compare(group, batch, mine)

    def _compare(self, group: _Group, batch: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> None:
        values, ids = matrix(batch), batch.column("id")
        group.candidates += len(rows)
        step = max(1, min(_BLOCK_BYTES // (8 * max(1, values.shape[1])), _BLOCK_BYTES // (8 * min(_QUERIES, len(group.queries)))))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            block = values[some].astype(np.float64)
            for first in range(0, len(group.queries), _QUERIES):
                self._improve(group, slice(first, first + _QUERIES), block, some, ids)

    def _improve(self, group: _Group, queries: slice, block: Matrix, rows: npt.NDArray[np.int64], ids: pa.Array) -> None:
        """Take into the best so far what is better in a block; after the first blocks that is next to nothing."""
        scores = closeness(self.metric, group.queries[queries], block)
        better = np.flatnonzero((scores > group.best[queries, -1:]).any(axis=1))
        if not len(better):
            return
        scores, mine = scores[better], queries.start + better
        count = min(self.k, len(rows))
        places = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        used, inverse = np.unique(rows[places], return_inverse=True)
        texts = np.array(ids.take(pa.array(used)).to_pylist(), object)
        best = np.concatenate([group.best[mine], np.take_along_axis(scores, places, axis=1)], axis=1)
        names = np.concatenate([group.names[mine], texts[inverse.reshape(places.shape)]], axis=1)
        order = np.argsort(-best, axis=1, kind="stable")[:, : self.k]
        group.best[mine], group.names[mine] = np.take_along_axis(best, order, axis=1), np.take_along_axis(names, order, axis=1)

    def nearest(self, place: int) -> list[tuple[str, float]]:
        """Return the exact answer to a query, best first, as ``(id, closeness)``; an id that is there twice, once."""
        group, row = self._of[place]
        found: dict[str, float] = {}
        for name, score in zip(group.names[row], group.best[row], strict=True):
            if score > -np.inf:  # a place not filled, or a vector that is no numbers
                found.setdefault(name, float(score))
        return list(found.items())

    def candidates(self, place: int) -> int:
        """Return how many records a query chooses among."""
        return self._of[place][0].candidates

    def matches(self, place: int, metadata: str | None) -> bool:
        """Return whether a record with ``metadata`` may answer a query."""
        matches = self._of[place][0].matches
        return matches is None or matches(parse_json(metadata) if metadata else {})


def _parsed(batch: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> list[Mapping[str, Any]]:
    return [parse_json(text) if text else {} for text in batch.column("metadata").take(rows).to_pylist()]
