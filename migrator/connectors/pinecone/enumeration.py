"""Which ids there are: listed on serverless, found on pods, given by the user. One place decides, and says how sure it is."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.connectors.pinecone.given_ids import given_ids
from migrator.connectors.pinecone.listing import Listing
from migrator.connectors.pinecone.pods import Found, find_ids
from migrator.connectors.pinecone.scan_folder import ScanFolder
from migrator.connectors.pinecone.walking import AT_ONCE, walk_at_once
from migrator.model import Finding
from migrator.records import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from migrator.connectors.pinecone.connection import Connection

_PAGE = 1_000
_SAMPLE = 1_000
"""Ids looked at to cut a namespace."""
STRETCH = 5_000
"""Ids of a stretch that is listed while others are."""
FIRST_STRETCH = 1_000
"""Ids of each of the first stretches: readers begin when the first is listed."""
_OFFICIAL_PATH = (
    "Pinecone itself can turn a pod index into a serverless one: pod -> collection -> serverless index, "
    "free of charge, in the same project, up to 500 million records and 20,000 namespaces"
)


@dataclass
class _Asking:
    """The questions ``pods`` asks, of one namespace."""

    connection: Connection
    namespace: str
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(20_000))

    def count(self, filter_: dict[str, Any] | None) -> int:
        """Return how many records match."""
        return self.connection.querying.run(lambda: self.connection.plane.stats(filter_)).namespaces.get(self.namespace, 0)

    def nearest(self, filter_: dict[str, Any] | None, top_k: int) -> list[str]:
        """Return the ids nearest to a random vector."""
        vector = self.random.standard_normal(self.connection.dimension, dtype=np.float32)
        found = self.connection.querying.run(lambda: self.connection.plane.query(self.namespace, vector.tolist(), top_k, filter_=filter_))
        return [name for name, _ in found]

    def metadata(self, ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """Return the metadata of records."""
        plane, size = self.connection.plane, self.connection.plane.fetch_ids
        rows: list[Mapping[str, Any]] = []
        for start in range(0, len(ids), size):
            batch = self.connection.fetching.run(lambda start=start: plane.fetch(self.namespace, ids[start : start + size])).batch  # type: ignore[misc]
            rows += [parse_json(text) if text else {} for text in batch.column("metadata").to_pylist()]
        return rows


class Enumeration:
    """The ids of an index, a namespace at a time, each enumerated once for as long as this object is kept."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._listings: dict[str, Listing] = {}
        self._retired: list[Listing] = []
        self._found: dict[str, Found] = {}
        self._samples: dict[str, list[str]] = {}
        self._folder: ScanFolder | None = None
        self._numbers = itertools.count()

    @property
    def listed(self) -> bool:
        """Whether the index lists its ids itself, so that an id that is gone when fetched had been there."""
        return not self._connection.index.pod

    def listing(self, namespace: str) -> Listing:
        """Return the growing list of ids; begun anew when the last one failed."""
        if self.listed:
            return self._begun(namespace, partial(self._pages, namespace))
        ids = self.found(namespace).ids
        return self._begun(namespace, lambda _: (list(ids[start : start + _PAGE]) for start in range(0, len(ids), _PAGE)))

    def _pages(self, namespace: str, listing: Listing) -> Iterator[list[str]]:
        def page(token: str | None) -> tuple[list[str], str | None]:
            listing.wait_for_readers()
            return self._connection.listing.run(lambda: self._connection.plane.list_page(namespace, token))

        sizes = itertools.chain(itertools.repeat(FIRST_STRETCH, AT_ONCE), itertools.repeat(STRETCH))
        return walk_at_once(page, listing.stop, lambda: self.cuts(namespace, sizes, 2 * STRETCH))

    def cuts(self, namespace: str, sizes: Iterable[int], least: int = 1) -> list[str]:
        """Return ids that cut a namespace of ``least`` records or more into parts of about ``sizes``, others none.

        Any ids would be right; those nearest to a vector lie all over it.
        """
        connection = self._connection
        count = connection.querying.run(connection.plane.stats).namespaces.get(namespace, 0)
        places = list(itertools.takewhile(lambda place: place < count, itertools.accumulate(sizes)))
        if not places or count < least or connection.sparse_only:
            return []
        sample = self._sampled(namespace)
        return sorted({sample[len(sample) * place // count] for place in places}) if sample else []

    def _sampled(self, namespace: str) -> list[str]:
        """Return some ids of a namespace, in order; asked for once, because a query costs more the more records there are."""
        with self._lock:
            known = self._samples.get(namespace)
        if known is None:
            connection = self._connection
            vector = np.random.default_rng(7).standard_normal(connection.dimension).tolist()
            known = sorted(name for name, _ in connection.querying.run(lambda: connection.plane.query(namespace, vector, _SAMPLE)))
            with self._lock:
                self._samples[namespace] = known
        return known

    def _begun(self, namespace: str, pages: Callable[[Listing], Iterator[list[str]]]) -> Listing:
        with self._lock:
            known = self._listings.get(namespace)
            if known is None or known.failure is not None:
                if known is not None:
                    self._retired.append(known)
                if self._folder is None:
                    self._folder = ScanFolder()
                known = self._listings[namespace] = Listing(self._folder.path / str(next(self._numbers)), pages)
            return known

    def found(self, namespace: str) -> Found:
        """Return what could be found of a namespace of a pod index."""
        with self._lock:
            known = self._found.get(namespace)
        if known is None:
            given = given_ids(self._connection.settings, namespace)
            asking = _Asking(self._connection, namespace)
            known = Found(tuple(given), asking.count(None), "given") if given is not None else find_ids(asking, self._connection.settings.split_on)
            with self._lock:
                self._found[namespace] = known
        return known

    def findings(self, namespaces: Mapping[str, int]) -> list[Finding]:
        """Return what a user must know of how a pod index is read."""
        if self.listed:
            return []
        fix = "give all ids with ids=FILE or id_prefix= and id_range=, or use the official path: pod -> collection -> serverless index"
        findings = [Finding("info", "official_path", _OFFICIAL_PATH, "prefer it when records need no filter, no other namespace and no other name")]
        for namespace, count in namespaces.items():
            found = self.found(namespace)
            if count and not found.complete:
                share = 100 * len(found.ids) / found.counted
                counts = f"{len(found.ids):,} of {found.counted:,} ids"
                message = f"a pod index cannot list its ids; of namespace {namespace!r} {counts} were found: coverage {share:.1f} %, unproven"
                findings.append(Finding("lossy", "pod_coverage", message, fix))
        return findings

    def forget(self) -> None:
        """Enumerate anew from now on: the index may have changed."""
        with self._lock:
            self._retired += self._listings.values()
            self._listings, self._found, self._samples = {}, {}, {}

    def close(self) -> None:
        """Stop listing and remove what is on disk. Safe twice."""
        self.forget()
        with self._lock:
            retired, self._retired = self._retired, []
            folder, self._folder = self._folder, None
        for listing in retired:
            listing.close()
        if folder is not None:
            folder.close()
