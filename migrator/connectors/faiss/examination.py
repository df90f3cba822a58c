"""The connection test of a Faiss endpoint: files, format, sidecars, first rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.connectors.faiss import opening, remote
from migrator.connectors.faiss.files import open_file
from migrator.connectors.faiss.folders import locate
from migrator.connectors.faiss.remote import Brought
from migrator.datasets import copies
from migrator.examining import answers
from migrator.model import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.connectors.faiss.source import FaissSource
    from migrator.model import Endpoint, Step

_ROWS = 10


def examine(endpoint: Endpoint) -> Iterator[Step]:
    """Yield a step for each test, cheapest first; the first that fails is the last."""
    held = _Held(endpoint, Brought(endpoint))
    questions: list[tuple[str, Callable[[_Held], str]]] = [
        *([("object", _Held.find), ("fetch", _Held.fetch)] if remote.is_remote(endpoint) else []),
        ("file", lambda held: _files(held.brought.endpoint)),
        ("format", lambda held: _format(held.brought.endpoint)),
        ("sidecars", _Held.join),
        ("read", lambda held: _first_rows(held.opened[0])),
    ]
    try:
        yield from answers((name, partial(held.ask, question)) for name, question in questions)
    finally:
        for source in held.opened:
            source.close()
        held.brought.close()


@dataclass
class _Held:
    """What earlier tests leave for later ones."""

    endpoint: Endpoint
    brought: Brought
    opened: list[FaissSource] = field(default_factory=list)

    def ask(self, question: Callable[[_Held], str]) -> str:
        with self.brought.renaming():
            return question(self)

    def find(self) -> str:
        self.brought.wanted = remote.find(self.endpoint)
        found = [one for wanted in self.brought.wanted for one in wanted.found]
        return f"{len(found)} object{'s' * (len(found) > 1)}, {sum(one.size for one in found):,} bytes"

    def fetch(self) -> str:
        self.brought = remote.bring(self.endpoint, self.brought.wanted)
        return f"to {copies.home()}, for as long as it is needed"

    def join(self) -> str:
        self.opened.append(opening.open_source(self.endpoint))
        return _beside(self.opened[0])


def _files(endpoint: Endpoint) -> str:
    opening.chosen_metric(endpoint)
    opening.chosen_timeout(endpoint)
    remote.find(endpoint)
    located = locate(Path(endpoint.resource))
    size = 0
    for path in (*located.indexes, *located.companions):
        file = open_file(path, "the file")
        size += file.size
        file.close()
    return f"{located.layout}: {len(located.indexes)} index file{'s' * (len(located.indexes) > 1)}, {size:,} bytes"


def _format(endpoint: Endpoint) -> str:
    shards = opening.open_shards(locate(Path(endpoint.resource)), opening.chosen_timeout(endpoint))
    try:
        told = shards[0].told
        return f"{told.kind}, dimension {told.dimension}, {sum(shard.count for shard in shards):,} vectors, {'lossless' if told.exact else 'lossy'}"
    finally:
        for shard in shards:
            shard.close()


def _beside(source: FaissSource) -> str:
    if not source.reader.beside:
        return "none: ids are those the index stores, or positions"
    return "; ".join(f"{part.name}: {part.spool.count:,} rows by {'position' if part.keys is None else 'id'}" for part in source.reader.beside)


def _first_rows(source: FaissSource) -> str:
    for split in source.splits(Selection(), 1):
        chunk = next(source.read(split, None, _ROWS))
        refused = f", {len(chunk.rejected)} with bad metadata" if chunk.rejected else ""
        return f"{chunk.batch.num_rows} rows read{refused}"
    return "the index is empty"
