"""Collections kept in this process: the reference connector, and the store that fails on request for tests of the pipeline.

``memory:NAME`` names a collection in ``COLLECTIONS``. A fault is asked for by an option holding the number of the write, counted
from 1 over the collection's life: ``fail_at`` (nothing applied), ``half_at`` (first half applied, then an error), ``lose_ack_at``
(all applied, then an error), ``limit_at`` (rate limited), ``refuse_at`` (a permanent error). ``refuse_id`` rejects one record
whenever it is written and ``delay_ms`` slows every write down. ``on_write`` of a ``Table`` is called before each write.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from migrator import endpoints, records
from migrator.connectors.memory.table import COLLECTIONS, Row, Table, to_batch
from migrator.errors import ConfigError, PermanentError, PlanError, RateLimitedError, RejectedRecordsError, TransientError
from migrator.filters import compile_filter
from migrator.model import Address, Capabilities, Chunk, Collection, Rejected, Split, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from migrator.model import Endpoint, Plan, Selection

OPTIONS = frozenset({"fail_at", "half_at", "lose_ack_at", "limit_at", "refuse_at", "refuse_id", "delay_ms"})
FAULTS = ("fail_at", "half_at", "lose_ack_at", "limit_at", "refuse_at")


def capabilities(_endpoint: Endpoint | None = None) -> Capabilities:
    return Capabilities(deletes=True, searches=True, concurrent_writes=4, quick_lookups=True)


def open_source(endpoint: Endpoint) -> MemoryStore:
    """Return the collection for reading. Raise ``PermanentError`` when there is none of that name."""
    store = MemoryStore(endpoint)
    store.table()
    return store


def open_target(endpoint: Endpoint) -> MemoryStore:
    """Return the collection for writing; ``prepare`` creates it."""
    return MemoryStore(endpoint)


def examine(endpoint: Endpoint) -> Iterator[Step]:
    """Say whether the collection exists."""
    try:
        collection = open_source(endpoint).describe()
    except PermanentError as error:
        yield Step("collection", "failed", error.message, error.fix)
    else:
        yield Step("collection", "ok", f"{collection.count} records")


class MemoryStore:
    """Every protocol a store can honour, over one ``Table``."""

    def __init__(self, endpoint: Endpoint) -> None:
        endpoints.check_options(endpoint, OPTIONS)
        if not endpoint.resource:
            raise ConfigError("a memory endpoint needs a name", fix="write memory:NAME", code="bad_endpoint")
        self._name = endpoint.resource
        self._faults = {name: endpoints.whole_number(endpoint, name, default=0) for name in FAULTS}
        self._refused_id = endpoint.options.get("refuse_id")
        self._delay = endpoints.whole_number(endpoint, "delay_ms", default=0, least=0) / 1000

    def table(self) -> Table:
        """Return the collection's table. Raise ``PermanentError`` when there is none."""
        table = COLLECTIONS.get(self._name)
        if table is None:
            raise PermanentError(f"there is no collection {self._name!r} in memory", fix="create it in this process first", code="not_found")
        return table

    def describe(self) -> Collection:
        table = self.table()
        rows = table.live()
        namespaces: dict[str, int] = {}
        for row in rows:
            namespaces[row.namespace] = namespaces.get(row.namespace, 0) + 1
        return Collection(
            self._name,
            table.dimension,
            table.metric,
            table.id_type,
            namespaces or {"": 0},
            kind="memory",
            sparse=any(row.sparse_values for row in rows),
            unique_ids=len(table.places) == len(rows),
        )

    def splits(self, selection: Selection, count: int, align: int = 1) -> Iterator[Split]:
        del align  # positions in memory need no alignment
        total = len(self.table().rows)
        wanted = None if selection.namespaces is None else list(selection.namespaces)
        bounds = np.linspace(0, total, max(1, count) + 1).astype(int).tolist()
        for first, last in itertools.pairwise(bounds):
            if first < last:
                yield Split(f"rows-{first}-{last}", None, {"first": first, "last": last, "namespaces": wanted})

    def _selected(self, split: Split) -> list[tuple[int, Row]]:
        first, wanted = split.state["first"], split.state["namespaces"]
        rows = enumerate(self.table().rows[first : split.state["last"]], first)
        return [(place, row) for place, row in rows if row is not None and (wanted is None or row.namespace in wanted)]

    def read(self, split: Split, cursor: str | None, records: int) -> Iterator[Chunk]:
        rows = self._selected(split)
        start = 0 if cursor is None else sum(place < int(cursor) for place, _ in rows)
        for position in range(start, len(rows), records):
            piece = rows[position : position + records]
            yield Chunk(to_batch([row for _, row in piece], self.table().dimension), str(piece[-1][0] + 1), position)

    def keys(self, split: Split) -> Iterator[pa.RecordBatch]:
        rows = [row for _, row in self._selected(split)]
        numeric = self.table().id_type == "int64"
        ids = pa.array([int(row.id) if numeric else row.id for row in rows], pa.int64() if numeric else pa.string())
        yield pa.RecordBatch.from_arrays([ids, pa.array([row.namespace for row in rows], pa.string())], ["id", "namespace"])

    def fetch(self, ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        table = self.table()
        with table.lock:
            places = [table.places.get((namespace, id_)) for id_ in dict.fromkeys(ids)]
            rows = [table.rows[place] for place in places if place is not None]
        return to_batch([row for row in rows if row is not None], table.dimension)

    def prepare(self, collection: Collection, plan: Plan) -> None:  # noqa: ARG002 (every fitting collection takes any plan)
        table = COLLECTIONS.setdefault(self._name, Table(collection.dimension, collection.metric, collection.id_type))
        if table.dimension != collection.dimension or table.metric != collection.metric:
            raise PlanError(
                f"memory collection {self._name!r} has dimension {table.dimension} and metric {table.metric}, "
                f"the source {collection.dimension} and {collection.metric}",
                fix="choose another name",
                code="target_differs",
            )

    def write(self, batch: pa.RecordBatch, part: str) -> None:
        table = self.table()
        with table.lock:
            table.writes += 1
            number = table.writes
        if table.on_write:
            table.on_write(number, batch)
        time.sleep(self._delay)
        self._fail_before(table, batch, number, part)
        rejected = self._refusals(batch)
        if rejected:
            batch = batch.filter(pa.array([id_ != self._refused_id for id_ in batch.column("id").to_pylist()]))
        table.upsert(batch)
        if number == self._faults["lose_ack_at"]:
            raise TransientError(f"write {number} ({part}) was applied but not acknowledged", fix="try again")
        if rejected:
            raise RejectedRecordsError(f"{len(rejected)} records refused", rejected, fix="look into the rejected records")

    def _fail_before(self, table: Table, batch: pa.RecordBatch, number: int, part: str) -> None:
        if number == self._faults["fail_at"]:
            raise TransientError(f"write {number} ({part}) failed before it was applied", fix="try again")
        if number == self._faults["half_at"]:
            table.upsert(batch.slice(0, batch.num_rows // 2))
            raise TransientError(f"write {number} ({part}) failed half-way", fix="try again")
        if number == self._faults["limit_at"]:
            raise RateLimitedError(f"write {number} ({part}) came too soon", retry_after=0.01)
        if number == self._faults["refuse_at"]:
            raise PermanentError(f"write {number} ({part}) is refused", fix="remove refuse_at")

    def _refusals(self, batch: pa.RecordBatch) -> list[Rejected]:
        if self._refused_id is None:
            return []
        refusal = Rejected("", self._refused_id, "refused_by_store", "id", "refuse_id names it")
        return [replace(refusal, namespace=row["namespace"]) for row in records.to_dicts(batch) if row["id"] == self._refused_id]

    def finish(self) -> None:
        self.table().finished += 1

    def delete(self, ids: Sequence[str], namespace: str) -> None:
        self.table().delete(ids, namespace)

    def stamp(self, ids: Sequence[str], namespace: str, metadata: Mapping[str, Any]) -> None:
        self.table().change(ids, namespace, lambda known: known | dict(metadata))

    def unstamp(self, ids: Sequence[str], namespace: str, keys: Sequence[str]) -> None:
        self.table().change(ids, namespace, lambda known: {key: value for key, value in known.items() if key not in keys})

    def address(self) -> Address:
        return Address({"MEMORY_COLLECTION": self._name}, {"Python": f"COLLECTIONS[{self._name!r}]"})

    def check_scale(self, options: Mapping[str, str]) -> None:
        if set(options) != {"replicas"}:
            raise ConfigError(f"{', '.join(sorted(options))} of memory cannot be scaled", fix="give replicas=N", code="bad_option")

    def scale(self, options: Mapping[str, str]) -> str:
        self.check_scale(options)
        self.table().replicas = int(options["replicas"])
        return f"{self._name} has {options['replicas']} replicas"

    def check_drop(self) -> None:
        """Do nothing: no memory collection is protected."""

    def drop(self) -> None:
        COLLECTIONS.pop(self._name, None)

    def search(
        self, vectors: Sequence[Sequence[float]], top_k: int, namespace: str | None, filter_: Mapping[str, Any] | None = None
    ) -> list[list[tuple[str, float]]]:
        matches = compile_filter(filter_) if filter_ else None
        return [self.table().search(np.asarray(query, np.float64), top_k, namespace, matches) for query in vectors]

    def close(self) -> None:
        """Do nothing: the collection outlives its connections."""
