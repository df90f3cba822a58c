"""Copies on this machine's disk, shared by all who read them, removed when nobody does.

A copy lies in ``MIGRATOR_HOME/fetched``, in a folder of its own. Who uses it holds a lock on that folder, which the kernel gives back however the
process ends; a copy nobody holds is removed when the next one is made. It stays for a while after its last use in a process, because planning,
running and proving open a source one after the other.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.datasets.failures import translated

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_SECONDS = 900.0
_COMPLETE = "complete"
_CONTENT = "content"


@dataclass
class _Held:
    """A copy this process holds the lock of."""

    descriptor: int
    users: int = 1
    timer: threading.Timer | None = None


@dataclass(frozen=True)
class Copy:
    """A copy in use: ``content`` is the folder it is in. ``close()`` it."""

    folder: Path
    content: Path

    def close(self) -> None:
        _let_go(self.folder)


_held: dict[Path, _Held] = {}
_making: dict[Path, threading.Lock] = {}
_guard = threading.RLock()


def home() -> Path:
    """Return where copies are kept."""
    return Path(os.environ.get("MIGRATOR_HOME") or Path.home() / ".vector-migrator") / "fetched"


def hold(name: str, fill: Callable[[Path], None]) -> Copy:
    """Return the copy called ``name``; ``fill`` is given a folder to put it into where there is none yet. What it raises leaves none."""
    folder = home() / name
    with _guard:
        making = _making.setdefault(folder, threading.Lock())
    with making:
        if not _join(folder):
            with translated(str(folder)):
                descriptor = _claim(folder, fill)
            with _guard:
                _held[folder] = _Held(descriptor)
    return Copy(folder, folder / _CONTENT)


def _join(folder: Path) -> bool:
    """Use the copy this process holds; return whether it does, and it is still there."""
    with _guard:
        held = _held.get(folder)
        if held is None or not (folder / _COMPLETE).exists():
            return False
        held.users += 1
        if held.timer is not None:
            held.timer.cancel()
            held.timer = None
        return True


def _claim(folder: Path, fill: Callable[[Path], None]) -> int:
    """Return the descriptor that holds a shared lock on a complete copy; ``fill`` makes it where there is none, with nobody else at it."""
    while True:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileNotFoundError):  # somebody removed it meanwhile
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH)  # waits for whoever makes it
                if not _whole(folder, descriptor):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _there(folder, descriptor) and not (folder / _COMPLETE).exists():
                        _make(folder, fill)
                    fcntl.flock(descriptor, fcntl.LOCK_SH)
                if _whole(folder, descriptor):
                    return descriptor
            except BlockingIOError:  # two want to make it: one will
                time.sleep(0.1)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)


def _there(folder: Path, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), folder.stat())
    return False


def _whole(folder: Path, descriptor: int) -> bool:
    return _there(folder, descriptor) and (folder / _COMPLETE).exists()


def _make(folder: Path, fill: Callable[[Path], None]) -> None:
    sweep()
    content = folder / _CONTENT
    shutil.rmtree(content, ignore_errors=True)  # a killed process's
    try:
        content.mkdir()
        fill(content)
        (folder / _COMPLETE).touch()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _let_go(folder: Path) -> None:
    """Be one user less; the last one leaves the copy for ``KEPT_SECONDS``."""
    with _guard:
        held = _held.get(folder)
        if held is None:
            return
        held.users -= 1
        if held.users <= 0:
            held.timer = threading.Timer(KEPT_SECONDS, _drop, [folder])
            held.timer.daemon = True
            held.timer.start()


def _drop(folder: Path, *, at_exit: bool = False) -> None:
    with _guard:
        held = _held.get(folder)
        if held is None or (held.users > 0 and not at_exit):
            return
        del _held[folder]
        _remove(folder, held.descriptor)


def _remove(folder: Path, descriptor: int) -> None:
    """Remove a copy unless another process holds it, and close its descriptor."""
    try:
        with suppress(OSError):  # held, or removed by somebody
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _there(folder, descriptor):
                shutil.rmtree(folder)
    finally:
        os.close(descriptor)


def sweep() -> None:
    """Remove the copies that nobody holds: what killed processes left."""
    with suppress(FileNotFoundError):
        for folder in home().iterdir():
            with suppress(OSError):
                _remove(folder, os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))


@atexit.register
def _drop_all() -> None:
    for folder in list(_held):
        _drop(folder, at_exit=True)
