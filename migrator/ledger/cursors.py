"""Where the chunks of a run began: places from which its source can be read again without listing what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.ledger import progress
from migrator.ledger.duplicates import SPLIT

if TYPE_CHECKING:
    from migrator.ledger.database import Ledger
    from migrator.model import Split


def beginnings(ledger: Ledger, run: str) -> list[tuple[Split, str | None, int]]:
    """Return of each chunk that brought records its split, the cursor before it, and how many records it brought."""
    known = {where.split.id: where.split for where in progress.splits(ledger, run)}
    before: dict[str, str | None] = dict.fromkeys(known)
    found = []
    for row in ledger.rows("SELECT split, cursor, scanned FROM checkpoints WHERE run=? AND split!=? ORDER BY split, sequence", (run, SPLIT)):
        if row["scanned"]:
            found.append((known[row["split"]], before[row["split"]], row["scanned"]))
        before[row["split"]] = row["cursor"]
    return found
