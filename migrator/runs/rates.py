"""How fast earlier runs were, which tells something about the next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from migrator import estimate
from migrator.ledger import progress
from migrator.ledger import runs as rows

if TYPE_CHECKING:
    from migrator.ledger import Ledger

LEAST_MEASURED = 5_000
"""Records of a run whose speed says something about another's: in smaller ones, opening and finishing take most of the time."""
_NEWEST = 50


def measured(ledger: Ledger, source: str, target: str) -> float | None:
    """Return the records/s of the newest proven copy from connector ``source`` to ``target``, as ``estimate.comparable_rate`` gives it; None without one."""
    for row in rows.listed(ledger)[:_NEWEST]:
        known = (row["source"].partition(":")[0], row["target"].partition(":")[0])
        seen = json.loads(row["facts"]).get("source")
        if known == (source, target) and row["kind"] == "copy" and row["status"] == "proven" and seen and seen["records"] >= LEAST_MEASURED:
            return estimate.comparable_rate(progress.counts(ledger, row["run"]).scanned, float(row["active_seconds"]), seen["dimension"])
    return None
