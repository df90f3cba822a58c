"""Runs a command and measures it: wall-clock seconds, what it says in JSON, and the peak memory of its process tree."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[1]
MEGABYTE = 1024 * 1024
IDLE = "import json, time, migrator.cli, migrator.service; print(json.dumps({})); time.sleep(1)"
"""A process with the program loaded and nothing to do."""
INTERVAL = 0.02
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Measured:
    """One run of a command."""

    seconds: float
    """From start to exit, the interpreter's start included."""
    said: dict[str, Any]
    """The JSON object on its standard output."""
    peak_bytes: int
    """Most anonymous memory (RssAnon) the process and its children held together: mapped file pages are the kernel's to drop. 0 when unwatched."""
    processor: float = 0.0
    """Seconds of processor time, the children's included: what other programs do meanwhile changes it less than ``seconds``."""


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that keep the runs' ledger out of the user's own."""
    return {"MIGRATOR_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}


def median(values: Sequence[float], unit: float = 1) -> float:
    """Return the median of ``values`` in ``unit``."""
    return statistics.median(values) / unit


def run(arguments: Sequence[str], environment: Mapping[str, str], *, watch_memory: bool = False) -> Measured:
    """Run ``python <arguments>`` and return what it took. Raise ``RuntimeError`` with its last words when it fails.

    Looking at the memory takes a core's time that the process may want itself: it is not done while only seconds count.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started, before = time.perf_counter(), _children()
        process = subprocess.Popen([sys.executable, *arguments], stdout=out, stderr=err, stdin=subprocess.DEVNULL, env={**os.environ, **environment})
        peak = 0
        while watch_memory and process.poll() is None:
            peak = max(peak, anonymous_bytes(process.pid))
            time.sleep(INTERVAL)
        process.wait()
        seconds, used = time.perf_counter() - started, _children() - before
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}: {(out.read() + err.read()).decode()[-2000:]}")
        return Measured(seconds, json.loads(out.read()), peak, used)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def anonymous_bytes(pid: int) -> int:
    """Return the anonymous memory of process ``pid`` and all below it; 0 for what has ended meanwhile."""
    total, waiting = 0, [pid]
    while waiting:
        current = Path("/proc", str(waiting.pop()))
        try:
            total += _rss_anon((current / "status").read_text().splitlines())
            waiting += [int(child) for task in (current / "task").iterdir() for child in (task / "children").read_text().split()]
        except OSError:
            continue  # it has just ended
    return total


def _rss_anon(status: Iterable[str]) -> int:
    return next((int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon:")), 0)
