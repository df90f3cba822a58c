"""Milvus as a source: what is in a collection, and its records in the order of their keys."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus import dropping, names, search
from migrator.connectors.milvus.address import address_of
from migrator.connectors.milvus.aliases import Aliases, by_own_name, listed
from migrator.connectors.milvus.counting import counted, repeated, tally
from migrator.connectors.milvus.layout import Layout, read_layout
from migrator.connectors.milvus.native import native_options
from migrator.connectors.milvus.pages import to_batch
from migrator.connectors.milvus.reading import MAX_WINDOW, Place, Reader, reader_for
from migrator.errors import ConfigError
from migrator.model import DEFAULT_NAMESPACE, Chunk, Collection, Finding, Split
from migrator.records import constant, empty_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from migrator.connectors.milvus.options import Settings
    from migrator.connectors.milvus.pages import Page
    from migrator.connectors.milvus.wire import Wire
    from migrator.model import Address, Selection


class MilvusSource:
    """Reads one collection, or in collection mode the family of collections named after it."""

    def __init__(self, wire: Wire, settings: Settings) -> None:
        """Find the collections. Raise ``ConfigError`` when there is none."""
        self._wire = wire
        existing = listed(wire)
        self._alias = settings.collection
        self._settings = settings = by_own_name(wire, settings, existing)
        self._lock = threading.Lock()
        self._layouts: dict[str, Layout] = {}
        self._readers: dict[str, Reader] = {}
        family = settings.namespace_mode == "collection"
        self._collections = names.collections_of(settings.collection, existing) if family else {DEFAULT_NAMESPACE: settings.collection}
        if not any(name in existing for name in self._collections.values()):
            known = ", ".join(sorted(existing)[:10]) or "none"
            raise ConfigError(f"Milvus at {wire.address} has no collection {settings.collection}", fix=f"it has: {known}", code="not_found")

    def _open(self, collection: str) -> tuple[Layout, Reader]:
        """Return layout and reader of ``collection``."""
        with self._lock:
            if collection not in self._layouts:
                layout = read_layout(self._wire, collection, self._settings)
                self._readers[collection] = reader_for(self._wire, layout)
                self._layouts[collection] = layout
            return self._layouts[collection], self._readers[collection]

    def _first(self) -> Layout:
        return self._open(next(iter(self._collections.values())))[0]

    def _places(self) -> dict[str | None, Place]:
        """Return namespace -> place; the namespace is None where a field of the rows names it."""
        mode = self._settings.namespace_mode
        if mode == "collection":
            return {namespace: Place(collection) for namespace, collection in self._collections.items()}
        name = self._settings.collection
        if mode == "partition":
            request = pb.ShowPartitionsRequest(collection_name=name)
            listed = self._wire.call("ShowPartitions", request, f"list the partitions of {name}").partition_names
            return {names.decode_namespace(partition): Place(name, partition) for partition in sorted(listed)}
        return {(None if self._first().namespace else DEFAULT_NAMESPACE): Place(name)}

    def address(self) -> Address:
        return address_of(self._settings)

    def aliases(self) -> Aliases:
        return Aliases(self._wire, self._settings, self._collections)

    def check_drop(self) -> None:
        dropping.check_drop(self._wire, self._collections.values())

    def drop(self) -> None:
        """Drop the collection, in collection mode all that are named after it."""
        dropping.drop(self._wire, self._collections.values())

    def describe(self) -> Collection:
        layout = self._first()
        counts, findings = self._counts()
        return Collection(
            name=self._settings.collection,
            alias=self._alias if self._alias != self._settings.collection else "",
            dimension=layout.dimension,
            metric=layout.metric,
            id_type=layout.id_type,
            namespaces=counts,
            fields={scalar.name: scalar.kind for scalar in layout.scalars},
            native=native_options(layout),
            kind=self._wire.product,
            sparse=layout.sparse is not None,
            unique_ids=True,  # a query returns each key once, even where rows share it: see counting
            findings=(*layout.findings(), *findings),
        )

    def _counts(self) -> tuple[dict[str, int], list[Finding]]:
        counts: dict[str, int] = {}
        findings: list[Finding] = []
        for namespace, place in self._places().items():
            layout, reader = self._open(place.collection)
            if layout.lite:  # keys are unique in Lite, and listing them is its count; its count(*) overlooks partitions
                found = tally(reader, layout, place, namespace)
            else:
                found, hidden = counted(self._wire, layout, place, namespace)
                findings += hidden
            for name, count in found.items():
                if count or self._settings.namespace_mode == "collection":
                    counts[name] = counts.get(name, 0) + count
        return counts or {DEFAULT_NAMESPACE: 0}, findings

    def splits(self, selection: Selection, count: int, align: int = 1) -> Iterable[Split]:
        """Return slices of the keys, equal in rows. To cut, the keys are listed once; one split a place needs no listing."""
        wanted = tuple(sorted(set(selection.namespaces))) if selection.namespaces is not None else None
        places = [(namespace, place) for namespace, place in self._places().items() if wanted is None or namespace is None or namespace in wanted]
        for number, (namespace, place) in enumerate(places):
            chosen = Place(place.collection, place.partition, wanted if namespace is None else None)
            yield from self._slices(number, namespace, chosen, max(1, count // len(places)), align)

    def _slices(self, number: int, namespace: str | None, place: Place, count: int, align: int) -> Iterator[Split]:
        layout, reader = self._open(place.collection)
        state: dict[str, Any] = {"collection": place.collection, "partition": place.partition, "after": None, "up_to": None}
        state["namespaces"] = list(place.namespaces) if place.namespaces is not None else None
        if count == 1:
            yield Split(f"m{number}-0", namespace, state, None)
            return
        keys = [page.keys for page in reader.pages(layout, place, None, None, MAX_WINDOW, vectors=False)]
        rows = sum(map(len, keys))
        whole = pa.chunked_array(keys) if keys else None
        ends = [*sorted({end for part in range(1, count) if 0 < (end := rows * part // count // align * align) < rows}), rows]
        start, previous = 0, None
        for part, end in enumerate(ends):
            last = whole[end - 1].as_py() if whole is not None and end < rows else None
            yield Split(f"m{number}-{part}", namespace, state | {"after": previous, "up_to": last}, end - start)
            start, previous = end, last

    def _of(self, split: Split) -> tuple[Layout, Reader, Place]:
        chosen = split.state["namespaces"]
        place = Place(split.state["collection"], split.state["partition"], tuple(chosen) if chosen is not None else None)
        return (*self._open(place.collection), place)

    def read(self, split: Split, cursor: str | None, records: int) -> Iterator[Chunk]:
        layout, reader, place = self._of(split)
        position = json.loads(cursor) if cursor else {"after": split.state["after"], "start": 0}
        start = int(position["start"])
        for page in reader.pages(layout, place, position["after"], split.state["up_to"], records, vectors=True):
            for first in range(0, len(page), records):
                part = page.slice(first, min(records, len(page) - first))
                batch, rejected, kept = to_batch(part, layout, split.namespace or DEFAULT_NAMESPACE)
                after = json.dumps({"after": part.keys[-1].as_py(), "start": start + len(part)})
                yield Chunk(batch, after, start, None if kept is None else kept + start, rejected)
                start += len(part)

    def keys(self, split: Split) -> Iterator[pa.RecordBatch]:
        """Yield ``id`` (string or int64) and ``namespace`` of every row of ``split``, in the order of ``read``."""
        layout, reader, place = self._of(split)
        for page in reader.pages(layout, place, split.state["after"], split.state["up_to"], MAX_WINDOW, vectors=False):
            yield _named(page, split.namespace)

    def repeated(self) -> Iterator[pa.RecordBatch]:
        """Yield ``id`` and ``namespace`` of the keys that have several rows, of which every query shows one."""
        for namespace, place in self._places().items():
            layout, _ = self._open(place.collection)
            if not layout.lite:  # there an insert replaces
                yield from (_named(page, namespace) for page in repeated(self._wire, layout, place))

    def fetch(self, ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        place = next((place for name, place in self._places().items() if name in {None, namespace}), None)
        if place is None or not ids:
            return empty_batch(self._first().dimension)
        found = self._fetched(ids, place, namespace)
        return found.filter(pc.equal(found.column("namespace"), namespace))

    def locate(self, ids: Sequence[str]) -> pa.RecordBatch:
        """Return those of ``ids`` that exist in whatever namespace: where a field of the rows names it, all at once."""
        found = [self._fetched(ids, place, namespace or DEFAULT_NAMESPACE) for namespace, place in self._places().items()] if ids else []
        return pa.concat_batches(found) if found else empty_batch(self._first().dimension)

    def _fetched(self, ids: Sequence[str], place: Place, namespace: str) -> pa.RecordBatch:
        """Return those of ``ids`` that are at ``place``; their namespace is ``namespace`` where no field says another."""
        layout, reader = self._open(place.collection)
        wanted = [key for key in (as_key(name, layout) for name in ids) if key is not None]
        parts = (reader.fetch(layout, place, wanted[start : start + 1000]) for start in range(0, len(wanted), 1000))
        batches = [to_batch(part, layout, namespace)[0] for part in parts]
        return pa.concat_batches(batches) if batches else empty_batch(layout.dimension)

    def search(
        self, vectors: Sequence[Sequence[float]], top_k: int, namespace: str | None, filter_: Mapping[str, Any] | None = None
    ) -> list[list[tuple[str, float]]]:
        places = [place for name, place in self._places().items() if name is None or namespace is None or name == namespace]
        return search.search_places(self._wire, [(place, self._open(place.collection)[0]) for place in places], vectors, top_k, namespace, filter_=filter_)

    def close(self) -> None:
        """Release the connection. Safe twice. A collection loaded for us stays loaded: somebody else may be reading it by now."""
        self._wire.close()


def _named(page: Page, namespace: str | None) -> pa.RecordBatch:
    """Return ``id`` (as the key is, string or int64) and ``namespace`` of the rows of a page."""
    namespaces = page.namespaces if page.namespaces is not None else constant(namespace or DEFAULT_NAMESPACE, len(page))
    return pa.RecordBatch.from_arrays([page.keys, namespaces], ["id", "namespace"])


def as_key(name: str, layout: Layout) -> str | int | None:
    """Return the collection's key for id ``name``, None when it cannot be one."""
    if layout.id_type != "int64":
        return name
    try:
        number = int(name)
    except ValueError:
        return None
    return number if str(number) == name and -(2**63) <= number < 2**63 else None
