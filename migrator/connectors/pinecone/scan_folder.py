"""Where listed ids are kept while a source is open: beside the ledger, whose disk is meant for such things, or in the system's temporary folder."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_YOUNG_SECONDS = 60.0
"""A folder as new as that may not be locked yet."""


class ScanFolder:
    """A new folder, held by a lock that ends with the process. Making one removes those that killed processes left."""

    def __init__(self) -> None:
        home = os.environ.get("MIGRATOR_HOME")
        if home:
            scans = Path(home) / "scans"
            scans.mkdir(parents=True, exist_ok=True)
            _sweep(scans)
            self.path = Path(tempfile.mkdtemp(dir=scans))
        else:
            self.path = Path(tempfile.mkdtemp(prefix="migrator-scan-"))
        self._held = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._held, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path)
        os.close(self._held)


def _sweep(scans: Path) -> None:
    for left in scans.iterdir():
        with suppress(OSError):  # somebody holds it, or has removed it meanwhile
            if time.time() - left.stat().st_mtime < _YOUNG_SECONDS:
                continue
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left)
            finally:
                os.close(descriptor)
