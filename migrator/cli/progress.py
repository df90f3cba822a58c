"""Progress of a run on stderr: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from migrator.service import Service

_LINE_SECONDS = 10.0


def follow(service: Service, run: str) -> dict[str, Any]:
    """Show the run's progress until it ends, and return its last status."""
    if sys.stderr.isatty():
        return _bar(service, run)
    last = time.monotonic()
    while not service.manager.wait(run, 0.2):
        if time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            status = service.status(run)
            sys.stderr.write(f"{status['phase']}: {status['progress']:.0%}, {status['counts']['scanned']:,} records, {status['records_per_second']:,.0f}/s\n")
            sys.stderr.flush()
    return service.status(run)


def _bar(service: Service, run: str) -> dict[str, Any]:
    columns = (
        TextColumn("{task.description:10}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[records]:,} records  {task.fields[rate]:,.0f}/s"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("preparing", total=1.0, records=0, rate=0.0)
        while not service.manager.wait(run, 0.3):
            status = service.status(run)
            progress.update(
                task, completed=status["progress"], description=status["phase"], records=status["counts"]["scanned"], rate=status["records_per_second"]
            )
    return service.status(run)
