"""The SQLite file behind the ledger: schema, durable transactions, reads that do not wait for writes."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from migrator.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

VERSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY, kind TEXT NOT NULL, owner TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL, plan TEXT NOT NULL,
    status TEXT NOT NULL, phase TEXT NOT NULL, desired TEXT NOT NULL, epoch INTEGER NOT NULL, attempt INTEGER NOT NULL,
    created REAL NOT NULL, started REAL, finished REAL, active_seconds REAL NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,
    verified INTEGER NOT NULL DEFAULT 0, to_verify INTEGER NOT NULL DEFAULT 0, facts TEXT NOT NULL DEFAULT '{}', error TEXT);
CREATE TABLE IF NOT EXISTS splits (
    run TEXT NOT NULL, split TEXT NOT NULL, position INTEGER NOT NULL, spec TEXT NOT NULL, sequence INTEGER NOT NULL DEFAULT 0, cursor TEXT,
    done INTEGER NOT NULL DEFAULT 0, scanned INTEGER NOT NULL DEFAULT 0, copied INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0,
    vanished INTEGER NOT NULL DEFAULT 0, duplicate INTEGER NOT NULL DEFAULT 0, chain TEXT NOT NULL DEFAULT '', PRIMARY KEY (run, split));
CREATE TABLE IF NOT EXISTS checkpoints (
    run TEXT NOT NULL, split TEXT NOT NULL, sequence INTEGER NOT NULL, cursor TEXT NOT NULL, read INTEGER NOT NULL,
    scanned INTEGER NOT NULL, copied INTEGER NOT NULL, rejected INTEGER NOT NULL, vanished INTEGER NOT NULL, duplicate INTEGER NOT NULL,
    digests TEXT NOT NULL, at REAL NOT NULL, seconds REAL NOT NULL, chain TEXT NOT NULL, PRIMARY KEY (run, split, sequence));
CREATE INDEX IF NOT EXISTS checkpoints_by_time ON checkpoints (run, at);
CREATE TABLE IF NOT EXISTS namespaces (
    run TEXT NOT NULL, namespace TEXT NOT NULL, total INTEGER NOT NULL DEFAULT 0, count INTEGER NOT NULL DEFAULT 0, low TEXT NOT NULL DEFAULT '0',
    high TEXT NOT NULL DEFAULT '0', rejected INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (run, namespace));
CREATE TABLE IF NOT EXISTS rejected (
    run TEXT NOT NULL, split TEXT NOT NULL, sequence INTEGER NOT NULL, namespace TEXT NOT NULL, id TEXT NOT NULL, code TEXT NOT NULL,
    field TEXT NOT NULL, message TEXT NOT NULL, raw TEXT, refused INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS rejected_by_run ON rejected (run, split, sequence);
CREATE TABLE IF NOT EXISTS held (
    run TEXT NOT NULL, split TEXT NOT NULL, sequence INTEGER NOT NULL, key TEXT NOT NULL, hash TEXT NOT NULL, winner INTEGER NOT NULL,
    namespace TEXT NOT NULL, id TEXT NOT NULL, raw TEXT);
CREATE INDEX IF NOT EXISTS held_by_key ON held (run, key);
CREATE INDEX IF NOT EXISTS held_by_run ON held (run, split, sequence);
CREATE TABLE IF NOT EXISTS events (run TEXT NOT NULL, at REAL NOT NULL, level TEXT NOT NULL, message TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS passes (
    run TEXT NOT NULL, pass INTEGER NOT NULL, first INTEGER NOT NULL DEFAULT 0, version TEXT NOT NULL, started REAL NOT NULL, finished REAL,
    scanned INTEGER NOT NULL DEFAULT 0, copied INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0, vanished INTEGER NOT NULL DEFAULT 0,
    duplicate INTEGER NOT NULL DEFAULT 0, new INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0,
    gone INTEGER NOT NULL DEFAULT 0, missed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (run, pass));
CREATE TABLE IF NOT EXISTS stamps (run TEXT NOT NULL, split TEXT NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (run, split));
CREATE TABLE IF NOT EXISTS verified (
    run TEXT PRIMARY KEY, batches INTEGER NOT NULL DEFAULT 0, records INTEGER NOT NULL DEFAULT 0, differences INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS events_by_run ON events (run, at);
"""


class Ledger:
    """One open ledger file. Safe to use from many threads and from several processes on one machine.

    Writes are ``BEGIN IMMEDIATE`` transactions with ``synchronous=FULL``: once one returns, it survives a power cut.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # rejected records lie in here: nobody else's to read
            self._writer = self._connect()
            self._reader = self._connect()
            self._writer.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(
                f"the ledger {path} cannot be opened: {error}", fix="check the folder's permissions and free space, or set MIGRATOR_HOME"
            ) from error
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if (found := connection.execute("PRAGMA user_version").fetchone()[0]) > VERSION:
            raise LedgerError(f"the ledger {self.path} was written by a newer version ({found})", fix="upgrade, or set MIGRATOR_HOME to another folder")
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run one durable transaction; an exception inside rolls it back. ``LedgerError`` when the file cannot be written."""
        with self._write_lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield self._writer
                except BaseException:
                    self._roll_back()
                    raise
                self._writer.execute("COMMIT")
            except sqlite3.Error as error:
                self._roll_back()
                raise LedgerError(
                    f"the ledger {self.path} cannot be written: {error}", fix="free disk space or repair the disk, then resume the run"
                ) from error

    def _roll_back(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # closed meanwhile, as when a service ends while a run is watched
            if self._writer.in_transaction:  # a full disk ends a transaction by itself
                self._writer.execute("ROLLBACK")

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        with self._read_lock:
            try:
                return self._reader.execute(sql, parameters).fetchall()
            except sqlite3.Error as error:
                raise LedgerError(
                    f"the ledger {self.path} cannot be read: {error}", fix="restore the file from a backup, or set MIGRATOR_HOME to another folder"
                ) from error

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def close(self) -> None:
        """Close the file. Safe twice."""
        with self._write_lock, self._read_lock:
            self._writer.close()
            self._reader.close()
