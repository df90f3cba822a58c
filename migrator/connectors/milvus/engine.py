"""Milvus Lite's engine without the gRPC detour: Arrow columns in, Arrow columns out.

Lite is Python, in this process. Its request handlers turn every vector into a list of Python floats, check each one, and walk all
rows of the collection for every page of a query: 6 of the 8 seconds an insert of 50,000 vectors takes. Its storage takes and keeps
Arrow batches. So ``insert`` builds the batch the handler would have built and hands it to the same write path (write-ahead log, then
memory table, then flush), and ``view`` takes the engine's own snapshot once instead of once a page. Both use names the package keeps to
itself; ``engine_for`` looks for each of them and returns None when one is missing, and then the gRPC interface does the work.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from migrator.connectors.milvus.failures import translate
from migrator.connectors.milvus.pages import Page
from migrator.connectors.milvus.view import Source, View, live_rows, matrix_of
from migrator.records import matrix_to_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from migrator.connectors.milvus.columns import Columns
    from migrator.connectors.milvus.layout import Layout
    from migrator.connectors.milvus.lite import Lease

_NEEDED = (
    *("_wal_data_schema", "_apply", "_next_seq", "_should_flush", "_trigger_flush", "_read_snapshot", "_memtable", "_data_dir"),
    *("_partition_key_field", "_num_partition_buckets", "_pk_name", "_vector_name", "_schema", "_maintenance_lock"),
)


def engine_for(lease: Lease, collection: str, database: str) -> Engine | None:
    """Return direct access to ``collection``, or None when this version of milvus-lite is built differently."""
    store = lease.database()
    if store is None:
        return None
    try:
        from milvus_lite.constants import PARTITION_KEY_BUCKET_PREFIX  # noqa: PLC0415
        from milvus_lite.engine.operation import InsertOp  # noqa: PLC0415
    except ImportError:
        return None
    try:
        found = store.get_collection(collection, **({"database_name": database} if database else {}))
    except Exception as error:
        raise translate(error, what=f"open {collection}", address=lease.path) from error
    if not all(hasattr(found, name) for name in _NEEDED):
        return None
    return Engine(lease, found, InsertOp, PARTITION_KEY_BUCKET_PREFIX)


class Engine:
    """Direct access to one collection of an open Milvus Lite file."""

    def __init__(self, lease: Lease, collection: Any, insert_operation: Any, bucket_prefix: str) -> None:
        self._lease = lease
        self._collection = collection
        self._insert_operation = insert_operation
        self._bucket_prefix = bucket_prefix
        self._view: View | None = None

    def insert(self, columns: Columns, layout: Layout, partition: str) -> None:
        """Write ``columns``, replacing whole rows whose keys exist. On return they are in the log on disk, synced.

        An insert of a known key replaces the row (the highest sequence number wins); an upsert would merge old dynamic keys into it.
        """
        with self._lease.writing:
            collection = self._collection
            _flush_arrow_as_arrow(collection._memtable)  # noqa: SLF001
            for bucket, chosen in self._buckets(columns, layout, partition):
                rows = len(columns) if chosen is None else len(chosen)
                first = collection._next_seq  # noqa: SLF001
                collection._next_seq = first + rows  # noqa: SLF001
                batch = self._batch(columns, layout, bucket, chosen, np.arange(first, first + rows, dtype=np.uint64))
                collection._apply(self._insert_operation(partition=bucket, batch=batch))  # noqa: SLF001
            self.sync()
            if collection._should_flush():  # noqa: SLF001
                collection._trigger_flush()  # noqa: SLF001

    def sync(self) -> None:
        """Force the write-ahead log onto the disk: the engine leaves that to the operating system (its sync_mode is ``close``)."""
        folder = Path(self._collection._data_dir) / "wal"  # noqa: SLF001
        for path in [*folder.glob("*.arrow"), folder]:
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _buckets(self, columns: Columns, layout: Layout, partition: str) -> list[tuple[str, npt.NDArray[np.int64] | None]]:
        """Return where rows go: with a partition key, the bucket the engine's own insert would choose."""
        if self._collection._partition_key_field is None:  # noqa: SLF001
            return [(partition, None)]
        values = columns.namespaces if layout.namespace and layout.namespace.name == self._collection._partition_key_field else None  # noqa: SLF001
        texts = values.to_pylist() if values is not None else [str(value) for value in columns.scalars[self._collection._partition_key_field]]  # noqa: SLF001
        count = self._collection._num_partition_buckets  # noqa: SLF001
        places = {text: int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16) % count for text in set(texts)}
        if len(places) == 1:
            return [(f"{self._bucket_prefix}{next(iter(places.values()))}", None)]
        numbers = np.array([places[text] for text in texts])
        return [(f"{self._bucket_prefix}{number}", np.flatnonzero(numbers == number)) for number in np.unique(numbers)]

    def _batch(self, columns: Columns, layout: Layout, bucket: str, chosen: npt.NDArray[np.int64] | None, numbers: npt.NDArray[np.uint64]) -> pa.RecordBatch:
        """Return the rows as a batch of the write-ahead log."""
        given: dict[str, pa.Array] = {layout.key.name: columns.keys}
        if layout.vector and columns.values is not None:
            given[layout.vector] = matrix_to_array(columns.values)
        if layout.sparse and columns.sparse is not None:
            # empty rather than null: Lite answers nulls in place, the SDK expects them left out, and shifts the rows after one
            given[layout.sparse] = pa.array([row or b"" for row in columns.sparse], pa.binary())
        if layout.namespace:
            given[layout.namespace.name] = columns.namespaces
        if columns.dynamic is not None:
            given["$meta"] = columns.dynamic
        arrays = []
        for field in self._collection._wal_data_schema:  # noqa: SLF001
            if field.name == "_seq":
                array = pa.array(numbers)
            elif field.name == "_partition":
                array = pa.repeat(pa.scalar(bucket), len(numbers))
            else:
                array = given[field.name] if field.name in given else pa.array(_texts(columns.scalars.get(field.name), len(columns)), field.type)
                array = array.cast(field.type)
                array = array if chosen is None else array.take(pa.array(chosen))
            arrays.append(array)
        return pa.RecordBatch.from_arrays(arrays, schema=self._collection._wal_data_schema)  # noqa: SLF001

    def view(self) -> View:
        """Return the live rows now; the last view again when nothing was written since."""
        with self._lease.writing:
            version = self._collection._next_seq  # noqa: SLF001
            if self._view is None or self._view.version != version:
                self._view = self._snapshot(version)
            return self._view

    def _snapshot(self, version: int) -> View:
        collection = self._collection
        with collection._maintenance_lock:  # noqa: SLF001
            segments, deleted = collection._read_snapshot()  # noqa: SLF001
            places = collection.list_partitions() if collection._partition_key_field is None else [None]  # noqa: SLF001
            memory = [(place, collection._memtable.to_arrow_table([place] if place else None)) for place in places]  # noqa: SLF001
            unflushed = collection._memtable.delete_index_snapshot()  # noqa: SLF001
        segments = [segment for segment in segments if segment.num_rows]
        sources = [Source(segment.table, segment.vectors) for segment in segments]
        partitions = [segment.partition for segment in segments]
        for place, table in memory:
            if table.num_rows:
                sources.append(Source(table, matrix_of(table, collection._vector_name)))  # noqa: SLF001
                partitions.append(place or "")
        tombstones = dict(deleted.snapshot)
        for key, entry in unflushed.items():
            tombstones[key] = max(tombstones.get(key, -1), entry[0])
        return live_rows(version, sources, tuple(partitions), collection._pk_name, tombstones)  # noqa: SLF001

    def keys(self, view: View, positions: npt.NDArray[np.int64], layout: Layout) -> Page:
        """Return keys and namespaces of the rows at ``positions`` of ``view``."""
        page = Page(view.keys.take(pa.array(positions)))
        if layout.namespace and len(positions):
            page.namespaces = view.column(layout.namespace.name, positions).fill_null("")
        return page

    def page(self, view: View, positions: npt.NDArray[np.int64], layout: Layout) -> Page:
        """Return the rows at ``positions`` of ``view``."""
        page = self.keys(view, positions, layout)
        if not len(positions):
            return page
        if layout.vector:
            if layout.vector == self._collection._vector_name:  # noqa: SLF001
                page.values = view.matrix(positions, layout.dimension)
            else:  # the engine keeps a matrix of the first vector field only
                page.values, page.no_vector = view.other_matrix(layout.vector, positions, layout.dimension)
        if layout.sparse:
            page.sparse = [value or b"" for value in view.column(layout.sparse, positions).to_pylist()]
        page.scalars = {scalar.name: view.column(scalar.name, positions).to_pylist() for scalar in layout.scalars}
        if layout.dynamic:
            page.dynamic = view.column("$meta", positions).to_pylist()
        return page


def _flush_arrow_as_arrow(memtable: Any) -> None:
    """Have ``memtable`` flush its rows without turning each component into a Python float: a second and 100 MB for 5 million of them."""
    if not all(hasattr(memtable, name) for name in ("_build_data_table", "_insert_batches", "_data_schema")):
        return

    def build(rows: list[tuple[int, int]]) -> pa.Table:
        batches, schema = memtable._insert_batches, memtable._data_schema  # noqa: SLF001
        whole = pa.Table.from_batches(batches).select(schema.names).cast(schema)
        first = np.cumsum([0, *(batch.num_rows for batch in batches)])
        places = np.array(rows, np.int64).reshape(-1, 2)
        chosen = first[places[:, 0]] + places[:, 1]
        return whole if np.array_equal(chosen, np.arange(whole.num_rows)) else whole.take(pa.array(chosen))

    memtable._build_data_table = build  # noqa: SLF001


def _texts(values: Sequence[Any] | None, rows: int) -> list[Any]:
    """Return a column's values as the engine stores them: JSON as text."""
    if values is None:
        return [None] * rows
    return [value.decode() if isinstance(value, bytes) else value for value in values]
