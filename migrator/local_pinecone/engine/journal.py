"""An index on disk: one file of its writes, replayed when it is opened.

A write is handed to the operating system before it is acknowledged, so it survives the death of the process (``kill -9``). It is forced to
the disk only when the index is closed or rewritten: what the last seconds acknowledged may be lost with the machine's power. A torn last
entry is recognised by its checksum and cut off. Rewriting leaves only what is live; it goes to another file that then takes the name, and is
done only where enough would go: it takes as long as the index is large.
"""

from __future__ import annotations

import os
from struct import Struct as Layout
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import xxhash

from migrator.local_pinecone.engine.metadata import Metadata
from migrator.local_pinecone.engine.operations import Change, Clear, Create, Drop, Operation, Put, Remove

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from migrator.local_pinecone.engine.records import Sparse, Values

Entry = tuple[str, int, Operation]
"""Namespace, place in its log, write."""

_FRAME = Layout("<IQI")
"""Length of what follows, its checksum, length of the header it begins with."""
GARBAGE = 0.2
"""Share of the records in a journal that may be dead before it is rewritten."""


class Journal:
    """The open file of one index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self, entry: Entry) -> None:
        """Hand one write to the operating system. Raise ``OSError`` when there is no room for it; then nothing of it is kept."""
        end = os.fstat(self._file).st_size
        try:
            for piece in _encode(entry):
                left = memoryview(piece)
                while left:
                    left = left[os.write(self._file, left) :]
        except OSError:
            os.ftruncate(self._file, end)
            raise

    def close(self) -> None:
        """Force everything to the disk and let the file go."""
        os.fsync(self._file)
        os.close(self._file)


def replay(path: Path) -> Iterator[Entry]:
    """Yield the writes in ``path`` in their order, and cut off what follows the last whole one."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        while True:
            start = file.tell()
            payload = _payload(file.read(_FRAME.size), file)
            if payload is None:
                file.truncate(start)
                return
            yield _decode(*payload)


def rewrite(path: Path, entries: Iterable[Entry]) -> None:
    """Replace the journal at ``path`` by one with ``entries`` only. It is whole on the disk before it takes the name."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    journal = Journal(fresh)
    try:
        for entry in entries:
            journal.append(entry)
    finally:
        journal.close()
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def compact(path: Path, entries: Iterable[Entry], live: int) -> None:
    """Rewrite the closed journal at ``path`` with ``entries``, which hold ``live`` records, if enough of what it holds is dead."""
    if live < (1 - GARBAGE) * _records_in(path):
        rewrite(path, entries)


def _records_in(path: Path) -> int:
    """Return how many times a record was written, changed or removed, from the headers alone."""
    records = 0
    with path.open("rb") as file:
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            length, _, header_length = _FRAME.unpack(head)
            records += len(orjson.loads(file.read(header_length)).get("ids", ()))
            file.seek(length - header_length, os.SEEK_CUR)
    return records


def _payload(head: bytes, file: Any) -> tuple[dict[str, Any], memoryview] | None:
    if len(head) < _FRAME.size:
        return None
    length, checksum, header_length = _FRAME.unpack(head)
    payload = file.read(length)
    if len(payload) < length or xxhash.xxh3_64_intdigest(payload) != checksum:
        return None
    return orjson.loads(payload[:header_length]), memoryview(payload)[header_length:]


def _encode(entry: Entry) -> list[bytes | memoryview]:
    """Return an entry in pieces: the values, by far the longest part, are not copied."""
    namespace, lsn, operation = entry
    parts: list[bytes | memoryview] = []
    header = {"namespace": namespace, "lsn": lsn, "write": type(operation).__name__, **_header(operation, parts)}
    encoded = orjson.dumps(header)
    values = [part for part in parts if isinstance(part, memoryview)]
    pieces: list[bytes | memoryview] = [encoded, *values, b"".join(part for part in parts if isinstance(part, bytes))]
    checksum = xxhash.xxh3_64()
    for piece in pieces:
        checksum.update(piece)
    return [_FRAME.pack(sum(map(len, pieces)), checksum.intdigest(), len(encoded)), *pieces]


def _header(operation: Operation, parts: list[bytes | memoryview]) -> dict[str, Any]:
    """Return what describes ``operation``, and append its long parts to ``parts``: values, sparse values, metadata, in this order."""
    if isinstance(operation, Put):
        positions = list(operation.sparse)
        return {
            "ids": list(operation.ids),
            "dimension": _put_values(operation.values, parts),
            "positions": positions,
            "sparse": [_put_sparse(operation.sparse[position], parts) for position in positions],
            "metadata": [_put_metadata(metadata, parts) for metadata in operation.metadata],
        }
    if isinstance(operation, Change):
        return {
            "ids": list(operation.ids),
            "dimension": _put_values(operation.values, parts),
            "sparse": _put_sparse(operation.sparse, parts),
            "metadata": _put_metadata(operation.metadata, parts),
        }
    if isinstance(operation, Remove):
        return {"ids": list(operation.ids)}
    return {"schema": operation.schema} if isinstance(operation, Create) else {}


def _put_values(values: Values | None, parts: list[bytes | memoryview]) -> int | None:
    if values is None:
        return None
    parts.append(np.ascontiguousarray(values).data.cast("B"))
    return int(values.shape[-1])


def _put_sparse(sparse: Sparse | None, parts: list[bytes | memoryview]) -> int | None:
    if sparse is None:
        return None
    parts += [sparse[0].tobytes(), sparse[1].tobytes()]
    return len(sparse[0])


def _put_metadata(metadata: Metadata | None, parts: list[bytes | memoryview]) -> int | None:
    if metadata is None:
        return None
    parts.append(metadata.struct)
    return len(metadata.struct)


def _decode(header: dict[str, Any], body: memoryview) -> Entry:
    return header["namespace"], header["lsn"], _operation(header, _Parts(body))


def _operation(header: dict[str, Any], parts: _Parts) -> Operation:
    kind = header["write"]
    if kind == "Put":
        values = parts.values(header["dimension"], len(header["ids"]))
        sparse = [parts.sparse(length) for length in header["sparse"]]
        metadata = [parts.metadata(length) for length in header["metadata"]]
        return Put(header["ids"], values, {at: one for at, one in zip(header["positions"], sparse, strict=True) if one is not None}, metadata)
    if kind == "Change":
        block = parts.values(header["dimension"], 1)
        return Change(header["ids"], None if block is None else block[0], parts.sparse(header["sparse"]), parts.metadata(header["metadata"]))
    if kind == "Remove":
        return Remove(header["ids"])
    if kind == "Create":
        return Create(header["schema"])
    return Clear() if kind == "Clear" else Drop()


class _Parts:
    """Takes the long parts of a write off its body, in the order they were put there."""

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self._at = 0

    def _take(self, size: int) -> memoryview:
        self._at += size
        return self._body[self._at - size : self._at]

    def values(self, dimension: int | None, rows: int) -> Values | None:
        if dimension is None:
            return None
        return np.frombuffer(self._take(4 * dimension * rows), np.float32).reshape(rows, dimension)

    def sparse(self, length: int | None) -> Sparse | None:
        if length is None:
            return None
        return np.frombuffer(self._take(4 * length), np.uint32).copy(), np.frombuffer(self._take(4 * length), np.float32).copy()

    def metadata(self, length: int | None) -> Metadata | None:
        return None if length is None else Metadata(bytes(self._take(length)), None)
