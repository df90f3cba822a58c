"""How a run looks from outside: one dictionary with its status, progress, rates, namespaces and log."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from migrator.configs import to_data
from migrator.ledger import progress, verified
from migrator.ledger import runs as rows
from migrator.ledger.duplicates import SPLIT
from migrator.runs import lag

if TYPE_CHECKING:
    from sqlite3 import Row

    from migrator.ledger import Ledger
    from migrator.model import Plan
    from migrator.runs.manager import Manager

_POINTS = 120
_RECENT_SECONDS = 10.0
_RECENT_BATCHES = 500
_DECIDING = ("source", "target", "selection", "route", "staging", "shaped_for", "follow")


def summary(manager: Manager, row: Row) -> dict[str, Any]:
    """Return what a list of runs shows of one; ``asked`` is what a running one was asked to do and has not done yet."""
    row, status = _settled(manager, row)
    return {
        "run": row["run"],
        "kind": row["kind"],
        "status": status,
        "phase": row["phase"],
        "asked": row["desired"] if status == "running" and row["desired"] != "run" else None,
        "source": row["source"],
        "target": row["target"],
        "owner": row["owner"],
        "started": _iso(row["created"]),
        "finished": _iso(row["finished"]),
        "counts": json.loads(row["facts"]).get("counts") or progress.counts(manager.ledger, row["run"]).to_json(),
        "total": row["total"],
    }


def _settled(manager: Manager, row: Row) -> tuple[Row, str]:
    """Return the run's row and status: one that nobody drives any more was interrupted, unless it came to its end since the row was read."""
    if row["status"] == "running" and not manager.active(row["run"]):
        row = rows.get(manager.ledger, row["run"])
        if row["status"] != "running" or manager.active(row["run"]):
            return row, str(row["status"])
        kept = rows.standing(row)
        return row, "interrupted" if kept == "running" else kept
    return row, str(row["status"])


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def detail(manager: Manager, run: str) -> dict[str, Any]:
    """Return everything a page shows of one run."""
    ledger, (row, _) = manager.ledger, _settled(manager, rows.get(manager.ledger, run))
    seen = summary(manager, row)
    running = seen["status"] == "running"
    seconds = row["active_seconds"] + (time.time() - row["started"] if running else 0.0)
    done = seen["counts"]["scanned"]
    rate = _rate(ledger, row) if running else (done / seconds if seconds else 0.0)
    shares = _shares(row, done, seen["status"])
    return (
        seen
        | {
            "seconds": seconds,
            "attempt": row["attempt"],
            "progress": shares["proved"] if running and row["phase"] == "searching" else _progress(row["kind"], shares),
            "shares": shares,
            "eta_seconds": _eta(row, done, rate) if running else None,
            "records_per_second": rate,
            "namespaces": _namespaces(ledger, run),
            "throughput": throughput(ledger, row),
            "rejected_sample": progress.rejected(ledger, run, 100),
            "log": [{"time": _iso(line["at"]), "level": line["level"], "message": line["message"]} for line in rows.log_tail(ledger, run, 200)],
            "error": json.loads(row["error"]) if row["error"] else manager.unrecorded(run),
            "report": _existing(manager, run, "report.html"),
            "plan": json.loads(row["plan"]),
        }
        | batches(ledger, run)
        | _follow(ledger, row, running=running)
        | _noted(ledger, row)
    )


def _follow(ledger: Ledger, row: Row, *, running: bool) -> dict[str, Any]:
    """Return how far a run that follows its source is behind it; nothing for others."""
    if json.loads(row["plan"]).get("follow") is None:
        return {}
    return {"follow": lag.shown(ledger, row["run"], until=None if running else row["finished"])}


def _staged(row: Row) -> bool:
    return row["kind"] == "copy" and bool(json.loads(row["plan"]).get("route") == "staged")


def _noted(ledger: Ledger, row: Row) -> dict[str, Any]:
    """Return the aliases the run moved, what its rollback came to, a repair or rollback that is not done, and the batches it read back.

    With staged files also how far the target's own load of them is, None before it has begun.
    """
    facts = json.loads(row["facts"])
    found = {"aliases": facts.get("aliases", {}), "rolled_back": facts.get("rolled_back"), "repair": facts.get("repair"), "rollback": facts.get("rollback")}
    found["verified_batches"] = verified.counts(ledger, row["run"]) if json.loads(row["plan"]).get("verify_batches") else None
    if _staged(row):
        seen = facts.get("load")
        found["load"] = seen and {name: value for name, value in seen.items() if name != "since"}
    return found


def _shares(row: Row, done: int, status: str) -> dict[str, float]:
    """Return how much of the source was copied (by a dry run: read), and how much of what there is to prove was proved.

    On the staged route what was copied lies in files, and ``loaded`` is how much of them the target has loaded.
    """
    staged = _staged(row)
    if status in ("proven", "differs", "incomplete"):
        return {"copied": 1.0, "proved": 1.0} | ({"loaded": 1.0} if staged else {})
    copied = min(1.0, done / row["total"]) if row["total"] else 0.0
    if row["to_verify"] or row["phase"] in ("following", "finishing", "importing", "verifying", "searching"):  # a filter may have left out some of the total
        copied = 1.0
    # a proof begins anew with every attempt: until it does, how far the last one came counts for nothing
    begun = row["to_verify"] and (status != "running" or row["phase"] in ("verifying", "searching"))
    shares = {"copied": copied, "proved": min(1.0, row["verified"] / row["to_verify"]) if begun else 0.0}
    if staged:
        load = json.loads(row["facts"]).get("load") or {"done": False, "share": 0.0}
        shares["loaded"] = 1.0 if load["done"] or row["phase"] in ("verifying", "searching") else load["share"]
    return shares


def _progress(kind: str, shares: dict[str, float]) -> float:
    """Return the share of the work done: copying counts three quarters, proving the rest; a load takes a quarter from the copying."""
    if kind == "verify":
        return shares["proved"]
    if "loaded" in shares:
        return 0.5 * shares["copied"] + 0.25 * shares["loaded"] + 0.25 * shares["proved"]
    return shares["copied"] if kind == "dry-run" else 0.75 * shares["copied"] + 0.25 * shares["proved"]


def _eta(row: Row, done: int, rate: float) -> float | None:
    if row["phase"] == "importing" and (load := json.loads(row["facts"]).get("load")):
        return float((time.time() - load["since"]) * (1 - load["share"]) / load["share"]) if load["share"] else None
    return (row["total"] - done) / rate if rate and row["phase"] == "copying" and row["total"] >= done else None


def _rate(ledger: Ledger, row: Row) -> float:
    """Return the records/s of the last seconds, of an import those since it was first seen: the store counts in leaps."""
    if row["phase"] == "importing" and (load := json.loads(row["facts"]).get("load")):
        return float(load["records"] / max(1.0, time.time() - load["since"]))
    since = max(row["started"], time.time() - _RECENT_SECONDS)
    found = ledger.row("SELECT COALESCE(SUM(scanned),0) AS records FROM checkpoints WHERE run=? AND at>=?", (row["run"], since))
    elapsed = time.time() - since
    return float(found["records"] / elapsed) if found and elapsed > 0 else 0.0


def throughput(ledger: Ledger, row: Row) -> list[list[float]]:
    """Return records/s over the life of the run, in at most 120 equal steps. One query: a pass that begins takes the checkpoints of the last one away."""
    found = ledger.rows(
        """WITH seen AS (SELECT at, seconds, scanned FROM checkpoints WHERE run=? AND split!=?),
        life AS (SELECT MIN(at - seconds) AS first, MAX(1.0, (MAX(at) - MIN(at - seconds)) / ?) AS step FROM seen)
        SELECT CAST((at - first) / step AS INTEGER) AS slot, step, SUM(scanned) AS records FROM seen, life GROUP BY slot, step""",
        (row["run"], SPLIT, _POINTS),
    )
    if not found:
        return []
    step, records = found[0]["step"], {line["slot"]: line["records"] for line in found}
    return [[slot * step, records.get(slot, 0) / step] for slot in range(max(records) + 1)][:_POINTS]


def batches(ledger: Ledger, run: str) -> dict[str, Any]:
    """Return the sizes of the last batches, oldest first, and how long writing each took."""
    found = ledger.rows("SELECT copied, seconds FROM checkpoints WHERE run=? AND split!=? ORDER BY at DESC LIMIT ?", (run, SPLIT, _RECENT_BATCHES))
    times = sorted(line["seconds"] for line in found)
    p95 = times[min(len(times) - 1, int(len(times) * 0.95))] * 1000 if times else None
    return {
        "batches": [line["copied"] for line in reversed(found)],
        "latencies_ms": [line["seconds"] * 1000 for line in reversed(found)],
        "latency_p95_ms": p95,
    }


def _namespaces(ledger: Ledger, run: str) -> list[dict[str, Any]]:
    found = ledger.rows("SELECT namespace, total, count, rejected FROM namespaces WHERE run=? ORDER BY namespace", (run,))
    return [{"name": line["namespace"], "done": line["count"], "total": max(line["total"], line["count"]), "rejected": line["rejected"]} for line in found]


def _existing(manager: Manager, run: str, name: str) -> str | None:
    path = manager.folder(run) / name
    return str(path) if path.exists() else None


def earlier(manager: Manager, plan: Plan) -> dict[str, Any] | None:
    """Return the newest run that copies just what ``plan`` does."""
    wanted = _deciding(plan)
    found = (row for row in rows.listed(manager.ledger) if row["kind"] == "copy" and _deciding(manager.plan(row["run"])) == wanted)
    return next((summary(manager, row) for row in found), None)


def _deciding(plan: Plan) -> dict[str, Any]:
    """Return what two plans have in common if one can go on with the other's run; how namespaces are spelt is settled on the way."""
    told = to_data(plan)
    return {name: told[name] for name in _DECIDING} | {"mapping": told["mapping"] | {"namespace_encoding": None}}
