"""How far a run is: splits, checkpoints with their digests, rejected records and held-back duplicates."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_64_hexdigest

from migrator.digest import NamespaceDigest
from migrator.errors import LedgerError
from migrator.ledger import verified
from migrator.ledger.checkpoint import SplitProgress
from migrator.ledger.runs import Lease, fence
from migrator.model import COUNT_NAMES, Counts, Split

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from migrator.ledger.checkpoint import Checkpoint
    from migrator.ledger.database import Ledger


def add_splits(ledger: Ledger, lease: Lease, splits: Sequence[Split], namespaces: Mapping[str, int]) -> None:
    """Record the splits of a run and how many records each namespace should bring, once."""
    with ledger.transaction() as db:
        fence(db, lease)
        for position, split in enumerate(splits):
            spec = json.dumps({"namespace": split.namespace, "state": dict(split.state), "records": split.records})
            first_link = _link("", [split.id, position, spec])
            db.execute("INSERT OR IGNORE INTO splits (run, split, position, spec, chain) VALUES (?,?,?,?,?)", (lease.run, split.id, position, spec, first_link))
        for name, total in namespaces.items():
            db.execute("INSERT OR IGNORE INTO namespaces (run, namespace, total) VALUES (?,?,?)", (lease.run, name, total))


def splits(ledger: Ledger, run: str) -> list[SplitProgress]:
    """Return the run's splits in order."""
    found = []
    for row in ledger.rows("SELECT * FROM splits WHERE run=? ORDER BY position", (run,)):
        spec = json.loads(row["spec"])
        split = Split(row["split"], spec["namespace"], spec["state"], spec["records"])
        found.append(SplitProgress(split, row["position"], row["sequence"], row["cursor"], bool(row["done"]), _counts(row)))
    return found


def commit(ledger: Ledger, lease: Lease, checkpoint: Checkpoint) -> None:
    """Record one chunk in one transaction. Only the holder of the lease may, only in the split's order, and only what balances."""
    run, split = lease.run, checkpoint.split_id
    _check_balance(run, checkpoint)
    with ledger.transaction() as db:
        fence(db, lease)
        row = db.execute("SELECT sequence, chain FROM splits WHERE run=? AND split=?", (run, split)).fetchone()
        if row is None or row["sequence"] != checkpoint.sequence:
            raise LedgerError(f"checkpoint {split}.{checkpoint.sequence} of run {run} is out of order", fix="resume the run; if it happens again, report it")
        record = _record(checkpoint, time.time())
        rejected, held = _records(checkpoint)
        chain = _link(row["chain"], [*record, rejected, held])
        db.execute("INSERT INTO checkpoints VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)", (run, *record, chain))
        counts = tuple(checkpoint.counts.to_json().values())
        additions = ", ".join(f"{name}={name}+?" for name in COUNT_NAMES)
        advance = f"UPDATE splits SET sequence=sequence+1, cursor=?, chain=?, {additions} WHERE run=? AND split=?"  # noqa: S608 - names are ours
        db.execute(advance, (checkpoint.cursor, chain, *counts, run, split))
        _add_to_namespaces(db, run, checkpoint)
        if checkpoint.verified:
            verified.add(db, run, batches=1, records=checkpoint.verified)
        db.executemany("INSERT INTO rejected VALUES (?,?,?,?,?,?,?,?,?,?)", [(run, *row) for row in rejected])
        db.executemany("INSERT INTO held VALUES (?,?,?,?,?,?,?,?,?)", [(run, *row) for row in held])


def _check_balance(run: str, checkpoint: Checkpoint) -> None:
    """Refuse a chunk some of whose records are unaccounted for: a defect of ours must not pass for a duplicate."""
    counts, copied = checkpoint.counts, sum(digest.count for digest in checkpoint.digests.values())
    if not counts.balanced or counts.copied != copied or counts.rejected != len(checkpoint.rejected):
        what = ", ".join(f"{value} {name}" for name, value in counts.to_json().items())
        raise LedgerError(
            f"checkpoint {checkpoint.split_id}.{checkpoint.sequence} of run {run} does not balance: {what}",
            fix="report it with the run's log; nothing was lost in the source",
            code="counts_unbalanced",
        )


def _record(checkpoint: Checkpoint, now: float) -> tuple[Any, ...]:
    digests = json.dumps({name: digest.to_json() for name, digest in sorted(checkpoint.digests.items())})
    counts = checkpoint.counts.to_json().values()
    return (checkpoint.split_id, checkpoint.sequence, checkpoint.cursor, checkpoint.read, *counts, digests, now, checkpoint.seconds)


def _records(checkpoint: Checkpoint) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the rows of the rejected and of the held-back records, without their run."""
    place = (checkpoint.split_id, checkpoint.sequence)
    rejected = [(*place, r.namespace, r.id, r.code, r.field, r.message, r.raw, int(r.refused)) for r in checkpoint.rejected]
    return rejected, [(*place, h.key, h.hash, int(h.winner), h.namespace, h.id, h.raw) for h in checkpoint.held]


def _link(previous: str, record: Sequence[Any]) -> str:
    # SQLite's own integrity check does not see a flipped bit inside a value; this chain does
    return str(xxh3_64_hexdigest((previous + json.dumps(list(record))).encode()))


def _add_to_namespaces(db: sqlite3.Connection, run: str, checkpoint: Checkpoint) -> None:
    rejected: dict[str, int] = {}
    for record in checkpoint.rejected:
        rejected[record.namespace] = rejected.get(record.namespace, 0) + 1
    for name in {*checkpoint.digests, *rejected}:
        row = db.execute("SELECT count, low, high FROM namespaces WHERE run=? AND namespace=?", (run, name)).fetchone()
        known = NamespaceDigest.from_json([row["count"], row["low"], row["high"]]) if row else NamespaceDigest()
        count, low, high = (known + checkpoint.digests.get(name, NamespaceDigest())).to_json()
        db.execute(
            "INSERT INTO namespaces (run, namespace, count, low, high, rejected) VALUES (?,?,?,?,?,?) ON CONFLICT (run, namespace) "
            "DO UPDATE SET count=excluded.count, low=excluded.low, high=excluded.high, rejected=rejected+excluded.rejected",
            (run, name, count, low, high, rejected.get(name, 0)),
        )


def finish_split(ledger: Ledger, lease: Lease, split_id: str) -> None:
    """Record that a split was read to its end."""
    with ledger.transaction() as db:
        fence(db, lease)
        row = db.execute("SELECT chain FROM splits WHERE run=? AND split=? AND done=0", (lease.run, split_id)).fetchone()
        if row is not None:
            chain = _link(row["chain"], [1])
            db.execute("UPDATE splits SET done=1, chain=? WHERE run=? AND split=?", (chain, lease.run, split_id))


def counts(ledger: Ledger, run: str) -> Counts:
    """Return the counts of the whole run."""
    row = ledger.row(f"SELECT {', '.join(f'COALESCE(SUM({name}),0) AS {name}' for name in COUNT_NAMES)} FROM splits WHERE run=?", (run,))  # noqa: S608
    return _counts(row)


def rows_read(ledger: Ledger, run: str) -> int:
    """Return how many rows of the selected namespaces were read."""
    row = ledger.row("SELECT COALESCE(SUM(read),0) AS rows FROM checkpoints WHERE run=?", (run,))
    return int(row["rows"]) if row else 0


def _counts(row: Any) -> Counts:
    return Counts(*(row[name] for name in COUNT_NAMES))


def parts(ledger: Ledger, run: str) -> dict[str, int]:
    """Return the records of every part that was written and committed."""
    found = ledger.rows("SELECT split, sequence, copied FROM checkpoints WHERE run=? AND copied>0", (run,))
    return {f"{row['split']}.{row['sequence']}": row["copied"] for row in found}


def digests(ledger: Ledger, run: str) -> dict[str, NamespaceDigest]:
    """Return the digest of what was written, per target namespace."""
    rows = ledger.rows("SELECT namespace, count, low, high FROM namespaces WHERE run=? AND count>0", (run,))
    return {row["namespace"]: NamespaceDigest.from_json([row["count"], row["low"], row["high"]]) for row in rows}


def refused(ledger: Ledger, run: str) -> frozenset[tuple[str, str]]:
    """Return (namespace, id) of the records the target's store refused."""
    rows = ledger.rows("SELECT namespace, id FROM rejected WHERE run=? AND refused=1", (run,))
    return frozenset((row["namespace"], row["id"]) for row in rows)


def rejected(ledger: Ledger, run: str, limit: int, *, raw: bool = False) -> list[dict[str, Any]]:
    """Return the first ``limit`` rejected records (-1: all) with their reasons, and the ``raw`` record if asked."""
    columns = "namespace, id, code, field, message" + (", raw" if raw else "")
    return [dict(row) for row in ledger.rows(f"SELECT {columns} FROM rejected WHERE run=? ORDER BY rowid LIMIT ?", (run, limit))]  # noqa: S608


def commonest_rejection(ledger: Ledger, run: str) -> str:
    """Return why most of the rejected records were, on the example of one; "" when there are none."""
    found = ledger.rows("SELECT code, min(rowid) AS first FROM rejected WHERE run=? GROUP BY code ORDER BY count(*) DESC LIMIT 1", (run,))
    if not found:
        return ""
    (example,) = ledger.rows("SELECT id, message FROM rejected WHERE rowid=?", (found[0]["first"],))
    return f"{example['id']!r}, {found[0]['code']}: {example['message']}"


def audit(ledger: Ledger, run: str) -> None:
    """Recompute the chain and the sums of every checkpoint. Raise ``LedgerError`` when the ledger was altered or damaged."""
    found: dict[str, NamespaceDigest] = {}
    for row in ledger.rows("SELECT * FROM splits WHERE run=? ORDER BY position", (run,)):
        _audit_split(ledger, run, row, found)
    known = ledger.rows("SELECT namespace, count, low, high FROM namespaces WHERE run=? AND count!=0", (run,))
    if {name: digest.to_json() for name, digest in found.items() if digest.count} != {name: list(digest) for name, *digest in map(tuple, known)}:
        raise _damaged(run, "the namespaces' digests")


def _audit_split(ledger: Ledger, run: str, split: sqlite3.Row, found: dict[str, NamespaceDigest]) -> None:
    """Check one split against its checkpoints and add their digests to ``found``."""
    chain, total, cursor, sequence = _link("", [split["split"], split["position"], split["spec"]]), Counts(), None, 0
    for row in ledger.rows("SELECT * FROM checkpoints WHERE run=? AND split=? ORDER BY sequence", (run, split["split"])):
        chain = _link(chain, [*tuple(row)[1:-1], *(_rows_beside(ledger, table, row) for table in ("rejected", "held"))])
        if chain != row["chain"]:
            raise _damaged(run, f"checkpoint {row['split']}.{row['sequence']}")
        total, cursor, sequence = total + _counts(row), row["cursor"], sequence + 1
        for name, digest in json.loads(row["digests"]).items():
            found[name] = found.get(name, NamespaceDigest()) + NamespaceDigest.from_json(digest)
    if split["done"]:
        chain = _link(chain, [split["done"]])
    if (chain, total, cursor, sequence) != (split["chain"], _counts(split), split["cursor"], split["sequence"]):
        raise _damaged(run, f"split {split['split']}")


def _rows_beside(ledger: Ledger, table: str, checkpoint: sqlite3.Row) -> list[list[Any]]:
    """Return the rejected or held-back records that a checkpoint brought."""
    place = tuple(checkpoint)[:3]
    return [list(row)[1:] for row in ledger.rows(f"SELECT * FROM {table} WHERE run=? AND split=? AND sequence=? ORDER BY rowid", place)]  # noqa: S608


def _damaged(run: str, what: str) -> LedgerError:
    return LedgerError(f"{what} of run {run} is not what was committed: the ledger was altered or damaged", fix="start a new run", code="ledger_damaged")
