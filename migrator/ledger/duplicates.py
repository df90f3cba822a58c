"""Settles held-back occurrences of repeated ids once everything is read: identical ones are counted, others follow the plan's rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.ledger import progress
from migrator.ledger.checkpoint import Checkpoint
from migrator.model import Counts, Rejected, Split

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from migrator.ledger.checkpoint import SplitProgress
    from migrator.ledger.database import Ledger
    from migrator.ledger.runs import Lease
    from migrator.model import OnDuplicate

SPLIT = "duplicates"
"""The pseudo-split whose single checkpoint moves unequal duplicates from the duplicates to the rejected."""


def source_splits(ledger: Ledger, run: str) -> list[SplitProgress]:
    """Return the run's splits of its source in order, without the pseudo-split."""
    return [where for where in progress.splits(ledger, run) if where.split.id != SPLIT]


def resolve(ledger: Ledger, lease: Lease, *, policy: OnDuplicate) -> None:
    """Reject held-back records that differ from the one written, unless ``policy`` says which one counts. Safe twice.

    An occurrence whose written twin was itself rejected is always rejected: it was not copied, so it must not be counted as a copy.
    """
    run = lease.run
    known = next((where for where in progress.splits(ledger, run) if where.split.id == SPLIT), None)
    if known is not None and known.done:
        return
    if ledger.row("SELECT 1 FROM held WHERE run=? LIMIT 1", (run,)) is None:
        return
    progress.add_splits(ledger, lease, [Split(SPLIT, None, {})], {})
    if known is None or known.sequence == 0:  # else a kill came between this commit and the next line
        rejected = tuple(_unequal(ledger, run, policy))
        counts = Counts(rejected=len(rejected), duplicate=-len(rejected))
        progress.commit(ledger, lease, Checkpoint(SPLIT, 0, "", 0, counts, {}, rejected))
    progress.finish_split(ledger, lease, SPLIT)


def _unequal(ledger: Ledger, run: str, policy: OnDuplicate) -> Iterator[Rejected]:
    rows = ledger.rows(
        "SELECT held.*, winner.hash AS written, winner.namespace AS written_namespace FROM held "
        "LEFT JOIN held AS winner ON winner.run=held.run AND winner.key=held.key AND winner.winner=1 "
        "WHERE held.run=? AND held.winner=0 AND (winner.hash IS NULL OR winner.hash != held.hash) ORDER BY held.rowid",
        (run,),
    )
    for row in rows:
        if row["written"] is None:
            yield _rejected(row, "the id occurs more than once, and the occurrence chosen to be copied was rejected")
        elif row["written_namespace"] != row["namespace"]:
            # not one record twice but two records: no rule about duplicates may drop one of them
            yield _rejected(row, f"the target cannot hold this id in two namespaces; the one of namespace {row['written_namespace']!r} was copied")
        elif policy == "fail":
            yield _rejected(row, "the id occurs more than once with different content; another occurrence was copied (see --on-duplicate first|last)")


def _rejected(row: sqlite3.Row, message: str) -> Rejected:
    return Rejected(row["namespace"], row["id"], "duplicate_id", "id", message, row["raw"])
