"""Rows read once from a sidecar and kept in an unnamed temporary Arrow file, so that any of them can be had again."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

import numpy as np
import pyarrow as pa
import xxhash

from migrator.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

Row = tuple[str | None, str | None, str | None]
"""Id, canonical metadata, and what is wrong with the metadata."""

SCHEMA = pa.schema([("id", pa.string()), ("metadata", pa.string()), ("error", pa.string())])
KEYED_SCHEMA = pa.schema([("key", pa.string()), *SCHEMA])
"""With the id by which the row is found, where that is not the row's own."""

_BATCH = 4_096


class Spool:
    """Rows on disk. The file has no name: it is gone when the process is, however that ends. Safe for several threads."""

    def __init__(self, rows: Iterable[tuple[str | None, ...]], schema: pa.Schema = SCHEMA) -> None:
        """Write ``rows``. Raise ``ConnectorError`` when the temporary folder is full."""
        self._schema = schema
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the spool
        try:
            self.count = self._write(rows)
        except OSError as error:
            self._file.close()
            raise ConnectorError(
                f"the rows beside the index cannot be kept in the temporary folder {tempfile.gettempdir()}: {error.strerror}",
                fix="make room there, or set TMPDIR to a larger disk",
                code="disk_full",
            ) from None
        self._reader = pa.ipc.open_file(pa.memory_map(f"/proc/self/fd/{self._file.fileno()}"))

    def _write(self, rows: Iterable[tuple[str | None, ...]]) -> int:
        count = 0
        with pa.ipc.new_file(self._file, self._schema) as writer:
            for some in _batched(rows):
                writer.write_batch(pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in zip(*some, strict=True)], schema=self._schema))
                count += len(some)
        self._file.flush()
        return count

    def rows(self, start: int, stop: int) -> pa.Table:
        """Return rows ``start`` to ``stop``."""
        first, last = start // _BATCH, (max(stop, 1) - 1) // _BATCH
        batches = [self._reader.get_batch(number) for number in range(first, last + 1)] if stop > start else []
        return pa.Table.from_batches(batches, self._schema).slice(start - first * _BATCH, stop - start)

    def take(self, places: npt.NDArray[np.int64]) -> pa.Table:
        """Return the rows at ``places``, in their order; a negative place gives a row of nulls."""
        if not len(places) or (places[0] >= 0 and (np.diff(places) == 1).all()):
            return self.rows(int(places[0]), int(places[-1]) + 1) if len(places) else self.rows(0, 0)
        numbers = np.unique(places[places >= 0] // _BATCH)
        table = pa.Table.from_batches([self._reader.get_batch(int(number)) for number in numbers], self._schema)
        within = np.searchsorted(numbers, places // _BATCH) * _BATCH + places % _BATCH
        return table.take(pa.array(within, mask=places < 0))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all rows, some at a time."""
        for number in range(self._reader.num_record_batches):
            yield self._reader.get_batch(number)

    def close(self) -> None:
        self._file.close()


def _batched(rows: Iterable[tuple[str | None, ...]]) -> Iterator[Sequence[tuple[str | None, ...]]]:
    some: list[tuple[str | None, ...]] = []
    for row in rows:
        some.append(row)
        if len(some) == _BATCH:
            yield some
            some = []
    if some:
        yield some


class KeyIndex:
    """Finds rows by their id: 16 bytes a row, sorted by hash."""

    def __init__(self, ids: Iterable[pa.Array]) -> None:
        parts = [hashes(array) for array in ids]
        unsorted = np.concatenate(parts) if parts else np.empty(0, np.uint64)
        self._rows = np.argsort(unsorted, kind="stable").astype(np.int64)
        self._hashes = unsorted[self._rows]

    @property
    def unique(self) -> bool:
        """Whether no two rows can have the same id."""
        return not (self._hashes[1:] == self._hashes[:-1]).any()

    def find(self, ids: pa.Array) -> npt.NDArray[np.int64]:
        """Return for each id the first row whose id has the same hash, -1 where there is none. Compare the ids themselves."""
        wanted = hashes(ids)
        at = np.searchsorted(self._hashes, wanted)
        found = at < len(self._hashes)
        found[found] = self._hashes[at[found]] == wanted[found]
        return np.where(found, self._rows[np.minimum(at, max(len(self._rows) - 1, 0))] if len(self._rows) else -1, -1)

    def all(self, text: str) -> list[int]:
        """Return every row whose id has the hash of ``text``."""
        value = np.uint64(xxhash.xxh3_64_intdigest(text.encode()))
        low, high = np.searchsorted(self._hashes, value, "left"), np.searchsorted(self._hashes, value, "right")
        return [int(row) for row in self._rows[low:high]]


def hashes(ids: pa.Array) -> npt.NDArray[np.uint64]:
    """Return the 64-bit hash of each id's text; a null hashes as the empty text."""
    return np.fromiter((xxhash.xxh3_64_intdigest(text or b"") for text in ids.cast(pa.binary()).to_pylist()), np.uint64, len(ids))
