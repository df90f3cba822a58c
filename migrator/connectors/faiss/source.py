"""Faiss index files as a source: row ranges, read straight from the file wherever it holds the vectors themselves."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from migrator.connectors.faiss.searching import Searcher
from migrator.connectors.faiss.spool import KeyIndex
from migrator.errors import ConfigError
from migrator.model import DEFAULT_NAMESPACE, Chunk, Split
from migrator.records import constant, empty_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from migrator.connectors.faiss.reader import Reader
    from migrator.connectors.faiss.remote import Brought
    from migrator.model import Collection, Selection


@dataclass
class FaissSource:
    """An open index with what stands beside it."""

    collection: Collection
    reader: Reader
    brought: Brought | None = field(default=None, repr=False)
    """What was fetched from buckets for it."""
    _found: KeyIndex | None = field(default=None, repr=False)
    _searcher: Searcher | None = field(default=None, repr=False)
    _closed: bool = False

    def known_as(self, name: str, brought: Brought) -> None:
        """Let the source speak of the addresses its files were fetched from, and keep them until it is closed."""
        self.brought = brought
        if not brought.wanted:
            return
        version = xxhash.xxh3_64(f"{self.collection.version}\n{brought.tags}".encode()).hexdigest()
        self.collection = replace(self.collection, name=name, version=version, findings=brought.findings(self.collection.findings))
        for shard in self.reader.shards:
            shard.file = replace(shard.file, name=brought.renamed(shard.file.name))
        for part in self.reader.beside:
            part.name = brought.renamed(part.name)

    def describe(self) -> Collection:
        return self.collection

    def splits(self, selection: Selection, count: int, align: int = 1) -> Iterable[Split]:
        """Return about ``count`` row ranges of nearly the same size, cut at multiples of ``align`` rows."""
        if selection.namespaces is not None and DEFAULT_NAMESPACE not in selection.namespaces:
            return []
        rows = self.reader.count
        step = max(1, -(-rows // (max(count, 1) * align))) * align
        edges = [*range(0, rows, step), rows]
        return [
            Split(f"rows-{start:012d}-{stop:012d}", DEFAULT_NAMESPACE, {"start": start, "stop": stop, "version": self.collection.version}, stop - start)
            for start, stop in itertools.pairwise(edges)
            if stop > start
        ]

    def read(self, split: Split, cursor: str | None, records: int) -> Iterator[Chunk]:
        """Yield the rows of ``split`` after ``cursor``, the number of rows already read from it."""
        start, stop = self._range(split)
        at = start + int(cursor or 0)
        while at < stop:
            chunk = self.reader.chunk(at, min(at + records, stop), start)
            yield chunk
            at = start + int(chunk.cursor)

    def version_now(self) -> str:
        unchanged = all(shard.file.in_place() for shard in self.reader.shards) and (self.brought is None or self.brought.in_place())
        return self.collection.version if unchanged else ""

    def _range(self, split: Split) -> tuple[int, int]:
        if split.state["version"] != self.collection.version:
            raise ConfigError(
                f"{self.collection.name} is not what it was when the run was started",
                fix="start a new run for the new files, or put the old ones back",
                code="source_changed",
            )
        return int(split.state["start"]), int(split.state["stop"])

    def keys(self, split: Split) -> Iterator[pa.RecordBatch]:
        """Yield ``id`` and ``namespace`` of every row of ``split``; int64 where the index stores or numbers them."""
        start, stop = self._range(split)
        for ids in self.reader.ids(start, stop):
            yield pa.RecordBatch.from_arrays([ids, constant(DEFAULT_NAMESPACE, len(ids))], names=["id", "namespace"])

    def fetch(self, ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        """Return the rows with one of ``ids``. The first call sorts all ids, 16 bytes each."""
        dimension = self.collection.dimension
        if namespace != DEFAULT_NAMESPACE or not self.reader.count:
            return empty_batch(dimension)
        if self._found is None:
            self._found = KeyIndex(array.cast(pa.string()) for array in self.reader.ids(0, self.reader.count))
        rows = np.array(sorted({row for text in ids for row in self._found.all(text)}), np.int64)
        wanted = pa.array(ids, pa.string())
        found = [batch.filter(pc.is_in(batch.column("id"), wanted)) for batch in self.reader.pick(rows)]
        return pa.concat_batches([empty_batch(dimension), *found])

    def search(
        self, vectors: Sequence[Sequence[float]], top_k: int, namespace: str | None, filter_: Mapping[str, Any] | None = None
    ) -> list[list[tuple[str, float]]]:
        """Ask the index itself, as it was saved: an HNSW or IVF one answers approximately, with the efSearch or nprobe of its file."""
        if filter_:
            message = "a Faiss index knows no metadata, so its search cannot be filtered"
            raise ConfigError(message, fix="ask without a filter", code="filter_unsupported")
        if namespace not in {None, DEFAULT_NAMESPACE} or not self.reader.count:
            return [[] for _ in vectors]
        if self._searcher is None:
            self._searcher = Searcher(self.reader, self.collection.metric)
        return self._searcher.search(vectors, top_k)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.reader.close()
            if self.brought is not None:
                self.brought.close()
