"""Finds ids that a source holds more than once, before anything is written, in memory that does not grow with the source.

Every key goes, as a 128-bit hash with its place, into one of 256 files by hash; each file alone is then sorted and its repeats kept.
The result is small (only ids that repeat) and says for each which occurrence is written: the first, or the last.
"""

from __future__ import annotations

import functools
import os
import shutil
from dataclasses import dataclass
from tokenize import TokenError
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_intdigest, xxh3_128_digest

from migrator.protocols import KeyScanner

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from migrator.model import Split
    from migrator.protocols import Source
    from migrator.transform import Transform

_KEY = np.dtype([("low", "<u8"), ("high", "<u8"), ("split", "<u4"), ("row", "<u8")])
_FILES = 256
_SCAN_ROWS = 50_000


@dataclass(frozen=True)
class Repeats:
    """The ids that occur more than once, sorted by ``low``; one entry an id: the occurrence that is written."""

    winners: npt.NDArray[np.void]
    ids_only: bool
    """Whether the target's ids are unique over all namespaces, so that the namespace does not count."""

    def locate(self, batch: pa.RecordBatch) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.void]]:
        """Return the rows of ``batch`` whose id repeats, and the winning occurrence of each."""
        if not len(self.winners):
            return np.empty(0, np.int64), self.winners
        keys = hashed(batch.column("id"), batch.column("namespace"), ids_only=self.ids_only)
        places = np.minimum(np.searchsorted(self.winners["low"], keys["low"]), len(self.winners) - 1)
        candidates = self.winners[places]
        rows = np.flatnonzero((candidates["low"] == keys["low"]) & (candidates["high"] == keys["high"]))
        return rows, candidates[rows]

    def save(self, path: Path) -> None:
        """Keep the result for a resumed run."""
        staged = path.with_suffix(".tmp")
        with staged.open("wb") as file:
            np.save(file, self.winners, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)

    @staticmethod
    def load(path: Path, *, ids_only: bool) -> Repeats | None:
        """Return what was kept, or None when there is nothing usable: then the source is scanned again."""
        try:
            with path.open("rb") as file:
                winners: npt.NDArray[np.void] = np.lib.format.read_array(file, allow_pickle=False)
        except (OSError, EOFError, ValueError, TokenError):  # the last from a garbled header
            return None
        return Repeats(winners, ids_only) if winners.dtype == _KEY else None


def none() -> Repeats:
    """Return the answer for a source whose ids cannot repeat."""
    return Repeats(np.empty(0, _KEY), ids_only=False)


def hashed(ids: pa.Array, namespaces: pa.Array, *, ids_only: bool) -> npt.NDArray[np.void]:
    """Return the 128-bit key hashes of a batch, places left empty."""
    # a missing id is nobody's repeat: the row is refused when it is read
    texts = pc.cast(pc.cast(ids, pa.string()).fill_null(""), pa.binary()).to_pylist()
    if ids_only:
        digests = [xxh3_128_digest(text) for text in texts]
    else:
        seeds = {name: xxh3_64_intdigest(name.encode()) for name in pc.unique(namespaces).to_pylist()}
        digests = [xxh3_128_digest(text, seeds[name]) for text, name in zip(texts, namespaces.to_pylist(), strict=True)]
    found = np.zeros(len(texts), _KEY)
    pairs = np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)
    found["low"], found["high"] = pairs[:, 0], pairs[:, 1]
    return found


@dataclass(frozen=True)
class Scan:
    """How a source's keys are gone through. ``stop`` ends it, with nothing found; ``poll`` is called often."""

    folder: Path
    """For temporary files; removed."""
    last: bool
    """Whether the last occurrence of an id is written, not the first."""
    ids_only: bool
    stop: threading.Event
    poll: Callable[[], None]
    patiently: Callable[[str, Callable[[], None]], None]
    """Calls something, and again after a transient error."""


def find(source: Source, splits: Sequence[Split], transform: Transform, scan: Scan) -> Repeats:
    """Scan every key of ``splits`` and return those that repeat."""
    shutil.rmtree(scan.folder, ignore_errors=True)
    scan.folder.mkdir(parents=True)
    try:
        for position, split in enumerate(splits):
            scan.patiently(f"looking through the ids of {split.id}", functools.partial(_spill_split, source, split, position, transform, scan))
        if scan.stop.is_set():
            return none()
        parts = [_repeats_of(path, last=scan.last) for path in sorted(scan.folder.iterdir())]
    finally:
        shutil.rmtree(scan.folder, ignore_errors=True)
    winners = np.concatenate([np.empty(0, _KEY), *parts])
    return Repeats(winners[np.argsort(winners["low"], kind="stable")], scan.ids_only)


def _spill_split(source: Source, split: Split, position: int, transform: Transform, scan: Scan) -> None:
    for keys in _split_keys(source, split, transform, ids_only=scan.ids_only):
        scan.poll()
        if scan.stop.is_set():
            return
        keys["split"] = position
        _spill(keys, scan.folder)


def _split_keys(source: Source, split: Split, transform: Transform, *, ids_only: bool) -> Iterator[npt.NDArray[np.void]]:
    """Yield the keys of the selected rows of a split, each with its row."""
    if isinstance(source, KeyScanner) and not transform.needs_metadata:
        start = 0
        for batch in source.keys(split):
            rows = np.arange(start, start + len(batch), dtype=np.int64)
            start += len(batch)
            yield _selected(batch, rows, transform, ids_only=ids_only)
        return
    for chunk in source.read(split, None, _SCAN_ROWS):
        yield _selected(chunk.batch, rows_of(chunk.start, chunk.rows, len(chunk.batch)), transform, ids_only=ids_only)


def rows_of(start: int, rows: npt.NDArray[np.int64] | None, count: int) -> npt.NDArray[np.int64]:
    """Return the position in its split of each row of a chunk's batch."""
    return rows if rows is not None else np.arange(start, start + count, dtype=np.int64)


def _selected(batch: pa.RecordBatch, rows: npt.NDArray[np.int64], transform: Transform, *, ids_only: bool) -> npt.NDArray[np.void]:
    matching = (transform.matching,) if "metadata" in batch.schema.names else ()
    for rule in (transform.in_namespaces, *matching, transform.routable):
        if (mask := rule(batch)) is not None:
            batch, rows = batch.filter(pa.array(mask)), rows[mask]
    batch = transform.route(batch)
    keys = hashed(batch.column("id"), batch.column("namespace"), ids_only=ids_only)
    keys["row"] = rows
    return keys


def _spill(keys: npt.NDArray[np.void], folder: Path) -> None:
    files = (keys["low"] % np.uint64(_FILES)).astype(np.int64)
    order = np.argsort(files, kind="stable")
    bounds = np.searchsorted(files[order], np.arange(_FILES + 1))
    for number in range(_FILES):
        part = keys[order[bounds[number] : bounds[number + 1]]]
        if len(part):
            with (folder / f"{number:03}").open("ab") as file:
                part.tofile(file)


def _repeats_of(path: Path, *, last: bool) -> npt.NDArray[np.void]:
    keys = np.fromfile(path, _KEY)
    keys = keys[np.lexsort((keys["row"], keys["split"], keys["high"], keys["low"]))]
    # a split whose scan failed midway was scanned again: one place is one occurrence
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys
    same = (keys["low"][1:] == keys["low"][:-1]) & (keys["high"][1:] == keys["high"][:-1])
    first = np.concatenate([[True], ~same])
    final = np.concatenate([~same, [True]])
    kept: npt.NDArray[np.void] = keys[final & ~first] if last else keys[first & ~final]
    return kept
