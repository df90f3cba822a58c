"""The two sides of a proof: how each collection is read and turned into the records that should be equal."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from migrator import retry
from migrator.digest import Digest, RowHashes, hash_rows, namespace_digests
from migrator.executors import local
from migrator.model import Difference
from migrator.pipeline.copy import read_patiently, reading_again
from migrator.protocols import KeyScanner
from migrator.verify.selecting import hash_names, name_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from migrator.model import Chunk, Rejected, Split
    from migrator.protocols import Source
    from migrator.verify.reading import Reading
    from migrator.verify.selecting import Chosen

Content = tuple["pa.RecordBatch", "RowHashes | None"]
Only = Callable[["npt.NDArray[np.uint64]"], "npt.NDArray[np.bool_]"]
"""Says of the keys of records (``RowHashes.keys``) which are wanted."""
LOOKED_UP = 500
"""Records looked up at once."""


@dataclass(frozen=True)
class Side:
    """One collection under proof."""

    source: Source
    splits: Sequence[Split]
    records: int
    """Rows a chunk."""
    content: Callable[[Chunk, int], Content]
    """Turns a chunk of the n-th split into the records that count, with their hashes if it has them anyway."""
    fetch: Callable[[Sequence[str], str], pa.RecordBatch]
    """Looks records that count up by target id and namespace."""
    unroutable: Callable[[Chunk], Sequence[Rejected]] = lambda _chunk: ()
    """Returns the records of a chunk that have no place on the other side, and that ``content`` left out."""
    repeated: Callable[[], Iterator[pa.RecordBatch]] = lambda: iter(())
    """Returns those of the records that count of which the store holds more than the one it shows."""
    named: Callable[[pa.RecordBatch], pa.RecordBatch] | None = None
    """Turns keys (``KeyScanner.keys``) into the ids and namespaces of the records that count; None where that takes the records themselves."""
    lookups: int = 0
    """As many records are rather looked up by id than found by reading the side whole; only where it has ``named``."""
    ids_only: bool = False
    """Whether ids and namespaces are all that counts."""
    chosen: Chosen | None = None
    """Which of the records count; None for all."""
    reading: Reading | None = None
    """Where the first reading stands, if that is kept."""

    @property
    def scannable(self) -> bool:
        """Whether the names of its records are known without reading them."""
        return self.named is not None and isinstance(self.source, KeyScanner)


@dataclass
class Walk:
    """One reading of a side. ``stop`` ends it early; ``on_rows`` hears how many rows were read."""

    stop: threading.Event
    log: Callable[[str, str], None]
    on_rows: Callable[[int], None]
    poll: Callable[[], None]
    workers: int = 2
    unreadable: list[Rejected] = field(default_factory=list)
    """Rows met on the way that cannot be records; on the target side each is a difference."""

    def each(self, side: Side, visit: Callable[[pa.RecordBatch, RowHashes], None], kept: Reading | None = None, only: Only | None = None) -> None:
        """Call ``visit`` with every batch of the side, or its records that ``only`` wants; from several threads, one at a time.

        Goes on with what is ``kept``.
        """
        if side.ids_only:
            self.names(side, lambda batch: visit(batch, hash_names(batch)), kept)
        elif side.chosen is not None and side.scannable and side.lookups:
            self._looked_up(side, visit)
        else:
            self._read(side, visit, kept, only or side.chosen)

    def _read(self, side: Side, visit: Callable[[pa.RecordBatch, RowHashes], None], kept: Reading | None, only: Only | None = None) -> None:
        lock = threading.Lock()
        cursors = dict(kept.cursors) if kept is not None else {}
        position = {split.id: number for number, split in enumerate(side.splits)}

        def one(split: Split) -> None:
            for chunk in read_patiently(side.source, split, cursors.get(split.id), side.records, stop=self.stop, log=self.log):
                batch, hashes = _wanted(*side.content(chunk, position[split.id]), only)
                unroutable = side.unroutable(chunk)
                with lock:
                    self.unreadable.extend((*chunk.rejected, *unroutable))
                    visit(batch, hashes)
                    self._went(kept, split, chunk.cursor, chunk.scanned)

        self._all(side, one, kept)

    def names(self, side: Side, visit: Callable[[pa.RecordBatch], None], kept: Reading | None = None) -> None:
        """Call ``visit`` with id and namespace of every record that counts, by its keys alone where the side can tell; one batch at a time."""
        lock, named, source = threading.Lock(), side.named, side.source
        if named is None or not isinstance(source, KeyScanner):
            self._read(side, lambda batch, _hashes: visit(batch.select(["id", "namespace"])), kept)
            return

        def one(split: Split) -> None:
            for batch in self._keys(source, split):
                with lock:
                    visit(named(batch))
                self.on_rows(len(batch))

        self._all(side, one, None)

    def _all(self, side: Side, one: Callable[[Split], None], kept: Reading | None) -> None:
        """Go through every split that is left, and keep which are done."""

        def whole(split: Split) -> None:
            one(split)
            if kept is not None and not self.stop.is_set():
                kept.done.add(split.id)

        left = [split for split in side.splits if kept is None or split.id not in kept.done]
        try:
            local.run(whole, left, workers=self.workers, stop=self.stop, poll=self.poll)
        finally:
            if kept is not None:
                kept.save(now=True)

    def _went(self, kept: Reading | None, split: Split, cursor: str, rows: int) -> None:
        self.on_rows(rows)
        if kept is not None:
            kept.cursors[split.id] = cursor
            kept.rows += rows
            kept.save()

    def _looked_up(self, side: Side, visit: Callable[[pa.RecordBatch, RowHashes], None]) -> None:
        """Call ``visit`` with the chosen records, found by their names and looked up."""
        names: dict[str, list[str]] = {}

        def keep(batch: pa.RecordBatch) -> None:
            for namespace, ids in by_namespace(batch, side.chosen(name_keys(batch)) if side.chosen is not None else None):
                names.setdefault(namespace, []).extend(ids)

        self.names(side, keep)
        for batch in look_up(side, names):
            self.poll()
            if self.stop.is_set():
                return
            visit(batch, hash_rows(batch))

    def _keys(self, source: KeyScanner, split: Split) -> Iterator[pa.RecordBatch]:
        """Yield the keys of a split; after a transient error those not yielded yet, as they come in the same order every time."""

        def behind(last: tuple[int, pa.RecordBatch] | None) -> Iterator[tuple[int, pa.RecordBatch]]:
            return _behind(source.keys(split), 0 if last is None else last[0])

        for _, batch in retry.iterate(behind, stop=self.stop, on_retry=reading_again(split, self.log)):
            yield batch

    def repeated(self, side: Side) -> Iterator[Difference]:
        """Yield the records that the side holds more than once without showing it."""
        for batch in side.repeated():
            for record, namespace in zip(batch.column("id").to_pylist(), batch.column("namespace").to_pylist(), strict=True):
                yield Difference(namespace, record, "duplicate")

    def digest(self, side: Side) -> Digest:
        """Return the digest of the whole side; goes on with an earlier reading where the side has one."""
        kept = side.reading
        total = kept.digest if kept is not None else Digest()
        if kept is not None:
            self.unreadable = kept.unreadable
            self.on_rows(kept.rows)

        def add(batch: pa.RecordBatch, hashes: RowHashes) -> None:
            total.add(hashes, namespace_digests(hashes, batch.column("namespace")))

        self.each(side, add, kept)
        return total


def by_namespace(batch: pa.RecordBatch, mask: npt.NDArray[np.bool_] | None) -> Iterator[tuple[str, list[str]]]:
    """Yield each namespace of the rows of ``mask``, with their ids."""
    kept = batch if mask is None else batch.filter(pa.array(mask))
    for namespace in kept.column("namespace").unique().to_pylist():
        yield namespace, kept.filter(pc.equal(kept.column("namespace"), namespace)).column("id").to_pylist()


def look_up(side: Side, names: Mapping[str, Sequence[str]]) -> Iterator[pa.RecordBatch]:
    """Yield the records of ``side`` that have one of the ``names``: namespace -> ids."""
    for namespace, ids in names.items():
        for start in range(0, len(ids), LOOKED_UP):
            yield side.fetch(ids[start : start + LOOKED_UP], namespace)


def _wanted(batch: pa.RecordBatch, hashes: RowHashes | None, only: Only | None) -> tuple[pa.RecordBatch, RowHashes]:
    """Return the records that ``only`` wants with their hashes; what is not wanted is not hashed."""
    if only is not None:
        mask = only(name_keys(batch) if hashes is None else hashes.keys)
        batch = batch.filter(pa.array(mask))
        hashes = None if hashes is None else RowHashes(hashes.keys[mask], hashes.rows[mask])
    return batch, hash_rows(batch) if hashes is None else hashes


def _behind(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield what comes after the first ``rows`` rows, each batch with the number of rows up to its end."""
    passed = 0
    for batch in batches:
        passed += len(batch)
        if passed > rows:
            yield passed, batch.slice(max(0, len(batch) - (passed - rows)))
