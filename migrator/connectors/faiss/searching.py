"""Searches an index as its users do: the limited process asks Faiss, and what it answers gets the names the records have here."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from migrator.connectors.faiss.layout import NO_IDS
from migrator.connectors.faiss.reader import Reader
from migrator.errors import ConfigError, UnreadableSourceError
from migrator.records import integer_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from migrator.connectors.faiss.shard import Shard
    from migrator.model import Metric

Hits = list[tuple[str, float]]
_INNER_PRODUCT, _L2 = 0, 1
"""faiss.MetricType"""
_NO_SCORE = np.float32(3e38)
"""Faiss fills the places of an answer that stay empty with the label -1 and the worst score there is."""


@dataclass
class Searcher:
    """The own search of the shards of one index."""

    reader: Reader
    metric: Metric | None
    """What the scores are to be in; None leaves them as Faiss gives them."""
    _places: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = field(default=None, repr=False)
    """All stored ids, sorted, and the row of each."""

    def search(self, vectors: Sequence[Sequence[float]], top_k: int) -> list[Hits]:
        """Return for each vector its nearest as ``(id, score)``, best first, of all shards together.

        Raise ``ConfigError`` for vectors of another dimension, ``UnreadableSourceError`` when the index dies of the question.
        """
        queries = np.ascontiguousarray(vectors, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.reader.shards[0].told.dimension:
            found = queries.shape[-1] if queries.ndim else 0
            message = f"a query has {found} components and the index {self.reader.shards[0].told.dimension}"
            raise ConfigError(message, fix="ask with vectors of the index's dimension", code="dimension_differs")
        kind = self.reader.shards[0].told.metric
        if self.metric == "cosine":
            lengths = np.linalg.norm(queries, axis=1, keepdims=True)
            queries = np.divide(queries, lengths, out=np.zeros_like(queries), where=lengths > 0)
        answers: list[Hits] = [[] for _ in queries]
        for shard in self.reader.shards:
            for answer, scores, labels in zip(answers, *_asked(shard, queries, top_k), strict=True):
                there = (labels != -1) | (np.abs(scores) < _NO_SCORE)  # -1 stands for none, and may be an id
                answer.extend(zip(self._names(shard, labels[there]), self._scores(scores[there], kind).tolist(), strict=True))
        if len(self.reader.shards) > 1:
            similar = kind == _INNER_PRODUCT or self.metric in {"cosine", "dotproduct"}
            answers = [sorted(answer, key=lambda hit: hit[1], reverse=similar) for answer in answers]
        return [answer[:top_k] for answer in answers]

    def _scores(self, scores: npt.NDArray[np.float32], kind: int) -> npt.NDArray[np.float64]:
        """Return the scores in terms of the metric; of unit vectors, L2 says what their cosine is."""
        found = scores.astype(np.float64)
        if self.metric is None or (kind == _L2 and self.metric == "euclidean") or (kind == _INNER_PRODUCT and self.metric != "euclidean"):
            return found
        return 1 - found / 2 if kind == _L2 and self.metric == "cosine" else np.full(len(found), np.nan)

    def _names(self, shard: Shard, labels: npt.NDArray[np.int64]) -> list[str]:
        """Return the records' ids for what the index calls them."""
        numbered = shard.told.id_map == NO_IDS and not shard.told.extents.has_ids
        renaming = [part for part in self.reader.beside if part.renames]
        places = labels + shard.first if numbered else None
        if places is None and any(part.keys is None for part in renaming):
            places = labels if self.reader.order is not None else self._rows(labels)
        ids = integer_ids(labels + shard.first if numbered else labels)
        for part in renaming:
            ids = part.rows(labels if places is None else places, ids).column("id").combine_chunks()
        return [str(name) for name in ids.to_pylist()]

    def _rows(self, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the rows of stored ids. The first call sorts all of them, 16 bytes each."""
        if self._places is None:
            bare = Reader(self.reader.shards)
            ids = np.concatenate([some.to_numpy(zero_copy_only=False) for some in bare.ids(0, bare.count)] or [np.empty(0, np.int64)])
            order = np.argsort(ids, kind="stable")
            self._places = ids[order], order
        ids, order = self._places
        at = np.minimum(np.searchsorted(ids, labels), max(len(ids) - 1, 0))
        if len(labels) and not (len(ids) and (ids[at] == labels).all()):
            raise UnreadableSourceError("the index answers with ids that it does not store", fix="build the index again")
        return np.asarray(order[at], np.int64)


def _asked(shard: Shard, queries: npt.NDArray[np.float32], top_k: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return what one shard answers: scores and labels."""
    k = min(top_k, max(shard.count, 1))
    request = {"do": "search", "file": 0, "k": k, "queries": base64.b64encode(queries.tobytes()).decode()}
    shape = (len(queries), k)
    with shard.lent(2 * 12 * k * len(queries)) as child:
        answer = child.ask(request, largest=8 * k * len(queries))
        scores, labels = (next(answer)[1] for _ in range(2))
    if len(scores) != 4 * k * len(queries) or len(labels) != 8 * k * len(queries):
        raise UnreadableSourceError(f"{shard.file.name} cannot be searched: it answers something else than was asked", fix="build the index again")
    return np.frombuffer(scores, np.float32).reshape(shape), np.frombuffer(labels, np.int64).reshape(shape)
