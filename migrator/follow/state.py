"""The state between passes: every record the target holds by this run's hand, with the hash of its content, in one sorted file.

The file is Arrow IPC, read through a memory map, so it costs disk and no memory: about 60 bytes a record and its id. An entry that is not
``sure`` was perhaps written by a pass that was killed: the record is sent again, whatever its content.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy.typing as npt

SCHEMA = pa.schema(
    [
        ("key_low", pa.uint64()),
        ("key_high", pa.uint64()),
        ("low", pa.uint64()),
        ("high", pa.uint64()),
        ("sure", pa.uint8()),
        ("namespace", pa.string()),
        ("id", pa.string()),
    ]
)
_PARTITIONS = 64
_SHIFT = np.uint64(58)
"""The highest 6 bits of a key choose one of the 64 partitions, so that partitions one after another are sorted as a whole."""
_BUFFER_ROWS = 50_000


@dataclass(frozen=True)
class Known:
    """What the state says of the rows of a batch."""

    found: npt.NDArray[np.bool_]
    sure: npt.NDArray[np.bool_]
    hashes: npt.NDArray[np.uint64]
    """(rows, 2): the content in the target; zero where not found."""


class State:
    """A state file opened for looking up; one that does not exist is empty."""

    def __init__(self, path: Path) -> None:
        self._batches: list[pa.RecordBatch] = []
        if path.exists():
            with pa.memory_map(str(path)) as file:
                reader = pa.ipc.open_file(file)
                self._batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        self._first = np.array([batch.column("key_low")[0].as_py() for batch in self._batches], np.uint64)

    def __len__(self) -> int:
        return sum(len(batch) for batch in self._batches)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return iter(self._batches)

    def look_up(self, low: npt.NDArray[np.uint64], high: npt.NDArray[np.uint64]) -> Known:
        """Return what is known of the records with these key hashes."""
        known = Known(np.zeros(len(low), np.bool_), np.zeros(len(low), np.bool_), np.zeros((len(low), 2), np.uint64))
        places = np.searchsorted(self._first, low, side="right") - 1
        for number in np.unique(places[places >= 0]).tolist():
            self._look_into(self._batches[number], np.flatnonzero(places == number), low, high, known)
        return known

    @staticmethod
    def _look_into(batch: pa.RecordBatch, rows: npt.NDArray[np.int64], low: npt.NDArray[np.uint64], high: npt.NDArray[np.uint64], known: Known) -> None:
        columns = {name: batch.column(name).to_numpy() for name in ("key_low", "key_high", "low", "high", "sure")}
        at = np.searchsorted(columns["key_low"], low[rows])
        # keys whose low halves are equal stand side by side; more than one is next to impossible, and still looked at
        while len(rows):
            inside = at < len(batch)
            rows, at = rows[inside], at[inside]
            same = columns["key_low"][at] == low[rows]
            rows, at = rows[same], at[same]
            hit = columns["key_high"][at] == high[rows]
            found, there = rows[hit], at[hit]
            known.found[found] = True
            known.sure[found] = columns["sure"][there] == 1
            known.hashes[found, 0], known.hashes[found, 1] = columns["low"][there], columns["high"][there]
            rows, at = rows[~hit], at[~hit] + 1


class Builder:
    """Sorts entries given in any order into a state file, a partition at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = path.with_name(f"{path.name}.parts")
        self._writers: list[pa.RecordBatchFileWriter] = []
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._writers = [pa.ipc.new_file(str(self._folder / f"{number:02}"), SCHEMA) for number in range(_PARTITIONS)]
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Take entries in the layout of ``SCHEMA``. Where one record comes twice with different contents, neither is sure."""
        for batch in batches:
            self._waiting.append(batch)
            self._rows += len(batch)
            if self._rows >= _BUFFER_ROWS:
                self._spill()

    def _spill(self) -> None:
        if not self._waiting:
            return
        batch = pa.concat_batches(self._waiting)
        self._waiting, self._rows = [], 0
        partitions = (batch.column("key_low").to_numpy() >> _SHIFT).astype(np.int64)
        order = np.argsort(partitions, kind="stable")
        bounds = np.searchsorted(partitions[order], np.arange(_PARTITIONS + 1))
        for number, writer in enumerate(self._writers):
            rows = order[bounds[number] : bounds[number + 1]]
            if len(rows):
                writer.write_batch(batch.take(pa.array(rows)))

    def finish(self) -> None:
        """Write the file, durable on return. It takes the place of the one of that name at once or not at all."""
        self._spill()
        for writer in self._writers:
            writer.close()
        self._writers = []
        staged = self._path.with_name(f"{self._path.name}.tmp")
        with staged.open("wb") as file:
            with pa.ipc.new_file(file, SCHEMA) as writer:
                for number in range(_PARTITIONS):
                    with pa.memory_map(str(self._folder / f"{number:02}")) as part:
                        table = pa.ipc.open_file(part).read_all()
                        if len(table):
                            writer.write_batch(_settled(table.combine_chunks().to_batches()[0]))
            file.flush()
            os.fsync(file.fileno())
        staged.replace(self._path)


def _settled(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a partition sorted by key, each record once."""
    low, high = batch.column("key_low").to_numpy(), batch.column("key_high").to_numpy()
    batch = batch.take(pa.array(np.lexsort((high, low))))
    low, high, first, second = (batch.column(name).to_numpy() for name in ("key_low", "key_high", "low", "high"))
    begins = np.concatenate([[True], (low[1:] != low[:-1]) | (high[1:] != high[:-1])])
    starts = np.flatnonzero(begins)
    if len(starts) == len(batch):
        return batch
    group = np.cumsum(begins) - 1
    agreeing = (first == first[starts][group]) & (second == second[starts][group]) & (batch.column("sure").to_numpy() == 1)
    sure = np.logical_and.reduceat(agreeing, starts)
    kept = batch.take(pa.array(starts))
    return kept.set_column(SCHEMA.get_field_index("sure"), SCHEMA.field("sure"), pa.array(sure.astype(np.uint8)))


def as_entries(rows: pa.Table | pa.RecordBatch, *, sure: bool) -> Iterator[pa.RecordBatch]:
    """Yield the state's entries for rows of a journal."""
    for batch in rows.to_batches() if isinstance(rows, pa.Table) else [rows]:
        columns = [batch.column(name) for name in ("key_low", "key_high", "low", "high")]
        flags = pa.array(np.full(len(batch), int(sure), np.uint8))
        yield pa.RecordBatch.from_arrays([*columns, flags, batch.column("namespace"), batch.column("id")], schema=SCHEMA)
