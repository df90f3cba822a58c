"""Reading rows in the order of their keys, over gRPC or straight from a Lite engine, behind one ``Reader``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pymilvus.grpc_gen import common_pb2
from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus import names
from migrator.connectors.milvus.engine import engine_for
from migrator.connectors.milvus.pages import page_of
from migrator.connectors.milvus.repair import rebuild_indexes
from migrator.errors import PermanentError, PlanError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.connectors.milvus.engine import Engine
    from migrator.connectors.milvus.layout import Layout
    from migrator.connectors.milvus.pages import Page
    from migrator.connectors.milvus.view import View
    from migrator.connectors.milvus.wire import Wire

MAX_WINDOW = 16_384
"""Milvus Limits: the most rows a query may return (proxy.maxResultWindow)."""
PAGE_BYTES = 16 << 20
STRONG, CUSTOMIZED = 0, 4
"""common.ConsistencyLevel"""

Key = Any
"""An int, or a str."""


@dataclass(frozen=True)
class Place:
    """Where rows are: a collection, in partition mode one of its partitions, and of those the rows in certain namespaces."""

    collection: str
    partition: str | None = None
    namespaces: tuple[str, ...] | None = None
    """Only rows whose namespace field names one of these; None takes all."""


class Reader(Protocol):
    """Reads the rows of one place by rising key. ``after`` (exclusive) and ``up_to`` (inclusive) are keys; None is open."""

    def pages(self, layout: Layout, place: Place, after: Key | None, up_to: Key | None, rows: int, *, vectors: bool) -> Iterator[Page]:
        """Yield pages of about ``rows`` rows; without ``vectors`` only keys and namespaces."""

    def fetch(self, layout: Layout, place: Place, keys: Sequence[Key]) -> Page:
        """Return the rows that exist among ``keys``, at most ``MAX_WINDOW`` of them."""


def reader_for(wire: Wire, layout: Layout) -> Reader:
    """Return the fastest reader of a collection that ``wire`` allows; queries need it loaded, the engine has the rows anyway."""
    engine = engine_for(wire.lease, layout.collection, wire.settings.database) if wire.lease is not None else None
    if engine is not None:
        return EngineReader(engine)
    ensure_loaded(wire, layout)
    return RemoteReader(wire)


class EngineReader:
    """Reads from the Milvus Lite engine in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _view(self, layout: Layout, place: Place) -> View:
        view = self._engine.view()
        if place.partition is not None:
            view = view.only(view.in_partition(place.partition))
        if place.namespaces is not None and layout.namespace:
            view = view.only(view.in_namespaces(layout.namespace.name, place.namespaces))
        return view

    def pages(self, layout: Layout, place: Place, after: Key | None, up_to: Key | None, rows: int, *, vectors: bool) -> Iterator[Page]:
        view = self._view(layout, place)
        first, end = view.between(after, up_to)
        for start in range(first, end, rows):
            positions = np.arange(start, min(start + rows, end), dtype=np.int64)
            yield self._engine.page(view, positions, layout) if vectors else self._engine.keys(view, positions, layout)

    def fetch(self, layout: Layout, place: Place, keys: Sequence[Key]) -> Page:
        view = self._view(layout, place)
        wanted = pc.is_in(view.keys, value_set=pa.array(list(keys), view.keys.type))
        return self._engine.page(view, np.flatnonzero(wanted.to_numpy(zero_copy_only=False)), layout)


class RemoteReader:
    """Reads over gRPC. Each method sees everything acknowledged before it was called."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def query(
        self,
        layout: Layout,
        place: Place,
        filters: str,
        output: Sequence[str],
        *,
        limit: int | None = None,
        seen: tuple[int, int] = (STRONG, 0),
        ordered: bool = False,
    ) -> Any:
        """Return the answer to one query; ``seen`` is consistency level and timestamp."""
        params = {"limit": str(limit)} if limit is not None else {}
        if ordered:
            # As the SDK's QueryIterator asks: pages are prefixes of the key order, also where keys occur twice. They may be
            # longer or shorter than the limit; only an empty page is the end.
            params |= {"iterator": "True", "reduce_stop_for_best": "True"}
        if place.namespaces is not None and layout.namespace:
            filters = names.both(filters, names.among(layout.namespace.name, place.namespaces))
        request = pb.QueryRequest(
            collection_name=place.collection,
            partition_names=[place.partition] if place.partition is not None else [],
            expr=filters,
            output_fields=list(output),
            use_default_consistency=False,
            consistency_level=seen[0],
            guarantee_timestamp=seen[1],
            query_params=[common_pb2.KeyValuePair(key=key, value=value) for key, value in params.items()],
        )
        return self._wire.call("Query", request, f"read {layout.collection}")

    def pages(self, layout: Layout, place: Place, after: Key | None, up_to: Key | None, rows: int, *, vectors: bool) -> Iterator[Page]:
        name = layout.key.name
        output = layout.output if vectors else [name, *([layout.namespace.name] if layout.namespace else [])]
        window = max(1, min(rows, MAX_WINDOW, PAGE_BYTES // (4 * layout.dimension + 1024))) if vectors else MAX_WINDOW
        cursor, seen = after, now(self._wire)
        while True:
            filters = names.both(names.after(name, cursor) if cursor is not None else "", names.up_to(name, up_to) if up_to is not None else "")
            page = page_of(self.query(layout, place, filters, output, limit=window, seen=seen, ordered=True), layout)
            if not len(page):
                return
            yield page
            cursor = page.keys[-1].as_py()

    def fetch(self, layout: Layout, place: Place, keys: Sequence[Key]) -> Page:
        return page_of(self.query(layout, place, names.among(layout.key.name, keys), layout.output, limit=MAX_WINDOW), layout)

    def count(self, layout: Layout, place: Place, filters: str = "", *, seen: tuple[int, int] = (STRONG, 0)) -> int:
        """Count at full consistency: the statistics count upserts twice and deletes not at all."""
        answer = self.query(layout, place, filters, ["count(*)"], seen=seen)
        return int(answer.fields_data[0].scalars.long_data.data[0])


def now(wire: Wire) -> tuple[int, int]:
    """Return the consistency level and timestamp that show everything acknowledged so far.

    Strong takes the same care but waits anew for every page, 0.2 s each on 2.3.5; one timestamp taken now waits once.
    """
    if wire.lease is not None:
        return STRONG, 0
    try:
        return CUSTOMIZED, wire.call("AllocTimestamp", pb.AllocTimestampRequest(), "tell the time").timestamp
    except PermanentError:  # not every managed service offers it
        return STRONG, 0


def _load(wire: Wire, name: str) -> None:
    request = pb.LoadCollectionRequest(collection_name=name, replica_number=1)
    try:
        wire.call("LoadCollection", request, f"load {name}")
    except PermanentError:
        if wire.lease is None:
            raise
        # Milvus Lite writes index files in place: a process killed meanwhile leaves one that can never be loaded again
        rebuild_indexes(wire, name)
        wire.call("LoadCollection", request, f"load {name}")


def is_loaded(wire: Wire, name: str) -> bool:
    """Return whether collection ``name`` is in memory, and so can be queried."""
    state = wire.call("GetLoadState", pb.GetLoadStateRequest(collection_name=name), f"ask whether {name} is loaded").state
    return bool(state == common_pb2.LoadStateLoaded)


def ensure_loaded(wire: Wire, layout: Layout) -> None:
    """Load the collection into memory unless it is. Raise ``PlanError`` when it has no index."""
    name = layout.collection
    if is_loaded(wire, name):
        return
    if not layout.index_type and wire.lease is None:
        fix = "create one, of any type; or, if a run that makes the collection was stopped, resume it"
        raise PlanError(f"collection {name} has no index on its vector field, so Milvus cannot load it", fix=fix)
    _load(wire, name)
    end, reached = time.monotonic() + wire.settings.timeout, 0
    while True:
        progress = wire.call("GetLoadingProgress", pb.GetLoadingProgressRequest(collection_name=name), f"load {name}").progress
        if progress >= 100:
            return
        if progress > reached:  # a large collection takes minutes, as long as it gets on
            end, reached = time.monotonic() + wire.settings.timeout, progress
        if time.monotonic() > end:
            raise TransientError(f"collection {name} stays loaded to {progress} % for {wire.settings.timeout} s", fix="resume later, or raise timeout=")
        time.sleep(0.1)
