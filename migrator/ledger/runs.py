"""Run rows: creating, leasing, steering and ending a run, and its log."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migrator.errors import ConfigError, RunBusyError

if TYPE_CHECKING:
    import sqlite3

    from migrator.ledger.database import Ledger

STOPPED = ("paused", "cancelled", "failed", "interrupted", "proven", "differs", "incomplete")


@dataclass(frozen=True)
class Lease:
    """The right to commit for a run. A later attempt has a higher epoch, and the earlier one's commits are refused."""

    run: str
    epoch: int


def create(ledger: Ledger, run: str, *, kind: str, owner: str, source: str, target: str, plan: str) -> None:
    """Record a new run, not started yet."""
    with ledger.transaction() as db:
        db.execute(
            "INSERT INTO runs (run, kind, owner, source, target, plan, status, phase, desired, epoch, attempt, created) "
            "VALUES (?,?,?,?,?,?,'paused','','run',0,0,?)",
            (run, kind, owner, source, target, plan, time.time()),
        )


def begin(ledger: Ledger, run: str, phase: str, *, finish: bool = False) -> Lease:
    """Start the next attempt: a new epoch, status running. The caller holds the run's lock file.

    A run that was told to stop following and did not come to its end is still told so; ``finish`` tells it from the start.
    """
    told = "CASE WHEN ? OR (desired='finish' AND status NOT IN ('proven','differs','incomplete')) THEN 'finish' ELSE 'run' END"
    with ledger.transaction() as db:
        db.execute(
            f"UPDATE runs SET status='running', phase=?, desired={told}, epoch=epoch+1, attempt=attempt+1, started=?, finished=NULL, error=NULL "  # noqa: S608
            "WHERE run=?",
            (phase, finish, time.time(), run),
        )
        row = db.execute("SELECT epoch FROM runs WHERE run=?", (run,)).fetchone()
    return Lease(run, row["epoch"])


def fence(db: sqlite3.Connection, lease: Lease) -> None:
    """Refuse to go on inside a transaction when another process has taken the run over since."""
    row = db.execute("SELECT epoch FROM runs WHERE run=?", (lease.run,)).fetchone()
    if row is None or row["epoch"] != lease.epoch:
        raise RunBusyError(f"run {lease.run} was taken over by another process", fix=f"follow it with: python -m migrator status {lease.run}")


def update(ledger: Ledger, lease: Lease, **columns: Any) -> None:
    """Set columns of the leased run's row."""
    with ledger.transaction() as db:
        fence(db, lease)
        db.execute(f"UPDATE runs SET {', '.join(f'{name}=?' for name in columns)} WHERE run=?", (*columns.values(), lease.run))  # noqa: S608 - names are ours


def set_facts(ledger: Ledger, lease: Lease, **facts: Any) -> None:
    """Merge ``facts`` (JSON values) into what is known of the run: dimension, metric, versions."""
    with ledger.transaction() as db:
        fence(db, lease)
        _merge(db, lease.run, facts)


def note(ledger: Ledger, run: str, **facts: Any) -> None:
    """Merge ``facts`` as ``set_facts`` does, of a run that nobody need drive: what was done once it was proven. On disk when it returns."""
    with ledger.transaction() as db:
        _merge(db, run, facts)


def _merge(db: sqlite3.Connection, run: str, facts: dict[str, Any]) -> None:
    row = db.execute("SELECT facts FROM runs WHERE run=?", (run,)).fetchone()
    db.execute("UPDATE runs SET facts=? WHERE run=?", (json.dumps({**json.loads(row["facts"]), **facts}), run))


def end(ledger: Ledger, lease: Lease, status: str, error: dict[str, str] | None = None) -> None:
    """End the attempt with ``status``; its figures stay. The lease ends with it: what may still be under way commits nothing any more."""
    now = time.time()
    with ledger.transaction() as db:
        fence(db, lease)
        db.execute(
            "UPDATE runs SET status=?, phase='', finished=?, active_seconds=active_seconds + (? - started), error=?, epoch=epoch+1 WHERE run=?",
            (status, now, now, json.dumps(error) if error else None, lease.run),
        )


def ask(ledger: Ledger, run: str, desired: str) -> None:
    """Ask whoever runs it to ``pause`` or ``cancel``, obeyed between two chunks, or to ``finish`` following its source."""
    with ledger.transaction() as db:
        db.execute("UPDATE runs SET desired=? WHERE run=?", (desired, run))


def desired(ledger: Ledger, run: str) -> str:
    """Return what the run was last asked to do: ``run``, ``pause``, ``cancel`` or ``finish``."""
    return str(get(ledger, run)["desired"])


def mark(ledger: Ledger, run: str, status: str) -> None:
    """Set the status of a run that no process holds."""
    with ledger.transaction() as db:
        db.execute("UPDATE runs SET status=?, phase='', finished=? WHERE run=?", (status, time.time(), run))


def get(ledger: Ledger, run: str) -> sqlite3.Row:
    """Return the run's row. Raise ``ConfigError`` when there is no such run."""
    row = ledger.row("SELECT * FROM runs WHERE run=?", (run,))
    if row is None:
        raise ConfigError(f"there is no run {run!r}", fix="list them with: python -m migrator runs", code="unknown_run")
    return row


def facts(ledger: Ledger, run: str) -> dict[str, Any]:
    """Return what ``set_facts`` kept of a run."""
    return dict(json.loads(get(ledger, run)["facts"]))


def standing(row: sqlite3.Row) -> str:
    """Return the run's status, for a search on a finished run the one it keeps: it also stands when the process that searches is killed."""
    if row["status"] == "running" and row["phase"] == "searching":
        return str(json.loads(row["facts"])["search"]["standing"])
    return str(row["status"])


def listed(ledger: Ledger, owner: str | None = None) -> list[sqlite3.Row]:
    """Return all runs, newest first, of one owner or of everybody."""
    if owner is None:
        return ledger.rows("SELECT * FROM runs ORDER BY created DESC")
    return ledger.rows("SELECT * FROM runs WHERE owner=? ORDER BY created DESC", (owner,))


def log(ledger: Ledger, run: str, level: str, message: str) -> None:
    """Add a line to the run's log."""
    with ledger.transaction() as db:
        db.execute("INSERT INTO events VALUES (?,?,?,?)", (run, time.time(), level, message))


def log_tail(ledger: Ledger, run: str, lines: int) -> list[sqlite3.Row]:
    """Return the last ``lines`` of the run's log, oldest first."""
    return ledger.rows("SELECT * FROM (SELECT rowid, * FROM events WHERE run=? ORDER BY rowid DESC LIMIT ?) ORDER BY rowid", (run, lines))
