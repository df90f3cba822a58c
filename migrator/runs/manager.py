"""Runs in background threads of this process: starting, steering from anywhere, waiting, and stopping them all."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from migrator import configs, staging
from migrator.endpoints import render
from migrator.errors import ConfigError, MigratorError, RunBusyError
from migrator.ledger import Ledger
from migrator.ledger import runs as rows
from migrator.runs import drive, prove, repair, rollback, searching, steps, undoing
from migrator.runs.context import Attempt
from migrator.runs.ending import as_row, ending, record
from migrator.runs.lock import held, run_lock
from migrator.runs.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from migrator.model import Plan

_WORK: dict[str, Callable[[Attempt], str]] = {"copy": drive.copy, "dry-run": drive.rehearse, "verify": prove.pair}
_AGAIN: dict[tuple[str, str], Callable[[Attempt], str]] = {
    ("copy", "verify"): drive.prove_again,
    ("verify", "verify"): prove.pair,
    ("copy", "repair"): repair.repair_copy,
    ("verify", "repair"): repair.repair_pair,
    ("copy", "rollback"): rollback.roll_back,
    ("verify", "rollback"): rollback.roll_back,
    ("copy", "search"): searching.run,
    ("verify", "search"): searching.run,
}
"""What can be done with a finished run of a kind, by name."""
NICE = 10


class Manager:
    """The runs of one home folder. Several processes may share the folder; each run is driven by one at a time."""

    def __init__(self, home: Path, *, yielding: bool = False) -> None:
        self.home = home
        self._yielding = yielding
        self.ledger = Ledger(home / "ledger.db")
        self._threads: dict[str, threading.Thread] = {}
        self._ended: dict[str, threading.Event] = {}
        self._left: set[str] = set()
        """Runs whose attempt was recorded as ended while its thread waits for a store that does not answer."""
        self._unrecorded: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        self._shutdown = threading.Event()

    def folder(self, run: str) -> Path:
        """Return the folder with the run's files."""
        return self.home / "runs" / run

    def create(self, plan: Plan, *, kind: str, owner: str) -> str:
        """Record a new run and return its id: the UTC time it was made and four random digits."""
        run = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(2).hex()}"
        text = json.dumps(configs.to_data(plan), ensure_ascii=False)
        rows.create(self.ledger, run, kind=kind, owner=owner, source=render(plan.source), target=render(plan.target), plan=text)
        return run

    def plan(self, run: str) -> Plan:
        """Return the plan a run was made from."""
        return configs.from_data(json.loads(rows.get(self.ledger, run)["plan"]))

    def start(self, run: str, *, again: str = "", finish: bool = False) -> None:
        """Drive the run in a background thread. Raise ``RunBusyError`` when some process does so already.

        ``again`` names what is to be done with a finished run, whose status stands should that be stopped.
        ``finish`` tells a run that follows its source to make its last passes at once.
        """
        row = rows.get(self.ledger, run)
        undoing.check_stands(row, again)
        standing = rollback.STATUS if again == "rollback" else rows.standing(row) if again else ""
        work = _AGAIN[row["kind"], again] if again else _WORK[row["kind"]]
        started = threading.Event()
        failure: list[MigratorError] = []
        thread = threading.Thread(
            target=self._drive, args=(run, work, (again, standing), started, failure), kwargs={"finish": finish}, name=f"run-{run}", daemon=True
        )
        with self._lock:
            if (known := self._threads.get(run)) is not None and known.is_alive():
                raise self._busy(run)
            self._threads[run] = thread
            self._ended[run] = threading.Event()
            self._left.discard(run)
            self._unrecorded.pop(run, None)
        thread.start()
        started.wait()
        if failure:
            raise failure[0]

    def _drive(
        self, run: str, work: Callable[[Attempt], str], again: tuple[str, str], started: threading.Event, failure: list[MigratorError], *, finish: bool
    ) -> None:
        if self._yielding:
            _let_others_go_first()
        try:
            with run_lock(self.folder(run), run):
                lease = rows.begin(self.ledger, run, "searching" if work is searching.run else "preparing", finish=finish)
                started.set()
                attempt = Attempt(self.ledger, lease, self.folder(run), self.plan(run), self._shutdown, again=again[0], standing=again[1])
                self._finish(attempt, work, again[1])
        except MigratorError as error:  # the lock or the ledger: the run itself was never entered, or its end could not be recorded
            failure.append(error)
            if run not in self._left:  # else it ended before, and what it meets since is nobody's
                self._unrecorded[run] = as_row(error)
        finally:
            started.set()
            self._ended[run].set()

    def check_free(self, run: str) -> None:
        """Raise ``RunBusyError`` when some process drives the run."""
        if self.active(run):
            raise self._busy(run)

    def _busy(self, run: str) -> RunBusyError:
        if run in self._left:
            return RunBusyError(f"a request of run {run} is still without an answer since it was stopped", fix="try again in a minute")
        return RunBusyError(f"run {run} is being run already", fix=f"follow it with: python -m migrator status {run}")

    def _finish(self, attempt: Attempt, work: Callable[[Attempt], str], standing: str) -> None:
        """Drive the attempt to its end and record how it ended, whatever happens. A proof that cannot be repeated leaves ``standing``."""

        def leave() -> None:
            attempt.log("warning", "the store does not answer: stopped without waiting for the requests under way")
            record(attempt, standing, attempt.asked, None)
            self._left.add(attempt.run)
            self._ended[attempt.run].set()

        with Watch(attempt, leave) as watch:
            status, error = ending(attempt, work)
        if watch.claim():
            record(attempt, standing, status, error)

    def ask(self, run: str, desired: str) -> None:
        """Ask for ``pause``, ``cancel`` or ``finish``. A run nobody drives becomes cancelled at once."""
        row = rows.get(self.ledger, run)
        if row["status"] == "running" and held(self.folder(run)):
            rows.ask(self.ledger, run, desired)
        elif desired == "cancel" and rows.standing(row) in ("running", "paused", "interrupted", "failed"):
            rows.mark(self.ledger, run, "cancelled")
            staging.abandon(self.plan(run), self.folder(run) / steps.LOAD_NOTE, lambda level, message: rows.log(self.ledger, run, level, message))
        else:
            raise ConfigError(f"run {run} is not running", fix=f"see: python -m migrator status {run}", code="not_running")

    def unrecorded(self, run: str) -> dict[str, str] | None:
        """Return why this process's last attempt ended when the ledger could not take it: a full disk, or another holder."""
        return self._unrecorded.get(run)

    def active(self, run: str) -> bool:
        """Return whether some process drives the run now."""
        return held(self.folder(run))

    def wait(self, run: str, timeout: float | None = None) -> bool:
        """Wait until the run's attempt in this process has ended; return whether it has."""
        if run not in self._ended:
            return True
        if not self._ended[run].wait(timeout):
            return False
        if run not in self._left:
            self._threads[run].join()
        return True

    @property
    def hanging(self) -> bool:
        """Whether an attempt that ended left a request behind that has no answer yet: its threads would keep the process from ending."""
        return any(self._threads[run].is_alive() for run in self._left)

    @property
    def shutting_down(self) -> bool:
        """Whether this process was asked to end."""
        return self._shutdown.is_set()

    def ask_shutdown(self) -> None:
        """Ask every run of this process to stop after its current chunks, without waiting; safe in a signal handler."""
        self._shutdown.set()

    def interrupt(self) -> None:
        """Stop every run of this process after its current chunks; each can be resumed."""
        self.ask_shutdown()
        for run in list(self._threads):
            self.wait(run)

    def close(self) -> None:
        """Interrupt what runs and close the ledger, unless what was left behind still has it in hand."""
        self.interrupt()
        if not self.hanging:
            self.ledger.close()


def _let_others_go_first() -> None:
    """Lower the priority of this thread and of those it starts: what shares the cores with a run stays quick (sched(7), "nice value")."""
    if sys.platform == "linux":  # elsewhere the priority is the whole process's
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
