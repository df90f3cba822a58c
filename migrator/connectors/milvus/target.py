"""Milvus as a target: creates collections, writes whole records by key, and waits until they are indexed and loaded."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus import creation, loading, names, search
from migrator.connectors.milvus.bulk import importer_for
from migrator.connectors.milvus.columns import split_batch
from migrator.connectors.milvus.engine import Engine, engine_for
from migrator.connectors.milvus.import_reasons import uncancellable
from migrator.connectors.milvus.layout import Layout, exists, read_layout
from migrator.connectors.milvus.messages import fields_data
from migrator.connectors.milvus.names import DEFAULT_PARTITION
from migrator.connectors.milvus.reading import Place, ensure_loaded, reader_for
from migrator.connectors.milvus.readying import make_ready
from migrator.connectors.milvus.source import as_key
from migrator.errors import PlanError, RejectedRecordsError
from migrator.failpoints import failpoint
from migrator.model import DEFAULT_NAMESPACE, Collection, Plan, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from migrator.connectors.milvus.bulk import Importer
    from migrator.connectors.milvus.columns import Columns
    from migrator.connectors.milvus.options import Settings
    from migrator.connectors.milvus.wire import Wire
    from migrator.model import Finding, LoadProgress, LoadUnit

REQUEST_BYTES = 12 << 20
"""Bytes a write request aims at: Milvus takes 64 MB and works best with 8 to 16."""
DELETE_KEYS = 1_000


class MilvusTarget:
    """Writes one collection, or in collection mode one for each namespace."""

    def __init__(self, wire: Wire, settings: Settings) -> None:
        self._wire = wire
        self._settings = settings
        self._lock = threading.Lock()
        self._layouts: dict[str, Layout] = {}
        self._engines: dict[str, Engine | None] = {}
        self._partitions: set[tuple[str, str]] = set()
        self._collection: Collection | None = None
        self._plan: Plan | None = None
        self._staged = False
        """Whether rows come by bulk load."""
        self._shown: set[str] = set()
        """Collections of which queries see all, unless an import was started since."""

    def prepare(self, collection: Collection, plan: Plan) -> None:
        self._collection, self._plan = collection, plan
        namespaces = sorted(collection.namespaces)
        if plan.mapping.target_namespace is not None:
            namespaces = [plan.mapping.target_namespace]
        elif plan.selection.namespaces is not None:
            namespaces = sorted(plan.selection.namespaces)
        if self._settings.namespace_mode == "partition_key":
            namespaces = [DEFAULT_NAMESPACE]
        self._staged = self._staged or plan.route == "staged"
        for namespace in namespaces:
            self._open(self._named(namespace))

    def _named(self, namespace: str) -> Place:
        """Return where ``namespace`` is written. Raise ``PlanError`` when it makes no name."""
        try:
            return self._place(namespace)
        except ValueError as error:
            raise PlanError(str(error), fix="use namespace_mode=partition_key", code="bad_name") from None

    def _place(self, namespace: str) -> Place:
        """Return where ``namespace`` is written. Raise ``ValueError`` when it makes no name."""
        mode, base = self._settings.namespace_mode, self._settings.collection
        if mode == "collection":
            return Place(names.collection_of(base, namespace))
        return Place(base, names.encode_namespace(namespace) if mode == "partition" else None)

    def _open(self, place: Place) -> Layout:
        """Return the layout of the collection at ``place``, created, indexed and loaded; and its partition created."""
        with self._lock:
            if place.collection not in self._layouts:
                self._layouts[place.collection] = self._made(place.collection)
                lease = self._wire.lease
                self._engines[place.collection] = engine_for(lease, place.collection, self._settings.database) if lease is not None else None
            if place.partition not in {None, DEFAULT_PARTITION} and (place.collection, place.partition) not in self._partitions:
                self._make_partition(place.collection, place.partition or "")
            return self._layouts[place.collection]

    def _made(self, name: str) -> Layout:
        if self._collection is None or self._plan is None:
            raise PlanError("the Milvus target was not prepared", fix="call prepare before write")
        if not exists(self._wire, name):
            creation.create(self._wire, name, self._collection, self._plan, self._settings)
            failpoint("milvus_created")
        layout = creation.checked_layout(self._wire, name, self._collection, self._plan, self._settings)
        creation.index(self._wire, layout, self._collection, self._plan, self._settings)
        layout = read_layout(self._wire, name, self._settings)
        if self._staged:  # loaded once all is imported: to show it in a loaded collection takes 2.3.5 8 s longer
            loading.check_key(layout, self._settings)
        else:
            ensure_loaded(self._wire, layout)
        return layout

    def _has_partition(self, collection: str, partition: str) -> bool:
        request = pb.HasPartitionRequest(collection_name=collection, partition_name=partition)
        return bool(self._wire.call("HasPartition", request, f"look for partition {partition}").value)

    def _make_partition(self, collection: str, partition: str) -> None:
        if not self._has_partition(collection, partition):
            created = pb.CreatePartitionRequest(collection_name=collection, partition_name=partition)
            self._wire.call("CreatePartition", created, f"create partition {partition} of {collection}")
        self._partitions.add((collection, partition))

    def write(self, batch: pa.RecordBatch, part: str) -> None:  # noqa: ARG002 (rows replace those with their key, whatever the part)
        rejected: list[Rejected] = []
        for namespace, rows in _by_namespace(batch, together=self._settings.namespace_mode == "partition_key"):
            rejected += self._write_to(namespace, rows)
        if rejected:
            raise RejectedRecordsError(rejected[0].message, rejected, fix="see the rejected records; the others are written")

    def _write_to(self, namespace: str, rows: pa.RecordBatch) -> tuple[Rejected, ...]:
        try:
            place = self._place(namespace)
        except ValueError as error:
            ids = rows.column("id").to_pylist()
            return tuple(Rejected(namespace, name, "namespace_too_long", "namespace", f"record {name!r}: {error}") for name in ids)
        layout = self._open(place)
        columns, rejected = split_batch(rows, layout)
        if len(columns):
            failpoint("milvus_write")
            self._send(columns, layout, place)
            failpoint("milvus_written")
        return rejected

    def _send(self, columns: Columns, layout: Layout, place: Place) -> None:
        engine = self._engines[place.collection]
        if engine is not None:
            engine.insert(columns, layout, place.partition or DEFAULT_PARTITION)
            return
        rows = max(1, REQUEST_BYTES // max(1, columns.nbytes // len(columns)))
        for start in range(0, len(columns), rows):
            self._replace(columns.slice(start, rows), layout, place)

    def _replace(self, columns: Columns, layout: Layout, place: Place) -> None:
        """Write rows in the one way that leaves each key once, whole and in its partition.

        Lite: insert, because its upsert merges old dynamic keys into the new row. A server: upsert, because its insert counts a key
        twice; but with a partition key delete, then insert, because upsert put rows where their key does not look for them
        (milvus issues 30607 and 31548, seen on 2.3.5). Killed in between, the part is written again.
        """
        method, message = ("Insert", pb.InsertRequest) if layout.lite or layout.partition_key else ("Upsert", pb.UpsertRequest)
        if layout.partition_key and not layout.lite:
            self._delete_keys(columns.keys.to_pylist(), layout, place)
            failpoint("milvus_deleted")
        request = message(
            collection_name=place.collection, partition_name=place.partition or "", fields_data=fields_data(columns, layout), num_rows=len(columns)
        )
        self._wire.call(method, request, f"write to {place.collection}")

    def _delete_keys(self, keys: Sequence[str | int], layout: Layout, place: Place, also: str = "") -> None:
        for start in range(0, len(keys), DELETE_KEYS):
            filters = names.both(names.among(layout.key.name, keys[start : start + DELETE_KEYS]), also)
            request = pb.DeleteRequest(collection_name=place.collection, partition_name=place.partition or "", expr=filters)
            self._wire.call("Delete", request, f"delete rows of {place.collection}")

    def finish(self) -> None:
        for layout in list(self._layouts.values()):
            make_ready(self._wire, layout, imported=self._staged)

    def loadable(self, uri: str, server: str) -> list[Finding]:
        """Return what to know before Milvus imports from ``uri``. Raise ``PlanError`` when it cannot."""
        return loading.check(self._settings, uri, server)

    def load(self, unit: LoadUnit) -> str:
        """Start to import the files of ``unit`` into the collection, and in partition mode the partition, of its namespace; return the job."""
        place = self._named(unit.namespace)
        self._staged = True
        self._open(place)
        self._shown.discard(place.collection)
        return self._importer.start(place, unit.files)

    def loads(self, unit: LoadUnit) -> list[str]:
        """Return the imports of just the files of ``unit`` that Milvus remembers, newest first."""
        place = self._named(unit.namespace)
        return self._importer.started(place, unit.files) if exists(self._wire, place.collection) else []

    def poll(self, job: str) -> LoadProgress:
        """Return how far an import is. Raise ``PermanentError``: ``import_failed`` with Milvus's reason, or ``not_found``."""
        return self._importer.poll(job)

    def cancel(self, job: str) -> None:
        """Raise ``PermanentError`` (``not_supported``): Milvus ends no import."""
        raise uncancellable(job)

    def holds(self, unit: LoadUnit, ids: Sequence[str]) -> bool:
        """Return whether any of ``ids`` is where ``unit`` is loaded to: what is left to ask when Milvus has forgotten its imports."""
        place = self._named(unit.namespace)
        layout = self._open(place)
        if place.collection not in self._shown:
            make_ready(self._wire, layout, imported=True)
            self._shown.add(place.collection)
        return loading.holds(self._wire, layout, place, ids)

    @cached_property
    def _importer(self) -> Importer:
        return importer_for(self._wire, self._settings)

    def delete(self, ids: Sequence[str], namespace: str) -> None:
        """Remove ``ids`` from ``namespace``; those that are not there are no error."""
        place = self._place(namespace)
        if not exists(self._wire, place.collection) or (place.partition and not self._has_partition(place.collection, place.partition)):
            return
        layout = self._layouts.get(place.collection) or read_layout(self._wire, place.collection, self._settings)
        keys = [key for key in (as_key(name, layout) for name in ids) if key is not None]
        ensure_loaded(self._wire, layout)  # Milvus finds what a filter deletes with a query
        if layout.lite and place.partition is not None and keys:
            # Lite deletes a key in all partitions, whichever one it is told (DeltaIndex.is_deleted)
            keys = reader_for(self._wire, layout).fetch(layout, place, keys).keys.to_pylist()
        self._delete_keys(keys, layout, place, f"{layout.namespace.name} == {names.literal(namespace)}" if layout.namespace else "")
        engine = self._engines.get(place.collection)
        if engine is not None:
            engine.sync()

    def search(
        self, vectors: Sequence[Sequence[float]], top_k: int, namespace: str | None, filter_: Mapping[str, Any] | None = None
    ) -> list[list[tuple[str, float]]]:
        everywhere = namespace is None or self._settings.namespace_mode == "partition_key"
        places = [Place(name) for name in self._layouts] if everywhere else [self._place(namespace or DEFAULT_NAMESPACE)]
        return search.search_places(self._wire, [(place, self._open(place)) for place in places], vectors, top_k, namespace, filter_=filter_)

    def close(self) -> None:
        """Release the connection; the last user of a Milvus Lite file releases the file. Safe twice."""
        self._wire.close()


def _by_namespace(batch: pa.RecordBatch, *, together: bool) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield the rows of each namespace; all at once where a field holds it."""
    distinct = batch.column("namespace").unique().to_pylist()
    if together or len(distinct) == 1:
        yield (distinct[0] if distinct else DEFAULT_NAMESPACE), batch
        return
    for namespace in sorted(distinct):
        yield namespace, batch.filter(pa.compute.equal(batch.column("namespace"), namespace))
