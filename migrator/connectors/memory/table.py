"""The collections themselves: rows in order of arrival, found by (namespace, id), searched by brute force."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from migrator import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from migrator.filters import Predicate
    from migrator.model import IdType, Metric


@dataclass(frozen=True)
class Row:
    """One record; ``values`` is float32 and ``metadata`` canonical JSON text."""

    namespace: str
    id: str
    values: npt.NDArray[np.float32]
    sparse_values: dict[str, Any] | None
    metadata: str | None


@dataclass
class Table:
    """A collection. A deleted row leaves None behind, so that positions, and with them cursors, stay what they were."""

    dimension: int
    metric: Metric | None = "cosine"
    id_type: IdType = "string"
    rows: list[Row | None] = field(default_factory=list)
    places: dict[tuple[str, str], int] = field(default_factory=dict)
    writes: int = 0
    finished: int = 0
    replicas: int = 1
    on_write: Callable[[int, pa.RecordBatch], None] | None = None
    doubled: bool = False
    """Whether some id was ever appended twice."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def append(self, batch: pa.RecordBatch) -> None:
        """Add every row, also those whose id is there already: how a source with duplicate ids is made."""
        with self.lock:
            for row in _rows(batch):
                self.doubled = self.doubled or (row.namespace, row.id) in self.places
                self.places[row.namespace, row.id] = len(self.rows)
                self.rows.append(row)

    def upsert(self, batch: pa.RecordBatch) -> None:
        """Replace the rows whose (namespace, id) is there, whole; append the others."""
        with self.lock:
            for row in _rows(batch):
                place = self.places.setdefault((row.namespace, row.id), len(self.rows))
                if place == len(self.rows):
                    self.rows.append(row)
                else:
                    self.rows[place] = row

    def delete(self, ids: Sequence[str], namespace: str) -> None:
        """Remove the rows that are there, all of them where an id was appended twice."""
        with self.lock:
            for id_ in ids:
                place = self.places.pop((namespace, id_), None)
                if place is not None:
                    self.rows[place] = None
            if self.doubled:
                gone = {(namespace, id_) for id_ in ids}
                self.rows[:] = [None if row is not None and (row.namespace, row.id) in gone else row for row in self.rows]

    def change(self, ids: Sequence[str], namespace: str, metadata: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Replace the metadata of the rows that are there by what ``metadata`` makes of it."""
        with self.lock:
            for id_ in ids:
                place = self.places.get((namespace, id_))
                row = None if place is None else self.rows[place]
                if place is not None and row is not None:
                    changed = metadata(records.parse_json(row.metadata) if row.metadata else {})
                    self.rows[place] = replace(row, metadata=records.canonical_metadata(changed))

    def live(self) -> list[Row]:
        """Return the rows that are not deleted, in order of arrival."""
        with self.lock:
            return [row for row in self.rows if row is not None]

    def search(self, query: npt.NDArray[np.float64], top_k: int, namespace: str | None, matches: Predicate | None = None) -> list[tuple[str, float]]:
        """Return the ``top_k`` nearest rows by exact comparison, best first; only those whose metadata ``matches``."""
        rows = [row for row in self.live() if namespace is None or row.namespace == namespace]
        if matches is not None:
            rows = [row for row in rows if matches(records.parse_json(row.metadata) if row.metadata else {})]
        stored = np.stack([row.values for row in rows]).astype(np.float64) if rows else np.empty((0, self.dimension))
        scores = _scores(stored, query, self.metric)
        order = np.argsort(scores if self.metric == "euclidean" else -scores, kind="stable")[:top_k]
        return [(rows[place].id, float(scores[place])) for place in order]


COLLECTIONS: dict[str, Table] = {}


def _rows(batch: pa.RecordBatch) -> Iterator[Row]:
    vectors = records.matrix(batch)
    columns = (batch.column(name).to_pylist() for name in ("namespace", "id", "sparse_values", "metadata"))
    for position, (namespace, id_, sparse_values, metadata) in enumerate(zip(*columns, strict=True)):
        yield Row(namespace, id_, vectors[position].copy(), sparse_values, metadata)


def to_batch(rows: Sequence[Row], dimension: int) -> pa.RecordBatch:
    """Return ``rows`` as a record batch."""
    if not rows:
        return records.empty_batch(dimension)
    return records.make_batch(
        [row.id for row in rows],
        np.stack([row.values for row in rows]),
        namespace=pa.array([row.namespace for row in rows], pa.string()),
        metadata=[row.metadata for row in rows],
        sparse_values=[row.sparse_values for row in rows],
    )


def _scores(stored: npt.NDArray[np.float64], query: npt.NDArray[np.float64], metric: Metric | None) -> npt.NDArray[np.float64]:
    if metric == "euclidean":
        return np.asarray(np.square(stored - query).sum(axis=1), np.float64)
    products: npt.NDArray[np.float64] = stored @ query
    if metric == "cosine":
        lengths = np.linalg.norm(stored, axis=1) * np.linalg.norm(query)
        return np.asarray(np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0), np.float64)
    return products
