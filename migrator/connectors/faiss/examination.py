"""The connection test of a Faiss endpoint: files, format, sidecars, first rows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.connectors.faiss import opening
from migrator.connectors.faiss.files import open_file
from migrator.connectors.faiss.folders import locate
from migrator.errors import MigratorError
from migrator.model import Selection, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.connectors.faiss.source import FaissSource
    from migrator.model import Endpoint

_ROWS = 10


def examine(endpoint: Endpoint) -> Iterator[Step]:
    """Yield a step for each test, cheapest first; the first that fails is the last."""
    opened: list[FaissSource] = []

    def join() -> str:
        opened.append(opening.open_source(endpoint))
        return _beside(opened[0])

    tests: list[tuple[str, Callable[[], str]]] = [
        ("file", lambda: _files(endpoint)),
        ("format", lambda: _format(endpoint)),
        ("sidecars", join),
        ("read", lambda: _first_rows(opened[0])),
    ]
    try:
        for name, test in tests:
            began = time.monotonic()
            try:
                yield Step(name, "ok", test(), seconds=time.monotonic() - began)
            except MigratorError as error:
                yield Step(name, "failed", error.message, error.fix, time.monotonic() - began)
                return
    finally:
        for source in opened:
            source.close()


def _files(endpoint: Endpoint) -> str:
    opening.chosen_metric(endpoint)
    opening.chosen_timeout(endpoint)
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
