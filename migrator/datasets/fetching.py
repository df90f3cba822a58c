"""Brings objects of a bucket onto this machine's disk, for readers that need files: streamed, checked, once for all that read them."""

from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyarrow import fs

from migrator.datasets import copies
from migrator.datasets.failures import translated
from migrator.errors import PermanentError, UnreadableSourceError
from migrator.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from migrator.datasets.copies import Copy
    from migrator.datasets.places import Place

BLOCK = 16 << 20
"""Bytes of one request; a few run at once, as one alone waits for the network most of the time."""
_REQUESTS = 4
_SPARE = 64 << 20
"""Bytes of the disk that are left alone."""


@dataclass(frozen=True)
class Found:
    """An object as it was when it was looked at."""

    path: str
    """Relative to its place."""
    size: int
    tag: str
    """Changes when the object does: the store's ETag, or where it has none the time of its last change."""


def look(place: Place, path: str) -> Found | None:
    """Return an object as it is now, or None when there is none."""
    with translated(place.show(path)):
        info = place.files.get_file_info(place.full(path))
        if info.type != fs.FileType.File:
            return None
        with place.files.open_input_file(place.full(path)) as opened:
            said = opened.metadata() or {}
        if not said:
            with place.files.open_input_stream(place.full(path)) as stream:  # Azure tells it of a stream only
                said = stream.metadata() or {}
    tag = said.get("ETag") or said.get("etag") or str(info.mtime_ns).encode()
    return Found(path, int(info.size), tag.decode())


def bring(place: Place, found: Sequence[Found], server: str) -> Copy:
    """Return a copy of ``found`` on ``server``, made now where there is none yet.

    Raise ``PermanentError`` when the disk has no room for it, ``UnreadableSourceError`` when an object changes meanwhile.
    """
    facts = "\n".join([server, place.shown, *(f"{one.path}\0{one.size}\0{one.tag}" for one in found)])
    name = hashlib.sha256(facts.encode()).hexdigest()[:32]
    return copies.hold(name, lambda folder: _fetch(place, found, folder))


def _fetch(place: Place, found: Sequence[Found], folder: Path) -> None:
    _check_room(place, sum(one.size for one in found), folder)
    for one in found:
        target = folder / one.path
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(place, one, target)
        if look(place, one.path) != one:
            raise _changed(place, one)


def _check_room(place: Place, size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size + _SPARE > free:
        raise PermanentError(
            f"{place.shown} has {size:,} bytes to fetch, and {copies.home()} has room for {max(free - _SPARE, 0):,}",
            fix="make room there, or set MIGRATOR_HOME to a folder on a larger disk",
            code="disk_full",
        )


def _download(place: Place, one: Found, target: Path) -> None:
    with place.open(one.path) as stored, translated(place.show(one.path)), target.open("xb", buffering=0) as file, ThreadPoolExecutor(_REQUESTS) as pool:
        os.truncate(file.fileno(), one.size)

        def piece(offset: int) -> None:
            size = min(BLOCK, one.size - offset)
            content = stored.read_at(size, offset)
            if len(content) != size:
                raise _changed(place, one)
            _write(file, content, offset)
            failpoint("fetching.block")

        try:
            for _ in pool.map(piece, range(0, one.size, BLOCK)):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        os.fsync(file.fileno())


def _write(file: Any, content: bytes, offset: int) -> None:
    view = memoryview(content)
    with translated(str(copies.home())):
        while view:
            written = os.pwrite(file.fileno(), view, offset)
            view, offset = view[written:], offset + written


def _changed(place: Place, one: Found) -> UnreadableSourceError:
    return UnreadableSourceError(f"{place.show(one.path)} was changed while it was fetched", fix="leave it alone during a run, and start again")
