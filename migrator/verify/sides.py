"""The two sides of a proof: how each collection is read and turned into the records that should be equal."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from migrator.digest import Digest, namespace_digests
from migrator.executors import local
from migrator.model import Difference
from migrator.pipeline.copy import read_patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from migrator.digest import RowHashes
    from migrator.model import Chunk, Rejected, Split
    from migrator.protocols import Source

Content = tuple["pa.RecordBatch", "RowHashes"]


@dataclass(frozen=True)
class Side:
    """One collection under proof."""

    source: Source
    splits: Sequence[Split]
    records: int
    """Rows a chunk."""
    content: Callable[[Chunk, int], Content]
    """Turns a chunk of the n-th split into the records that count, with their hashes."""
    fetch: Callable[[Sequence[str], str], pa.RecordBatch]
    """Looks records up by target id and namespace, for naming what differs."""
    unroutable: Callable[[Chunk], Sequence[Rejected]] = lambda _chunk: ()
    """Returns the records of a chunk that have no place on the other side, and that ``content`` left out."""
    repeated: Callable[[], Iterator[pa.RecordBatch]] = lambda: iter(())
    """Returns those of the records that count of which the store holds more than the one it shows."""


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

    def each(self, side: Side, visit: Callable[[pa.RecordBatch, RowHashes], None]) -> None:
        """Call ``visit`` with every batch of the side; from several threads, one at a time."""
        lock = threading.Lock()

        def one(numbered: tuple[int, Split]) -> None:
            position, split = numbered
            for chunk in read_patiently(side.source, split, None, side.records, stop=self.stop, log=self.log):
                (batch, hashes), unroutable = side.content(chunk, position), side.unroutable(chunk)
                with lock:
                    self.unreadable.extend((*chunk.rejected, *unroutable))
                    visit(batch, hashes)
                self.on_rows(chunk.scanned)

        local.run(one, list(enumerate(side.splits)), workers=self.workers, stop=self.stop, poll=self.poll)

    def repeated(self, side: Side) -> Iterator[Difference]:
        """Yield the records that the side holds more than once without showing it."""
        for batch in side.repeated():
            for record, namespace in zip(batch.column("id").to_pylist(), batch.column("namespace").to_pylist(), strict=True):
                yield Difference(namespace, record, "duplicate")

    def digest(self, side: Side) -> Digest:
        """Return the digest of the whole side."""
        total = Digest()

        def add(batch: pa.RecordBatch, hashes: RowHashes) -> None:
            total.add(hashes, namespace_digests(hashes, batch.column("namespace")))

        self.each(side, add)
        return total
