"""One index's data plane: every write and read of its records, with the limits, freshness and persistence the service gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.local_pinecone.engine import checks, naming, reading
from migrator.local_pinecone.engine.errors import already_exists, invalid, not_found
from migrator.local_pinecone.engine.filters import predicate
from migrator.local_pinecone.engine.history import History
from migrator.local_pinecone.engine.operations import Change, Clear, Create, Drop, Operation, Put, Remove
from migrator.local_pinecone.engine.rates import Limiter
from migrator.local_pinecone.engine.records import Lsn, Updated
from migrator.pinecone_protocol import limits, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from migrator.local_pinecone.engine.definition import Definition
    from migrator.local_pinecone.engine.journal import Entry
    from migrator.local_pinecone.engine.metadata import Metadata
    from migrator.local_pinecone.engine.records import ListPage, Matches, NamespaceInfo, NamespacePage, Read, Record, RecordPage, Sparse, Stats, Values
    from migrator.local_pinecone.engine.settings import Settings


class Index:
    """Thread-safe. Namespaces are named as clients name them: ``""`` and ``__default__`` are the same one."""

    def __init__(self, definition: Definition, settings: Settings, *, id_: str = "", created_at: str = "", journal: Path | None = None) -> None:
        self.definition = definition
        self.settings = settings
        self.id = id_
        self.created_at = created_at
        self.ready_at = self.settled_at = settings.clock()
        """When the index is or was ready, and when it has the size it was last given: on the settings' clock."""
        self.limiter = Limiter(settings)
        self._history = History(definition.dimension, settings, journal)
        self.lock = self._history.lock
        self.state = self._history.state
        self.settle = self._history.settle

    @property
    def dimension(self) -> int | None:
        """Components of a vector; None in a sparse index."""
        return self.definition.dimension

    # writes

    def upsert(self, namespace: str, records: Sequence[Record], request_bytes: int) -> Lsn:
        """Store whole records, all or none. ``request_bytes`` is the length of the message they came in."""
        space = self._writable(namespace)
        values = checks.check_upsert(records, request_bytes, self.definition.dimension)
        sparse = {position: record.sparse for position, record in enumerate(records) if record.sparse is not None}
        put = Put([record.id for record in records], values, sparse, [record.metadata for record in records])
        with self.lock:
            self._limit(
                (("upserts", space), 1, self.settings.rates.namespace_upserts, "upsert requests per second per namespace"),
                (("bytes", space), request_bytes, self.settings.rates.namespace_upsert_bytes, "upsert size per second per namespace"),
            )
            return self._write(space, put)

    def update(
        self,
        namespace: str,
        *,
        id: str | None = None,  # noqa: A002 - the API's own word
        values: Values | None = None,
        sparse: Sparse | None = None,
        set_metadata: Metadata | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002
        dry_run: bool = False,
    ) -> Updated:
        """Change parts of one record, or the metadata of all that match. A record that is not there is no error."""
        space = self._writable(namespace)
        if (id is None) == (filter is None):
            raise invalid("Exactly one of 'id' and 'filter' must be provided")
        if id is not None:
            checks.check_update(id, values, sparse, self.definition.dimension)
        elif values is not None or sparse is not None:
            raise invalid("An update by filter can only set metadata")
        else:
            self._refuse_pods("Updating by metadata is")
        with self.lock:
            self._limit((("updates", space), 1, self.settings.rates.namespace_updates, "update requests per second per namespace"))
            self.settle()
            ids = [id] if id is not None else self._matching(space, filter or {})
            self._check_merged(space, ids, set_metadata)
            if dry_run or not ids:
                return Updated(self._lsn(self._history.last(space)), len(ids) if id is None else None)
            lsn = self._write(space, Change(ids, values, sparse, set_metadata))
        return Updated(lsn, len(ids) if id is None else None)

    def delete(
        self,
        namespace: str,
        *,
        ids: Sequence[str] | None = None,
        delete_all: bool = False,
        filter: Mapping[str, Any] | None = None,  # noqa: A002
    ) -> Lsn:
        """Delete by ids, by filter, or everything in the namespace. Ids that are not there are no error."""
        space = self._writable(namespace)
        if bool(ids) + bool(delete_all) + (filter is not None) != 1:
            raise invalid("Exactly one of 'ids', 'deleteAll' and 'filter' must be provided")
        if ids and len(ids) > limits.DELETE_IDS:
            raise invalid(f"Cannot delete more than {limits.DELETE_IDS} ids in one request, got {len(ids)}")
        with self.lock:
            self._limit((("deletes", space), 1, self.settings.rates.namespace_deletes, "delete requests per second per namespace"))
            self.settle()
            if space and not self.definition.pods and not self._history.has(space):
                raise not_found("Namespace not found")
            if delete_all:
                return self._write(space, Drop() if self.definition.pods else Clear())
            return self._write(space, Remove(list(ids) if ids else self._matching(space, filter or {})))

    def create_namespace(self, name: str, schema: Mapping[str, Any] | None = None) -> NamespaceInfo:
        """Make an empty namespace."""
        space = self._writable(name)
        self._refuse_pods("Namespace operations are")
        if not space:
            raise invalid(f"Namespace '{names.DEFAULT}' is reserved and cannot be created")
        with self.lock:
            if self._history.has(space):
                raise already_exists(f"Namespace '{names.to_wire(space)}' already exists")
            self._write(space, Create(schema))
        return reading.described(space, 0, schema)

    def delete_namespace(self, name: str) -> Lsn:
        """Delete a namespace with all its records."""
        space = self._writable(name)
        self._refuse_pods("Namespace operations are")
        with self.lock:
            self.settle()
            if space and not self._history.has(space):
                raise not_found(f"Namespace '{names.to_wire(space)}' not found")
            return self._write(space, Drop())

    def load(self, writes: Iterable[Entry]) -> None:
        """Take over writes made elsewhere (a copy of another index, a bulk import), at once and without limits."""
        with self.lock:
            self._history.load(writes)

    # reads

    def fetch(self, namespace: str, ids: Sequence[str]) -> Read[dict[str, Record]]:
        """Return the records that are there."""
        return reading.fetch(self, names.to_inner(namespace), ids)

    def list(self, namespace: str, prefix: str = "", limit: int | None = None, token: str | None = None) -> Read[ListPage]:
        """Return a page of ids in bitwise order."""
        self._refuse_pods("Listing record ids is")
        return reading.list_ids(self, names.to_inner(namespace), prefix, limit, token)

    def query(
        self,
        namespace: str,
        top_k: int,
        *,
        vector: Values | None = None,
        sparse: Sparse | None = None,
        id: str | None = None,  # noqa: A002
        filter: Mapping[str, Any] | None = None,  # noqa: A002
        include_values: bool = False,
        include_metadata: bool = False,
    ) -> Read[Matches]:
        """Return the nearest records, best first, by exact comparison."""
        question = reading.Question(top_k, vector, sparse, id, filter, include_values, include_metadata)
        return reading.query(self, names.to_inner(namespace), question)

    def stats(self, filter: Mapping[str, Any] | None = None) -> Stats:  # noqa: A002
        """Count the records of every namespace that reads can see; with a filter on pods only."""
        return reading.stats(self, filter)

    def fetch_by_metadata(
        self,
        namespace: str,
        filter: Mapping[str, Any] | None,  # noqa: A002
        limit: int | None = None,
        token: str | None = None,
    ) -> Read[RecordPage]:
        """Return a page of the records that match."""
        self._refuse_pods("Fetching by metadata is")
        return reading.fetch_by_metadata(self, names.to_inner(namespace), filter, limit, token)

    def namespaces(self, prefix: str = "", limit: int | None = None, token: str | None = None) -> NamespacePage:
        """Return a page of namespaces in bitwise order."""
        self._refuse_pods("Namespace operations are")
        return reading.namespaces(self, prefix, limit, token)

    def namespace(self, name: str) -> NamespaceInfo:
        """Describe one namespace."""
        self._refuse_pods("Namespace operations are")
        return reading.namespace(self, names.to_inner(name))

    # for the parts beside

    def matcher(self, filter_: Mapping[str, Any], space: str | None = None) -> Callable[[Metadata | None], bool]:
        """Return the compiled filter of a namespace. Raise ``ApiError`` for what is none."""
        schema = None if space is None else self.state.schemas.get(space)
        indexed = self.definition.deployment.indexed if schema is None else tuple(schema.get("fields", ()))
        return predicate(filter_, ne_matches_missing=self.settings.ne_matches_missing, indexed=indexed)

    def close(self) -> None:
        """Make everything visible, and leave only what is live on the disk."""
        with self.lock:
            self._history.close()

    def discard(self) -> None:
        """Delete what is on the disk: the index is no more."""
        with self.lock:
            self._history.discard()

    def _writable(self, namespace: str) -> str:
        if self.definition.documents:
            raise invalid("Vector operations are not supported on this index: its schema makes it a document index. Use the documents API")
        naming.check_namespace(namespace, ascii_only=self.settings.ascii_namespaces)
        return names.to_inner(namespace)

    def _refuse_pods(self, what: str) -> None:
        if self.definition.pods:
            raise invalid(f"{what} not supported for pod-based indexes")

    def _limit(self, *demands: tuple[object, float, float, str]) -> None:
        if not self.definition.pods:
            self.limiter.take(*demands)

    def _matching(self, space: str, filter_: Mapping[str, Any]) -> Sequence[str]:
        matches = self.matcher(filter_, space)
        table = self.state.tables.get(space)
        return [id_ for id_, row in table.rows.items() if matches(table.metadata[row])] if table else []

    def _check_merged(self, space: str, ids: Sequence[str], set_metadata: Metadata | None) -> None:
        table = self.state.tables.get(space)
        if set_metadata is None or table is None:
            return
        for id_ in ids:
            old = table.metadata[table.rows[id_]] if id_ in table.rows else None
            if old is not None:
                old.merged(set_metadata).check_size()

    def _lsn(self, position: int) -> Lsn:
        return Lsn(None if self.definition.pods else position)

    def _write(self, space: str, operation: Operation) -> Lsn:
        return self._lsn(self._history.write(space, operation))
