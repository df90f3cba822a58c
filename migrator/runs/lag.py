"""How far a run that follows its source is behind it, as status, result and report show it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from migrator.ledger import passes
from migrator.ledger.passes import Found

if TYPE_CHECKING:
    from migrator.ledger import Ledger

LISTED = 100


def shown(ledger: Ledger, run: str, *, until: float | None = None) -> dict[str, Any]:
    """Return the ``follow`` object: passes after the first copy, what they found, and the lag.

    ``lag_records`` is what the last pass found different, None before there was one. ``lag_seconds`` is how long before ``until``
    (now, while the run goes on) the last complete reading of the source began: what changed since is not in the target.
    """
    last = passes.history(ledger, run, 1)
    sums = passes.totals(ledger, run)
    followed = bool(last) and sums["passes"] > 0
    return sums | {
        "lag_records": differing(last[0]) if followed else None,
        "lag_seconds": max(0.0, (until or time.time()) - last[0]["started"]) if last else None,
        "last_pass": last[0] if last else None,
    }


def differing(row: dict[str, Any]) -> int:
    """Return how many records a finished pass found different."""
    return Found(**{name: row[name] for name in Found.__dataclass_fields__}).differing


def findings(ledger: Ledger, run: str) -> list[dict[str, Any]]:
    """Return what the user should know of how the source was followed."""
    last = passes.history(ledger, run, 1)
    found = []
    if last and last[0]["gone"]:
        message = f"{last[0]['gone']:,} records are gone from the source and still in the target"
        found.append(("gone_from_source", message, "follow with --deletes to have such records removed from the target"))
    return [{"severity": "info", "code": code, "message": message, "fix": fix} for code, message, fix in found]
