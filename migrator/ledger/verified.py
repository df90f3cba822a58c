"""What a run that reads every batch back has found: counted with the checkpoints, so that a kill neither loses nor doubles a count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.ledger.runs import fence

if TYPE_CHECKING:
    import sqlite3

    from migrator.ledger.database import Ledger
    from migrator.ledger.runs import Lease


def add(db: sqlite3.Connection, run: str, *, batches: int = 0, records: int = 0, differences: int = 0) -> None:
    """Add to the run's counts, inside a transaction."""
    db.execute(
        "INSERT INTO verified VALUES (?,?,?,?) ON CONFLICT (run) DO UPDATE SET "
        "batches=batches+excluded.batches, records=records+excluded.records, differences=differences+excluded.differences",
        (run, batches, records, differences),
    )


def differed(ledger: Ledger, lease: Lease, records: int) -> None:
    """Count ``records`` that were not in the target as they were written, whatever becomes of their batch."""
    with ledger.transaction() as db:
        fence(db, lease)
        add(db, lease.run, differences=records)


def counts(ledger: Ledger, run: str) -> dict[str, int]:
    """Return ``{"batches", "records", "differences"}``: batches read back and their records, and records that differed when they were first."""
    row = ledger.row("SELECT batches, records, differences FROM verified WHERE run=?", (run,))
    return dict(row) if row is not None else {"batches": 0, "records": 0, "differences": 0}
