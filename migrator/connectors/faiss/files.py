"""Files opened once, checked to be plain files, and read by offset; a file that changes meanwhile is noticed."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from migrator.errors import ConfigError, UnreadableSourceError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


_BLOCK, _BLOCKS = 4_096, 64


@dataclass(frozen=True)
class OpenFile:
    """An open file as it was when it was opened. ``close()`` it."""

    name: str
    """For messages."""
    path: Path
    descriptor: int
    size: int
    changed: int
    """``st_mtime_ns``"""

    def read(self, offset: int, into: npt.NDArray[np.uint8]) -> None:
        """Fill ``into`` from ``offset``. Raise ``UnreadableSourceError`` when the file has become shorter."""
        view, at = into.data, 0
        while at < len(view):
            # pread, never a mapping: a mapped file that is cut short kills the process that touches it
            got = os.preadv(self.descriptor, [view[at:]], offset + at)
            if not got:
                raise UnreadableSourceError(f"{self.name} became shorter while it was read", fix="leave the file alone during a run and start again")
            at += got

    def check_unchanged(self) -> None:
        """Raise ``UnreadableSourceError`` when the file was written to since it was opened."""
        now = os.fstat(self.descriptor)
        if (now.st_size, now.st_mtime_ns) != (self.size, self.changed):
            raise UnreadableSourceError(f"{self.name} was changed while it was read", fix="leave the file alone during a run and start a new one")

    def in_place(self) -> bool:
        """Return whether the file is still the one of its path, and unchanged."""
        try:
            found, held = self.path.stat(), os.fstat(self.descriptor)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino) and (held.st_size, held.st_mtime_ns) == (self.size, self.changed)

    def fingerprint(self) -> str:
        """Return a digest of the size and of blocks spread over the whole file; a copy elsewhere has the same."""
        digest = xxhash.xxh3_64(str(self.size).encode())
        if not self.size:
            return digest.hexdigest()
        last = max(self.size - _BLOCK, 0)
        for offset in sorted({last * number // (_BLOCKS - 1) for number in range(_BLOCKS)}):
            block = np.empty(min(_BLOCK, self.size), np.uint8)
            self.read(offset, block)
            digest.update(block.tobytes())
        return digest.hexdigest()

    def close(self) -> None:
        os.close(self.descriptor)


def open_file(path: Path, what: str, *, may_be_empty: bool = False) -> OpenFile:
    """Open ``path``, called ``what`` in errors. Raise ``ConfigError`` when it is missing, unreadable, empty or no plain file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # not blocking: a named pipe must not hang us
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{what} {path} cannot be opened: {reason.lower()}", fix="correct the path, or its permissions", code="file_not_found") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not (status.st_size or may_be_empty):
        os.close(descriptor)
        kind = "empty" if stat.S_ISREG(status.st_mode) else "not a plain file"
        raise ConfigError(f"{what} {path} is {kind}", fix="give the path of the file itself", code="not_a_file")
    return OpenFile(str(path), path, descriptor, status.st_size, status.st_mtime_ns)
