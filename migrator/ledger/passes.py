"""The passes of a run that follows its source: which one is on, what the finished ones found, and how far stamps were set."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from migrator.ledger.runs import Lease, fence
from migrator.model import COUNT_NAMES

if TYPE_CHECKING:
    import sqlite3

    from migrator.ledger.database import Ledger
    from migrator.model import Counts

_SCAN_TABLES = ("splits", "checkpoints", "namespaces", "rejected", "held", "stamps")


@dataclass(frozen=True)
class Found:
    """What a pass found different from the one before."""

    new: int = 0
    changed: int = 0
    deleted: int = 0
    """Gone from the source, and removed from the target."""
    gone: int = 0
    """Gone from the source (or from the plan's selection) and still in the target, because deletions are not propagated."""
    missed: int = 0
    """Not met by the scan, but in the source when asked for: they stay, and the next pass looks at them again."""

    @property
    def differing(self) -> int:
        """How many records the target was behind when the pass began."""
        return self.new + self.changed + self.deleted + self.missed


def begin(ledger: Ledger, lease: Lease, version: str) -> int:
    """Forget the last scan's splits and counts, start the next pass, and return its number.

    The first to come to its end is the first copy. A pass that was not finished is forgotten with its scan: what it wrote is in the
    run's state, and is looked at again.
    """
    run = lease.run
    with ledger.transaction() as db:
        fence(db, lease)
        last = db.execute("SELECT COALESCE(MAX(pass), -1) FROM passes WHERE run=?", (run,)).fetchone()[0]
        db.execute("DELETE FROM passes WHERE run=? AND finished IS NULL", (run,))
        for table in _SCAN_TABLES:
            db.execute(f"DELETE FROM {table} WHERE run=?", (run,))  # noqa: S608 - names are ours
        first = db.execute("SELECT 1 FROM passes WHERE run=?", (run,)).fetchone() is None
        db.execute("INSERT INTO passes (run, pass, first, version, started) VALUES (?,?,?,?,?)", (run, last + 1, int(first), version, time.time()))
    return int(last) + 1


def end(ledger: Ledger, lease: Lease, number: int, counts: Counts, found: Found) -> None:
    """Record that a pass came to its end, and what it found."""
    values = {**counts.to_json(), **asdict(found), "finished": time.time()}
    with ledger.transaction() as db:
        fence(db, lease)
        columns = ", ".join(f"{name}=?" for name in values)
        db.execute(f"UPDATE passes SET {columns} WHERE run=? AND pass=?", (*values.values(), lease.run, number))  # noqa: S608 - names are ours


def unfinished(ledger: Ledger, run: str) -> sqlite3.Row | None:
    """Return the row of the pass that is on, or that a killed process left."""
    return ledger.row("SELECT * FROM passes WHERE run=? AND finished IS NULL", (run,))


def history(ledger: Ledger, run: str, limit: int = -1) -> list[dict[str, Any]]:
    """Return the last ``limit`` finished passes (-1: all), oldest first."""
    rows = ledger.rows("SELECT * FROM (SELECT * FROM passes WHERE run=? AND finished IS NOT NULL ORDER BY pass DESC LIMIT ?) ORDER BY pass", (run, limit))
    return [_as_json(row) for row in rows]


def _as_json(row: sqlite3.Row) -> dict[str, Any]:
    counts = {name: row[name] for name in COUNT_NAMES}
    found = {name: row[name] for name in Found.__dataclass_fields__}
    return {"pass": row["pass"], "started": row["started"], "finished": row["finished"], "counts": counts, **found}


def totals(ledger: Ledger, run: str) -> dict[str, int]:
    """Return how many passes came to their end after the first copy, and what they found together."""
    sums = ", ".join(f"COALESCE(SUM({name}),0) AS {name}" for name in ("new", "changed", "deleted"))
    row = ledger.row(f"SELECT COUNT(*) AS passes, {sums} FROM passes WHERE run=? AND finished IS NOT NULL AND first=0", (run,))  # noqa: S608
    return dict(row) if row else {}


# -- stamps


def stamped(ledger: Ledger, run: str, split: str) -> int:
    """Return the number of a split's checkpoints whose records are stamped."""
    row = ledger.row("SELECT sequence FROM stamps WHERE run=? AND split=?", (run, split))
    return int(row["sequence"]) if row else 0


def set_stamped(ledger: Ledger, lease: Lease, split: str, sequence: int) -> None:
    """Record that the records of a split's first ``sequence`` checkpoints are stamped."""
    with ledger.transaction() as db:
        fence(db, lease)
        db.execute(
            "INSERT INTO stamps VALUES (?,?,?) ON CONFLICT (run, split) DO UPDATE SET sequence=MAX(sequence, excluded.sequence)", (lease.run, split, sequence)
        )
