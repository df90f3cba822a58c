"""What a run did to its target, for taking it back: one file a run, to which an entry is added before each write.

An entry is a frame: magic, length and checksum, then Arrow streams of the names that are written and of what the target held under their
ids. A kill may tear the last frame only, and the write it stands for was not begun then: opening the file cuts it off.
Where several entries have one record, the first says what was there before the run.
"""

from __future__ import annotations

import os
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
import pyarrow as pa
from xxhash import xxh3_64_intdigest

from migrator.digest import hash_rows
from migrator.duplicates import hashed
from migrator.errors import LedgerError
from migrator.follow.state import SCHEMA as STATE_SCHEMA
from migrator.follow.state import Builder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

NAMES = pa.schema([("namespace", pa.string()), ("id", pa.string())])
DIGESTS = pa.schema([*NAMES, ("low", pa.uint64()), ("high", pa.uint64())])
"""Of records that were overwritten and not kept: enough to tell whether they are what they were."""
_HEAD = struct.Struct("<4sIQQ")
"""Magic, bytes of the first stream, bytes of both, checksum."""
_MAGIC = b"undo"
_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True)
class Entry:
    """What one write did."""

    names: pa.RecordBatch
    """``namespace`` and ``id`` in the target of the records that were written; none where records were only deleted."""
    before: pa.RecordBatch | None
    """What the target held of them: whole records where the plan keeps them, else their ``DIGESTS``; None when nothing was there."""

    @property
    def kept(self) -> bool:
        """Whether ``before`` can be written again."""
        return self.before is not None and "values" in self.before.schema.names

    def before_hashes(self) -> npt.NDArray[np.uint64]:
        """Return the hashes of ``before``, (records, 2)."""
        if self.before is None:
            return np.zeros((0, 2), np.uint64)
        if self.kept:
            return hash_rows(self.before).rows
        return np.column_stack([self.before.column(name).to_numpy() for name in ("low", "high")])


def digests_of(records: pa.RecordBatch) -> pa.RecordBatch:
    """Return names and hashes of ``records``."""
    rows = hash_rows(records).rows
    hashes = [pa.array(np.ascontiguousarray(rows[:, place])) for place in (0, 1)]
    return pa.RecordBatch.from_arrays([records.column("namespace"), records.column("id"), *hashes], schema=DIGESTS)


class UndoLog:
    """The file of one run, open for adding entries from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._path = path
        with path.open("rb") as file:
            self._end = _whole(file)
        os.ftruncate(self._file, self._end)
        if new:
            _sync_folder(path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def append(self, names: pa.RecordBatch, before: pa.RecordBatch | None) -> None:
        """Add an entry; on disk when this returns. Raise ``LedgerError`` when it cannot be written: then the target must not be either."""
        first, second = _stream(names), b"" if before is None or not len(before) else _stream(before)
        payload = first + second
        frame = _HEAD.pack(_MAGIC, len(first), len(payload), xxh3_64_intdigest(payload)) + payload
        try:
            with self._lock:
                self._write(frame)
            os.fsync(self._file)
        except OSError as error:
            message = f"what the run is about to write cannot be noted in {self._path}: {error.strerror}"
            raise LedgerError(message, fix="free disk space or repair the disk, then resume the run") from error

    def _write(self, frame: bytes) -> None:
        written = 0
        try:
            while written < len(frame):
                written += os.write(self._file, frame[written:])
        except OSError:
            os.ftruncate(self._file, self._end)  # a full disk left a part of it, which the next frame must not follow
            raise
        self._end += len(frame)


def _stream(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_OPTIONS) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _whole(file: BinaryIO) -> int:
    """Return how many bytes of ``file`` are whole frames; of those only the last is read, for the others were followed by another."""
    size, last, end = os.fstat(file.fileno()).st_size, None, 0
    while end + _HEAD.size <= size:
        file.seek(end)
        magic, _, length, _ = _HEAD.unpack(file.read(_HEAD.size))
        if magic != _MAGIC or end + _HEAD.size + length > size:
            break
        last, end = end, end + _HEAD.size + length
    if last is not None:
        file.seek(last)
        *_, length, checksum = _HEAD.unpack(file.read(_HEAD.size))
        if xxh3_64_intdigest(file.read(length)) != checksum:
            return last
    return end


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def entries(path: Path) -> Iterator[Entry]:
    """Yield the entries of ``path`` in order. Raise ``LedgerError`` for one that is damaged; a torn last one stands for no write."""
    with path.open("rb") as file:
        end = _whole(file)
        file.seek(0)
        while file.tell() < end:
            _, first, length, checksum = _HEAD.unpack(file.read(_HEAD.size))
            payload = file.read(length)
            if xxh3_64_intdigest(payload) != checksum:
                message = f"{path} is damaged: what the run did to its target cannot be told any more"
                raise LedgerError(message, fix="restore it from a backup", code="undo_log_damaged")
            yield Entry(_read(payload[:first]), _read(payload[first:]) if length > first else None)


def _read(stream: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(stream) as reader:
        batch: pa.RecordBatch = reader.read_next_batch()
    return batch


def keys_of(batch: pa.RecordBatch, *, ids_only: bool) -> npt.NDArray[np.void]:
    """Return the key hashes by which an index knows the records of ``batch``."""
    return hashed(batch.column("id"), batch.column("namespace"), ids_only=ids_only)


def index(path: Path, into: Path, *, ids_only: bool) -> None:
    """Write the state file ``into`` that says of every record in ``path``, as ``low``, the number of its first entry."""
    with Builder(into) as builder:
        for number, entry in enumerate(entries(path)):
            batches = [entry.names] if entry.before is None else [entry.names, entry.before.select(NAMES.names)]
            builder.add(_numbered(batch, number, ids_only=ids_only) for batch in batches if len(batch))
        builder.finish()


def _numbered(batch: pa.RecordBatch, number: int, *, ids_only: bool) -> pa.RecordBatch:
    keys = keys_of(batch, ids_only=ids_only)
    hashes = (keys["low"], keys["high"], np.full(len(batch), number, np.uint64), np.zeros(len(batch), np.uint64))
    columns = [pa.array(np.ascontiguousarray(column)) for column in hashes]
    flags = pa.array(np.ones(len(batch), np.uint8))
    return pa.RecordBatch.from_arrays([*columns, flags, batch.column("namespace"), batch.column("id")], schema=STATE_SCHEMA)
