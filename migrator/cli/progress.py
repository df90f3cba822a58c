"""Progress of a run on stderr: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import select
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from migrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.service import Service

_LINE_SECONDS = 10.0


def follow(service: Service, run: str) -> dict[str, Any]:
    """Show the run's progress until it ends, and return its last status."""
    if sys.stderr.isatty():
        return _bar(service, run)
    last, obey = time.monotonic(), _keys(service, run)
    while not service.manager.wait(run, 0.2):
        obey()
        if time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            status = service.status(run)
            sys.stderr.write(_line(status) + "\n")
            sys.stderr.flush()
    return service.status(run)


def _line(status: dict[str, Any]) -> str:
    if status["phase"] == "following" and (lag := status["follow"])["passes"]:
        return f"following: {lag['passes']:,} passes, the last found {lag['lag_records']:,} records different; {lag['lag_seconds']:,.0f} s behind"
    if status["phase"] == "importing" and (load := status["load"]):
        return f"importing: {status['progress']:.0%}, import {load['job']} {load['share']:.0%}, {load['records']:,} of {status['counts']['copied']:,} records"
    if status["phase"] == "searching":
        return f"searching: {status['progress']:.0%}"
    return f"{status['phase']}: {status['progress']:.0%}, {status['counts']['scanned']:,} records, {status['records_per_second']:,.0f}/s"


def _moved(status: dict[str, Any]) -> int:
    """Return how many records the phase has brought so far."""
    load = status.get("load") if status["phase"] == "importing" else None
    return int(load["records"] if load else status["counts"]["scanned"])


def _keys(service: Service, run: str) -> Callable[[], None]:
    """Return what looks whether q and Enter were pressed, which tells a run to stop following; nothing where nobody could press them."""
    if service.manager.plan(run).follow is None or sys.stdin is None or not sys.stdin.isatty():
        return lambda: None
    sys.stderr.write("press q and Enter to stop following: a last pass, then the proof\n")

    def obey() -> None:
        if select.select([sys.stdin], [], [], 0)[0] and sys.stdin.readline().strip().lower() == "q":
            with suppress(ConfigError):  # it came to its end by itself meanwhile
                service.finish_following(run)

    return obey


def _bar(service: Service, run: str) -> dict[str, Any]:
    columns = (
        TextColumn("{task.description:10}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[records]:,} records  {task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    obey = _keys(service, run)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("preparing", total=1.0, records=0, rate=0.0)
        while not service.manager.wait(run, 0.3):
            obey()
            status = service.status(run)
            progress.update(task, completed=status["progress"], description=status["phase"], records=_moved(status), rate=status["records_per_second"])
    return service.status(run)
