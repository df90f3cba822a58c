"""One process a run: a lock on a file of the run's folder, which the kernel gives back whenever the process dies."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from migrator.errors import LedgerError, RunBusyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def run_lock(folder: Path, run: str) -> Iterator[None]:
    """Hold the run's lock. Raise ``RunBusyError`` when another process (or thread) has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerError(
            f"the run's folder {folder} cannot be used: {error.strerror}", fix="check its permissions and free space, or set MIGRATOR_HOME"
        ) from error
    try:
        if not _take(descriptor, fcntl.LOCK_EX, patience=0.5):
            raise RunBusyError(f"run {run} is being run by another process", fix=f"follow it with: python -m migrator status {run}")
        yield
    finally:
        os.close(descriptor)


def held(folder: Path) -> bool:
    """Return whether somebody holds the run's lock."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _take(descriptor, fcntl.LOCK_SH, patience=0)
    finally:
        os.close(descriptor)


def _take(descriptor: int, kind: int, *, patience: float) -> bool:
    # somebody asking whether the lock is held takes it for an instant: that must not make a start fail
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)
        else:
            return True
