"""Pinecone as a source: what an index holds, and its records in the order of their ids."""

from __future__ import annotations

import json
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from migrator.connectors.pinecone import cutover, stamping, unread
from migrator.connectors.pinecone.connection import require_dense
from migrator.connectors.pinecone.enumeration import Enumeration
from migrator.model import DEFAULT_NAMESPACE, Chunk, Collection, Split
from migrator.pinecone_protocol import limits
from migrator.records import constant, empty_batch, to_dicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from migrator.connectors.pinecone.connection import Connection
    from migrator.connectors.pinecone.control import Control
    from migrator.connectors.pinecone.wire import Fetched
    from migrator.model import Address, Selection
    from migrator.protocols import Known

SAMPLED_NAMESPACES = 50
SAMPLED_RECORDS = 10
SPLIT_RECORDS = 20_000
"""Namespaces smaller than this are one split."""
_CHUNK_BYTES = 4 << 20
_AHEAD = 2
"""Chunks being fetched while one is handed out."""
_KEYS = 10_000
_ANSWERED_SECONDS = 1.0
"""Given to the requests under way when nobody wants their answers any more; one that takes longer hangs."""


class PineconeSource:
    """Reads one index."""

    def __init__(self, control: Control, connection: Connection) -> None:
        self._control = control
        self._connection = connection
        self._ids = Enumeration(connection)
        self._pool = ThreadPoolExecutor(connection.settings.concurrency, thread_name_prefix="pinecone-fetch")
        self._asked: set[Future[Fetched]] = set()
        self._sample: list[dict[str, Any]] | None = None

    def describe(self) -> Collection:
        connection = self._connection
        counts = self._counts()
        sample = self._sampled(counts)
        return Collection(
            name=connection.index.name,
            dimension=connection.dimension,
            metric=connection.metric,
            namespaces=counts or {DEFAULT_NAMESPACE: 0},
            fields={key: type(value).__name__ for row in sample for key, value in (row["metadata"] or {}).items()},
            kind=connection.index.kind,
            sparse=connection.sparse_only or any(row["sparse_values"] for row in sample),
            unique_ids=True,
            findings=tuple(self._ids.findings(counts)),
        )

    def _counts(self) -> dict[str, int]:
        """Return the records in each namespace, as the index counts them."""
        found = self._connection.querying.run(self._connection.plane.stats).namespaces
        only = self._connection.settings.namespace
        return {name: count for name, count in sorted(found.items()) if only is None or name == only}

    def positions(self, namespaces: Sequence[str]) -> dict[str, int] | None:
        """Return up to which position of its log each namespace is indexed; None when the index does not say, as pods do not."""
        connection = self._connection
        found = list(self._pool.map(lambda name: connection.fetching.run(lambda: connection.plane.indexed(name)), namespaces))
        told = {name: position for name, position in zip(namespaces, found, strict=True) if position is not None}
        return told if len(told) == len(found) else None

    def _sampled(self, counts: dict[str, int]) -> list[dict[str, Any]]:
        """Return a few records of each namespace: sparse values may be in some of them only."""
        if self._sample is None:
            self._sample = []
            for namespace in [name for name, count in counts.items() if count][:SAMPLED_NAMESPACES]:
                ids = self._some_ids(namespace)
                if ids:
                    self._sample += to_dicts(self.fetch(ids, namespace))
        return self._sample

    def _some_ids(self, namespace: str) -> list[str]:
        if not self._ids.listed:
            return list(self._ids.found(namespace).ids[:SAMPLED_RECORDS])
        connection = self._connection
        return connection.listing.run(lambda: connection.plane.list_page(namespace, None))[0][:SAMPLED_RECORDS]

    def splits(self, selection: Selection, count: int, align: int = 1) -> Iterable[Split]:
        """Return ranges of ids, a large namespace in about ``count`` of them, cut where a sample of its ids says."""
        del align
        self._ids.forget()
        wanted = selection.namespaces
        counts = {name: records for name, records in self._counts().items() if wanted is None or name in wanted}
        for number, (namespace, records) in enumerate(counts.items()):
            cuts = self._ids.cuts(namespace, repeat(-(-records // count))) if self._ids.listed and count > 1 and records >= SPLIT_RECORDS else []
            for part, (after, up_to) in enumerate(zip([None, *cuts], [*cuts, None], strict=True)):
                state = {"namespace": namespace, "after": after, "up_to": up_to}
                yield Split(f"p{number}-{part}", namespace, state, None)

    def read(self, split: Split, cursor: str | None, records: int) -> Iterator[Chunk]:
        """Yield the records of ``split``; while a chunk is handed out, the next ones are listed and fetched."""
        namespace = split.state["namespace"]
        position = json.loads(cursor) if cursor else {"after": split.state["after"], "start": 0}
        start = int(position["start"])
        rows = max(1, min(records, max(limits.LIST_IDS, _CHUNK_BYTES // (4 * self._connection.dimension + 400))))
        given = not self._ids.listed and self._ids.found(namespace).how == "given"
        ahead: deque[tuple[list[str], list[Future[Fetched]]]] = deque()
        listed = self._ids.listing(namespace).ids(position["after"], split.state["up_to"], rows)
        try:
            while (ids := next(listed, None)) is not None or ahead:
                if ids is not None:
                    ahead.append((ids, self._fetching(namespace, ids)))
                if ids is None or len(ahead) > _AHEAD:
                    oldest, fetched = ahead.popleft()
                    yield _chunk(oldest, [future.result() for future in fetched], start, given=given)
                    start += len(oldest)
        finally:
            for future in (future for _, futures in ahead for future in futures):
                future.cancel()

    def read_unknown(self, split: Split, cursor: str | None, records: int, known: Known) -> Iterator[Chunk]:
        """Yield the records of ``split`` that are not ``known``, and the names of the others; all of them where ids were given and need not exist."""
        namespace = split.state["namespace"]
        if not self._ids.listed and self._ids.found(namespace).how == "given":
            return self.read(split, cursor, records)
        position = json.loads(cursor) if cursor else {"after": split.state["after"], "start": 0}
        listed = self._ids.listing(namespace).ids(position["after"], split.state["up_to"], unread.LISTED)
        return unread.read_unknown(
            listed, namespace, known, self._fetching, dimension=self._connection.dimension, start=int(position["start"]), records=records
        )

    def _fetching(self, namespace: str, ids: Sequence[str]) -> list[Future[Fetched]]:
        """Ask for ``ids``, several requests at once."""
        size = self._connection.plane.fetch_ids
        size = -(-len(ids) // -(-len(ids) // size))  # requests of equal size
        asked = [self._pool.submit(self._fetch, namespace, ids[start : start + size]) for start in range(0, len(ids), size)]
        self._asked.update(asked)
        for one in asked:
            one.add_done_callback(self._asked.discard)
        return asked

    def _fetch(self, namespace: str, ids: Sequence[str]) -> Fetched:
        return self._connection.fetching.run(lambda: self._connection.plane.fetch(namespace, ids))

    def keys(self, split: Split) -> Iterator[pa.RecordBatch]:
        """Yield ``id`` and ``namespace`` of every row of ``split``, from the listing alone."""
        namespace = split.state["namespace"]
        for ids in self._ids.listing(namespace).ids(split.state["after"], split.state["up_to"], _KEYS):
            yield pa.RecordBatch.from_arrays([pa.array(ids, pa.string()), constant(namespace, len(ids))], ["id", "namespace"])

    def fetch(self, ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        usable = [name for name in dict.fromkeys(ids) if name.isascii() and 0 < len(name) <= limits.ID_LENGTH and "\0" not in name]
        only = self._connection.settings.namespace
        if not usable or (only is not None and namespace != only):
            return empty_batch(self._connection.dimension)
        found = [future.result().batch for future in self._fetching(namespace, usable)]
        return pa.concat_batches(found)

    def search(
        self, vectors: Sequence[Sequence[float]], top_k: int, namespace: str | None, filter_: Mapping[str, Any] | None = None
    ) -> list[list[tuple[str, float]]]:
        require_dense(self._connection, "be searched by dense vectors")
        names = [namespace] if namespace is not None else list(self._counts())
        least_first = self._connection.metric == "euclidean"
        answers = []
        for vector in vectors:
            hits = [hit for name in names for hit in self._query(name, vector, min(top_k, limits.TOP_K), filter_)]
            answers.append(sorted(hits, key=lambda hit: hit[1], reverse=not least_first)[:top_k])
        return answers

    def _query(self, namespace: str, vector: Sequence[float], top_k: int, filter_: Mapping[str, Any] | None) -> list[tuple[str, float]]:
        return self._connection.querying.run(lambda: self._connection.plane.query(namespace, vector, top_k, filter_=filter_))

    def stamp(self, ids: Sequence[str], namespace: str, metadata: Mapping[str, Any]) -> None:
        stamping.stamp(self._connection, self._pool, ids, namespace, metadata)

    def unstamp(self, ids: Sequence[str], namespace: str, keys: Sequence[str]) -> None:
        stamping.unstamp(self._connection, self.fetch(ids, namespace), namespace, keys)

    def address(self) -> Address:
        return cutover.address_of(self._connection.index)

    def check_scale(self, options: Mapping[str, str]) -> None:
        cutover.capacity_change(self._connection.index, options)

    def scale(self, options: Mapping[str, str]) -> str:
        return cutover.scale(self._control, self._connection.index, options)

    def check_drop(self) -> None:
        cutover.check_drop(self._control.find())

    def drop(self) -> None:
        cutover.drop(self._control)

    def interrupt(self) -> None:
        self._control.interrupt()
        self._connection.plane.close()

    def close(self) -> None:
        """Release connections and what was kept on disk. Safe twice."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        # the number of a socket that is closed under a request goes to the next one opened, whose answer that request may then take
        wait(self._asked.copy(), timeout=_ANSWERED_SECONDS)
        self._connection.plane.close()  # requests without an answer, which the pool waits for, end with it
        self._pool.shutdown(wait=True)
        self._ids.close()
        self._control.close()


def _chunk(ids: list[str], found: list[Fetched], start: int, *, given: bool) -> Chunk:
    """Return the answers for ``ids`` as one chunk. Ids that a user gave need not exist, and one that never did has not vanished."""
    batch = pa.concat_batches([part.batch for part in found]) if len(found) > 1 else found[0].batch
    rejected = tuple(record for part in found for record in part.rejected)
    rows = None
    if len(batch) < len(ids):
        places = {name: start + place for place, name in enumerate(ids)}
        rows = np.array([places[name] for name in batch.column("id").to_pylist()], np.int64)
    cursor = json.dumps({"after": ids[-1], "start": start + len(ids)})
    return Chunk(batch, cursor, start, rows, rejected, 0 if given else len(ids) - len(batch) - len(rejected))
