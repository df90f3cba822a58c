"""Named points where a test can kill the process: ``MIGRATOR_FAILPOINT=name:n`` dies at the n-th hit of ``name``.

Dying is ``os._exit(137)``: no ``finally``, no buffers flushed, as a power cut or ``kill -9`` would. Without the variable
a failpoint costs one dictionary look-up.
"""

from __future__ import annotations

import os
import threading

_hits: dict[str, int] = {}
_lock = threading.Lock()


def failpoint(name: str) -> None:
    """Die here when the environment asks for it."""
    wanted = os.environ.get("MIGRATOR_FAILPOINT")
    if not wanted:
        return
    target, _, number = wanted.partition(":")
    if target != name:
        return
    with _lock:
        _hits[name] = _hits.get(name, 0) + 1
        if _hits[name] == int(number or "1"):
            os._exit(137)
