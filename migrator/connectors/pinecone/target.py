"""Pinecone as a target: creates the index, writes whole records in requests of measured size, and waits until reads see them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from migrator.connectors.pinecone import bulk
from migrator.connectors.pinecone.connection import Connection, connect, delete, id_of_no_record, require_dense
from migrator.connectors.pinecone.encode import by_namespace, packed
from migrator.connectors.pinecone.freshness import check_log, wait_until_counted, wait_until_visible
from migrator.connectors.pinecone.pace import Pace
from migrator.connectors.pinecone.refusals import send_or_reject
from migrator.errors import ConfigError, PermanentError, PlanError, RejectedRecordsError, TransientError
from migrator.failpoints import failpoint
from migrator.pinecone_protocol import limits
from migrator.pinecone_protocol.names import to_inner

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Future

    import pyarrow as pa

    from migrator.connectors.pinecone.control import Control, Index
    from migrator.connectors.pinecone.options import Settings
    from migrator.connectors.pinecone.wire import Item
    from migrator.model import Collection, Finding, LoadProgress, LoadUnit, Metric, Plan, Rejected


class PineconeTarget:
    """Writes one index."""

    def __init__(self, control: Control, settings: Settings) -> None:
        if settings.namespace is not None:
            raise ConfigError("namespace= of a pinecone target says nothing", fix="choose where records go with --target-namespace", code="bad_option")
        self._control = control
        self._settings = settings
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._connection: Connection | None = None
        self._pool = ThreadPoolExecutor(settings.concurrency, thread_name_prefix="pinecone-write")
        self._paces: dict[str, Pace] = {}
        """Pinecone limits each namespace by itself."""
        self._bulk: bulk.BulkImport | None = None
        self._loaded = 0
        """Records that an import brought."""
        self._expected: set[str] = set()
        """Namespaces that the plan, as far as it says, writes to."""
        self._written: set[str] | None = None
        """Namespaces that the run wrote to, as it says itself; None until it did."""

    def prepare(self, collection: Collection, plan: Plan) -> None:
        named = plan.mapping.target_namespace
        self._expected = {to_inner(name) for name in (collection.namespaces if named is None else [named])}
        found = self._control.find()
        self._check_same(found)
        if found is None and not self._settings.create:
            message = f"there is no index {self._settings.index}, and create=false asks for none to be made"
            raise ConfigError(message, fix="correct its name, or leave create=false out", code="not_found")
        if found is None:
            _creatable(collection, self._settings)
            self._control.create(collection.dimension, collection.metric or "cosine")
            failpoint("pinecone_created")
            found = self._control.ready()
        elif not found.ready:
            found = self._control.ready()
        connection = self._opened(found)
        try:
            _fits(connection, collection)
        except PlanError:
            self._let_go()
            raise

    def _check_same(self, found: Index | None) -> None:
        """Raise ``PermanentError`` when the index that this object wrote to is gone: another of its name would lack what was written."""
        before = self._connection
        if before is not None and (found is None or (found.host and found.host != before.index.host)):
            message = f"index {before.index.name} was deleted, or made anew, while records were copied to it"
            raise PermanentError(message, fix="copy anew, as another run", code="target_gone")
        if before is not None:
            check_log(before)

    def _opened(self, index: Index | None = None) -> Connection:
        with self._lock:
            if self._connection is None:
                self._connection = connect(self._control, index or self._control.describe(), self._settings)
            return self._connection

    def _let_go(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.plane.close()

    def write(self, batch: pa.RecordBatch, part: str) -> None:
        """Write ``batch``; on return Pinecone has acknowledged every record. Records replace those of their id, whatever the part."""
        del part
        connection = self._opened()
        sent: list[Future[list[Rejected]]] = []
        for namespace, rows in by_namespace(batch):
            sent += [self._pool.submit(self._send, connection, namespace, items) for items in packed(connection.plane.encode(rows))]
        failpoint("pinecone_write")
        errors = [error for future in sent if (error := future.exception()) is not None]
        if errors:  # once no request is in flight any more, the chunk is written again as a whole
            raise errors[0]
        rejected = [record for future in sent for record in future.result()]
        if rejected:
            raise RejectedRecordsError(rejected[0].message, rejected, fix="see the rejected records; the others are written")

    def _send(self, connection: Connection, namespace: str, items: Sequence[Item]) -> list[Rejected]:
        def upsert(some: Sequence[Item]) -> None:
            if self._stopped.is_set():  # of a chunk in many requests those not sent yet must not come after what a resumed run writes
                raise TransientError("stopped before all of a chunk was sent", fix="resume; records are written again whole")
            taken = self._pace(namespace).run(lambda: connection.plane.upsert(namespace, some), sum(size for *_, size in some))
            if taken != len(some):
                raise TransientError(f"Pinecone acknowledged {taken} of {len(some)} records", fix="resume; records are written again whole")

        return send_or_reject(namespace, items, upsert)

    def _pace(self, namespace: str) -> Pace:
        with self._lock:
            return self._paces.setdefault(namespace, Pace())

    def written(self, namespaces: Iterable[str]) -> None:
        self._written = set(namespaces)

    def finish(self) -> None:
        connection = self._opened()
        if not connection.index.pod:
            self._mark(connection)
        wait_until_visible(connection, self._pool)
        if self._loaded:
            wait_until_counted(connection, self._loaded)

    def _mark(self, connection: Connection) -> None:
        """Write without effect where only another process wrote, before the run was resumed: its writes are visible when this one is."""
        marks = connection.plane.marks
        known = self._written
        if known is None:
            known = set() if marks.written else {*self._expected, *connection.plane.stats().namespaces}

        def mark(namespace: str) -> None:
            self._pace(namespace).run(partial(delete, connection, [id_of_no_record()], namespace))
            if namespace not in marks.written:  # it is not there (yet), so no log position tells
                marks.wrote(namespace, {})

        list(self._pool.map(mark, sorted(known - marks.written.keys())))

    def loadable(self, uri: str, server: str) -> list[Finding]:
        """Return what to know before the index imports from ``uri``. Raise ``PlanError`` when it cannot."""
        return bulk.check(self._settings, self._control.find(), uri, server, self._control.address)

    def load(self, unit: LoadUnit) -> str:
        """Start to import ``unit`` and return the import's id."""
        return self._importer().load(unit)

    def loads(self, unit: LoadUnit) -> list[str]:
        """Return the imports of ``unit``, newest first."""
        return self._importer().loads(unit)

    def poll(self, job: str) -> LoadProgress:
        """Return how far an import is. Raise ``PermanentError`` with Pinecone's reason when it failed."""
        progress = self._importer().poll(job)
        if progress.done:
            self._loaded = progress.records
        return progress

    def cancel(self, job: str) -> None:
        """End an import that is not finished."""
        self._importer().cancel(job)

    def _importer(self) -> bulk.BulkImport:
        index = self._opened().index
        with self._lock:
            if self._bulk is None:
                self._bulk = bulk.BulkImport(self._control, replace(index, host=self._settings.host or index.host), self._settings.integration)
            return self._bulk

    def delete(self, ids: Sequence[str], namespace: str) -> None:
        """Remove ``ids`` from ``namespace``; those that are not there are no error."""
        connection = self._opened()
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), limits.DELETE_IDS):
            some = wanted[start : start + limits.DELETE_IDS]
            self._pace(namespace).run(partial(delete, connection, some, namespace))

    def search(
        self, vectors: Sequence[Sequence[float]], top_k: int, namespace: str | None, filter_: Mapping[str, Any] | None = None
    ) -> list[list[tuple[str, float]]]:
        connection = self._opened()
        require_dense(connection, "be searched by dense vectors")
        names = [namespace] if namespace is not None else list(connection.plane.stats().namespaces)
        answers = []
        for vector in vectors:
            hits = [hit for name in names for hit in connection.plane.query(name, vector, top_k, filter_=filter_)]
            answers.append(sorted(hits, key=lambda hit: hit[1], reverse=connection.metric != "euclidean")[:top_k])
        return answers

    def interrupt(self) -> None:
        self._stopped.set()
        self._control.interrupt()
        with self._lock:
            connection = self._connection
        if connection is not None:
            connection.plane.close()

    def close(self) -> None:
        """Release the connections. Safe twice."""
        self._let_go()  # first: requests without an answer, which the pool waits for, end with it
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            importer, self._bulk = self._bulk, None
        if importer is not None:
            importer.close()
        self._control.close()


def _creatable(collection: Collection, settings: Settings) -> None:
    """Raise ``PlanError`` for what no index can be made for, ``ConfigError`` for a host that an index still to be made cannot have."""
    if settings.host:
        message = f"host={settings.host} is the host of some index, and there is no index {settings.index} yet"
        raise ConfigError(message, fix="leave host= out, or correct the index's name", code="host_differs")
    if collection.dimension > limits.DIMENSION:
        message = f"{collection.dimension} dimensions are more than the {limits.DIMENSION} Pinecone takes"
        raise PlanError(message, fix="choose another target", code="dimension_too_large")
    if not collection.dimension and collection.metric not in {None, "dotproduct"}:
        raise PlanError("an index of sparse vectors has the metric dotproduct", fix="tell the source's metric (metric=dotproduct)", code="metric_differs")


def _fits(connection: Connection, collection: Collection) -> None:
    """Raise ``PlanError`` naming what does not fit into an index that exists."""
    wanted: Metric = collection.metric or "cosine"
    name, fix = connection.index.name, "choose another index name"
    if connection.dimension != collection.dimension:
        message = f"index {name} has {connection.dimension} dimensions, the source {collection.dimension}"
        raise PlanError(message, fix=fix, code="dimension_differs")
    if connection.metric is not None and connection.metric != wanted and not connection.sparse_only:
        raise PlanError(f"index {name} has the metric {connection.metric}, the source {wanted}", fix=fix, code="metric_differs")
