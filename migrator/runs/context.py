"""What the phases of one attempt share: the ledger, the lease, the folder, how to log, how to stop."""

from __future__ import annotations

import threading
import time
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from migrator import retry
from migrator.errors import PermanentError, TransientError
from migrator.ledger import progress
from migrator.ledger import runs as rows
from migrator.protocols import Interruptible, Source, Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import closing
    from pathlib import Path

    from migrator.ledger import Ledger
    from migrator.ledger.runs import Lease
    from migrator.model import Counts, Plan

_LEAST_REJECTED = 1_000
_GLANCE_SECONDS = 0.2
T = TypeVar("T")
Store = TypeVar("Store", Source, Target)


class StopRequestedError(Exception):
    """The run was asked to pause or cancel, or the process to end; ``status`` is what the run becomes."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Attempt:
    """One attempt at a run."""

    ledger: Ledger
    lease: Lease
    folder: Path
    plan: Plan
    shutdown: threading.Event
    """Set when the whole process ends."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when this attempt must end at the next chunk."""
    asked: str = ""
    finishing: bool = False
    """Whether a run that follows its source was told to do so no longer: a last pass, then the proof."""
    phases: dict[str, float] = field(default_factory=dict)
    """When this attempt entered each phase, seconds since the epoch."""
    total: int = 0
    rejected_before: int = 0
    rejected: int = 0
    cut_off: bool = False
    """Whether its requests were ended because it did not stop by itself; whatever fails from then on is the stop."""
    again: str = ""
    """What is done with a run that has ended: ``verify``, ``repair`` …; "" of an attempt to bring it to its end."""
    taken_back: bool = False
    """Whether the run's rollback came to its end."""
    standing: str = ""
    """The status of a finished run that something is done with."""
    _open: weakref.WeakSet[Interruptible] = field(default_factory=weakref.WeakSet)
    _verified: int = 0
    _last_poll: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def run(self) -> str:
        return self.lease.run

    def log(self, level: str, message: str) -> None:
        rows.log(self.ledger, self.run, level, message)

    def phase(self, name: str, message: str) -> None:
        """Enter the next phase; ends the attempt here if it was asked to stop."""
        self.poll()
        self.raise_if_stopped()
        rows.update(self.ledger, self.lease, phase=name)
        self.phases.setdefault(name, time.time())
        self.log("info", message)

    def poll(self) -> None:
        """Obey what the user asked for and show how far the proof is; about five times a second."""
        desired = rows.desired(self.ledger, self.run)
        self.finishing = self.finishing or desired == "finish"
        asked = "interrupted" if self.shutdown.is_set() else {"pause": "paused", "cancel": "cancelled"}.get(desired, "")
        if asked and not self.stop.is_set():
            self.asked = asked
            self.stop.set()
        if self._verified and time.monotonic() - self._last_poll > 0.5:
            self._last_poll = time.monotonic()
            rows.update(self.ledger, self.lease, verified=self._verified)

    def raise_if_stopped(self) -> None:
        if self.asked:
            raise StopRequestedError(self.asked)

    def patiently(self, doing: str, action: Callable[[], T]) -> T:
        """Return ``action()``, called again after transient errors; ends the attempt here if it was asked to stop meanwhile."""

        def noted(attempt: int, pause: float, error: TransientError) -> None:
            self.log("warning", f"{doing} again in {pause:.1f} s (attempt {attempt + 1}): {error.message}")
            self.poll()

        try:
            return retry.call(action, stop=self.stop, on_retry=noted)
        except TransientError:
            self.raise_if_stopped()
            raise

    def opening(self, doing: str, action: Callable[[], closing[Store]]) -> closing[Store]:
        """Return what ``action`` opened, patiently; its requests can be cut off from then on."""
        opened = self.patiently(doing, action)
        if isinstance(opened.thing, Interruptible):  # type: ignore[attr-defined]
            self._open.add(opened.thing)  # type: ignore[attr-defined]
        return opened

    def cut_requests_off(self) -> None:
        """End every request under way."""
        self.cut_off = True
        for store in list(self._open):
            store.interrupt()

    def rest(self, seconds: float) -> None:
        """Wait; ends the attempt here if it is asked to stop meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.stop.wait(min(_GLANCE_SECONDS, left))
            self.poll()
            self.raise_if_stopped()

    def on_commit(self, counts: Counts) -> None:
        """Watch the number of rejected records: beyond the cap something is wrong with the plan, not with records."""
        with self._lock:
            self.rejected += counts.rejected
            cap = max(_LEAST_REJECTED, self.total // 1_000)
            if self.rejected - self.rejected_before > cap:
                raise PermanentError(
                    f"more than {cap:,} records were rejected, most like {progress.commonest_rejection(self.ledger, self.run)}",
                    fix="look at their reasons; correct the plan and start anew, or resume to go on all the same",
                    code="too_many_rejected",
                )

    def on_rows(self, rows_read: int) -> None:
        with self._lock:
            self._verified += rows_read
