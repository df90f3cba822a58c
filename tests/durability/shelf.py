"""A store in one SQLite file, for tests that kill processes: source and target, changed from outside while a run goes.

``shelf:PATH`` keeps (namespace, id) once, upserts, deletes and stamps. Reading goes by (namespace, id), so new records are met
by every scan that begins after them.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator import connectors, records
from migrator.errors import PermanentError
from migrator.model import Capabilities, Chunk, Collection, Split, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa

    from migrator.model import Endpoint, Plan, Selection

connectors.REGISTRY["shelf"] = __name__
DIMENSION = 4
_CUTS = ("", "3", "6", "~")
"""Ids are split where the first character after their letter is one of these."""


def capabilities(_endpoint: Endpoint | None = None) -> Capabilities:
    return Capabilities(deletes=True, sparse=False, concurrent_writes=2)


def open_source(endpoint: Endpoint) -> Shelf:
    return Shelf(endpoint.resource)


open_target = open_source


def examine(_endpoint: Endpoint) -> Iterator[Step]:
    yield Step("file", "ok")


class Shelf:
    """One file; every call has a connection of its own, so nothing outlives a kill but what was committed."""

    def __init__(self, path: str) -> None:
        self.path = path

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            with closing(sqlite3.connect(self.path, timeout=20)) as db, db:
                return db.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                raise PermanentError(f"{self.path} is no shelf", fix="make it first", code="not_found") from None
            raise

    def create(self) -> None:
        sql = "CREATE TABLE IF NOT EXISTS records (namespace TEXT, id TEXT, vector BLOB, metadata TEXT, PRIMARY KEY (namespace, id)) WITHOUT ROWID"
        with closing(sqlite3.connect(self.path, timeout=20)) as db, db:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(sql)

    def put(self, rows: Sequence[tuple[str, str, bytes, str | None]]) -> None:
        with closing(sqlite3.connect(self.path, timeout=20)) as db, db:
            db.executemany("INSERT OR REPLACE INTO records VALUES (?,?,?,?)", rows)

    def content(self) -> dict[tuple[str, str], tuple[bytes, str | None]]:
        """Return everything there is, for comparing."""
        return {(namespace, id_): (vector, metadata) for namespace, id_, vector, metadata in self._rows("SELECT * FROM records")}

    # -- source

    def describe(self) -> Collection:
        found = dict(self._rows("SELECT namespace, COUNT(*) FROM records GROUP BY namespace"))
        return Collection(self.path, DIMENSION, "cosine", namespaces=found or {"": 0}, kind="shelf", unique_ids=True)

    def splits(self, selection: Selection, _count: int, align: int = 1) -> list[Split]:
        del align  # ids are not rows
        names = self.describe().namespaces if selection.namespaces is None else selection.namespaces
        ranges = [(f"i{low}" if low else "", f"i{high}") for low, high in itertools.pairwise(_CUTS)]
        return [Split(f"{name or 'default'}-{n}", name, {"range": list(one)}) for name in names for n, one in enumerate(ranges)]

    def read(self, split: Split, cursor: str | None, records: int) -> Iterator[Chunk]:
        low, high = split.state["range"]
        after = cursor if cursor is not None else low
        start = 0 if cursor is None else self._rows("SELECT COUNT(*) FROM records WHERE namespace=? AND id>? AND id<=?", split.namespace, low, cursor)[0][0]
        while rows := self._rows("SELECT * FROM records WHERE namespace=? AND id>? AND id<=? ORDER BY id LIMIT ?", split.namespace, after, high, records):
            after = rows[-1][1]
            yield Chunk(_batch(rows), after, start)
            start += len(rows)

    def fetch(self, ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        marks = ",".join("?" * len(ids))
        return _batch(self._rows(f"SELECT * FROM records WHERE namespace=? AND id IN ({marks})", namespace, *ids))

    def stamp(self, ids: Sequence[str], namespace: str, metadata: Mapping[str, Any]) -> None:
        self._change(ids, namespace, lambda known: known | dict(metadata))

    def unstamp(self, ids: Sequence[str], namespace: str, keys: Sequence[str]) -> None:
        self._change(ids, namespace, lambda known: {key: value for key, value in known.items() if key not in keys})

    def _change(self, ids: Sequence[str], namespace: str, change: Any) -> None:
        with closing(sqlite3.connect(self.path, timeout=20, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            for id_ in ids:
                for (text,) in db.execute("SELECT metadata FROM records WHERE namespace=? AND id=?", (namespace, id_)).fetchall():
                    changed = records.canonical_metadata(change(json.loads(text) if text else {}))
                    db.execute("UPDATE records SET metadata=? WHERE namespace=? AND id=?", (changed, namespace, id_))
            db.execute("COMMIT")

    # -- target

    def prepare(self, _collection: Collection, _plan: Plan) -> None:
        self.create()

    def write(self, batch: pa.RecordBatch, _part: str) -> None:
        columns = (batch.column(name).to_pylist() for name in ("namespace", "id", "metadata"))
        names, ids, metadata = columns
        vectors = [row.tobytes() for row in records.matrix(batch)]
        self.put(list(zip(names, ids, vectors, metadata, strict=True)))

    def delete(self, ids: Sequence[str], namespace: str) -> None:
        with closing(sqlite3.connect(self.path, timeout=20)) as db, db:
            db.executemany("DELETE FROM records WHERE namespace=? AND id=?", [(namespace, id_) for id_ in ids])

    def finish(self) -> None:
        """Do nothing: every write is final."""

    def close(self) -> None:
        """Do nothing: no connection is kept."""


def _batch(rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    if not rows:
        return records.empty_batch(DIMENSION)
    namespaces, ids, vectors, metadata = zip(*rows, strict=True)
    values = np.frombuffer(b"".join(vectors), np.float32).reshape(len(rows), DIMENSION)
    return records.make_batch(list(ids), values, namespace=records.pa.array(namespaces, records.pa.string()), metadata=list(metadata))
