"""Tells whether a file was opened by anybody, with inotify(7)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_IN_OPEN = 0x20


@contextlib.contextmanager
def watched(path: Path) -> Iterator[Callable[[], bool]]:
    """Yield a function saying whether ``path`` was opened since it was last asked."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    try:
        assert libc.inotify_add_watch(descriptor, os.fsencode(path), _IN_OPEN) >= 0, os.strerror(ctypes.get_errno())

        def was_opened() -> bool:
            opened = False
            while select.select([descriptor], [], [], 0)[0]:
                os.read(descriptor, 4096)
                opened = True
            return opened

        path.read_bytes()
        assert was_opened(), "the watch does not work"
        yield was_opened
    finally:
        os.close(descriptor)
