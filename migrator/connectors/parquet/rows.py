"""Parquet files as raw Arrow batches: footers, row groups, and batches small enough for memory whatever a file claims."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from migrator.connectors.parquet import guard
from migrator.connectors.parquet.encode import COLUMNS
from migrator.datasets.failures import translated, unreadable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import pyarrow as pa

    from migrator.datasets.manifest import Entry
    from migrator.datasets.places import Place

BATCH_BYTES = 128 << 20
"""Decoded bytes a batch is cut to, going by what the footer says of a row."""
MOST_BATCH_BYTES = 1 << 30
"""A batch that turns out larger than this is refused: its file's footer lied."""
FOOTERS_AT_ONCE = 16
"""In a bucket a footer costs two requests."""
STREAM_BUFFER = 1 << 20
"""Column chunks are read through buffers of this size instead of whole: a row group may be as large as its file."""


@dataclass(frozen=True)
class Footer:
    """What a file says about itself."""

    schema: pa.Schema
    groups: tuple[int, ...]
    """Rows of each row group."""
    row_bytes: int
    """Decoded bytes of a row, of the row group with the largest."""

    @property
    def rows(self) -> int:
        return sum(self.groups)


def footers(place: Place, paths: Sequence[str]) -> list[Footer]:
    """Return the footers of ``paths``. Raise ``UnreadableSourceError`` naming the first file that is no intact Parquet file."""
    if place.local or len(paths) < 2:
        return [footer(place, path) for path in paths]
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        return list(pool.map(lambda path: footer(place, path), paths))


def footer(place: Place, path: str) -> Footer:
    with open_file(place, path) as file, translated(place.show(path)):
        meta = file.metadata
        groups = [meta.row_group(number) for number in range(meta.num_row_groups)]
        sizes = [group.total_byte_size // group.num_rows for group in groups if group.num_rows > 0]
        rows = tuple(int(group.num_rows) for group in groups)
        if min(rows, default=0) < 0 or sum(rows) != meta.num_rows:
            raise unreadable(place.show(path), "its row counts contradict each other")
        return Footer(file.schema_arrow, rows, max(sizes, default=0))


def agree(place: Place, entry: Entry, footer: Footer) -> None:
    """Raise ``UnreadableSourceError`` when a footer contradicts the manifest: page checksums do not cover footers."""
    foreign = sorted(set(footer.schema.names) - set(COLUMNS))
    if foreign or footer.rows != entry.records:
        reason = f"it has a column {foreign[0]!r}" if foreign else f"it has {footer.rows} rows"
        raise unreadable(place.show(entry.path), f"{reason}, manifest.json says otherwise")


def open_file(place: Place, path: str) -> Any:
    """Return a ``ParquetFile`` that checks page checksums and never buffers more than a page of each column."""
    if place.size(path) == 0:
        raise unreadable(place.show(path), "the file is empty")
    with translated(place.show(path)):
        return pq.ParquetFile(place.open(path), page_checksum_verification=True, pre_buffer=False, buffer_size=STREAM_BUFFER)


def batches(place: Place, path: str, groups: tuple[int, int], columns: Sequence[str], *, most: int, skip: int = 0) -> Generator[pa.RecordBatch, None, None]:
    """Yield rows of the row groups from ``groups[0]`` up to ``groups[1]`` in order, leaving out the first ``skip``, at most ``most`` a batch."""
    guard.check(place, path, columns, most)
    with open_file(place, path) as file:
        shown = place.show(path)
        with translated(shown):
            if groups[1] > file.metadata.num_row_groups:
                raise unreadable(shown, "it has fewer row groups than when it was looked at first")
            first, skip = _skipped(file.metadata, groups, skip)
            stream = file.iter_batches(batch_size=most, row_groups=list(range(first, groups[1])), columns=list(columns), use_threads=False)
        missing = sum(file.metadata.row_group(number).num_rows for number in range(first, groups[1]))
        while (batch := _next(stream, shown)) is not None:
            missing -= batch.num_rows
            if batch.num_rows > skip:
                yield batch.slice(skip)
            skip = max(0, skip - batch.num_rows)
        if missing:
            raise unreadable(shown, f"it holds {abs(missing)} rows {'fewer' if missing > 0 else 'more'} than its footer says")


def _skipped(meta: Any, groups: tuple[int, int], skip: int) -> tuple[int, int]:
    """Return the row group that holds row ``skip``, and how many of its rows come before that row."""
    first = groups[0]
    while first < groups[1] and skip >= meta.row_group(first).num_rows:
        skip -= meta.row_group(first).num_rows
        first += 1
    return first, skip


def _next(stream: Iterator[pa.RecordBatch], shown: str) -> pa.RecordBatch | None:
    with translated(shown):
        batch = next(stream, None)
        if batch is not None and batch.nbytes > MOST_BATCH_BYTES:
            raise unreadable(shown, f"{batch.num_rows} rows decode to {batch.nbytes} bytes, far more than its footer says")
        return batch


def rows_at_once(wanted: int, row_bytes: int, dimension: int) -> int:
    """Return how many rows to decode together: ``wanted``, or as many as the budget holds."""
    return max(1, min(wanted, BATCH_BYTES // max(1, row_bytes, 4 * dimension)))
