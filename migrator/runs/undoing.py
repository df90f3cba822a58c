"""What a run keeps so that it can be taken back: what the target was before it, and a log of everything it does there."""

from __future__ import annotations

import json
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from migrator.connectors import connector, opened_source
from migrator.errors import ConfigError
from migrator.existing import existing_collection
from migrator.failpoints import failpoint
from migrator.follow.undo_log import UndoLog, digests_of
from migrator.ledger import progress
from migrator.ledger import runs as rows
from migrator.pipeline.write import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path
    from sqlite3 import Row

    import pyarrow as pa

    from migrator.ledger import Ledger
    from migrator.model import Plan
    from migrator.protocols import Target
    from migrator.runs.context import Attempt

LOG = "undo.log"
_NAMESPACES = 1_000
"""So many are remembered by name; with more of them each counts as occupied."""


def remember(attempt: Attempt) -> None:
    """Keep what the target is before the run touches it for the first time; a run that began before this was kept has nothing to tell."""
    if "before" in rows.facts(attempt.ledger, attempt.run):
        return
    if progress.counts(attempt.ledger, attempt.run).copied:
        rows.set_facts(attempt.ledger, attempt.lease, before=None)
        return
    # of files the manifest says which are a run's own, and another run may be writing there: that is for ``prepare`` to say
    found = attempt.patiently("looking at the target", lambda: existing_collection(attempt.plan.target)) if by_id(attempt.plan) else None
    occupied = [name for name, count in found.namespaces.items() if count] if found is not None else []
    before = {
        "existed": found is not None,
        "records": found.count if found is not None else 0,
        "namespaces": occupied if len(occupied) <= _NAMESPACES else None,
    }
    rows.set_facts(attempt.ledger, attempt.lease, before=before)
    failpoint("target_remembered")


def before(ledger: Ledger, run: str) -> dict[str, Any] | None:
    """Return what the target was before the run: ``{existed, records, namespaces}``; None when nobody looked, or the run never came to it."""
    found = rows.facts(ledger, run).get("before")
    return None if found is None else dict(found)


def log_of(folder: Path) -> Path:
    """Return where the log of a run lies."""
    return folder / LOG


def wrote(folder: Path) -> bool:
    """Whether the run of ``folder`` has begun to write: a kill may have come before the first checkpoint that counts what it copied."""
    log = log_of(folder)
    return log.exists() and log.stat().st_size > 0


def by_id(plan: Plan) -> bool:
    """Whether the target of ``plan`` is written record by record, and not as files: then a log says which."""
    return connector(plan.target.connector).capabilities(plan.target).deletes


def logs(attempt: Attempt) -> bool:
    """Whether what the run does is to be logged."""
    return by_id(attempt.plan) and before(attempt.ledger, attempt.run) is not None


def noting(log: UndoLog, plan: Plan) -> Callable[[pa.RecordBatch, pa.RecordBatch | None], None]:
    """Return what adds to ``log`` that ``names`` are to be written over what is ``there``: kept whole if the plan says so, else as digests."""

    def note(names: pa.RecordBatch, there: pa.RecordBatch | None) -> None:
        log.append(names, there if there is None or plan.keep_overwritten else digests_of(there))
        failpoint("undo_logged")

    return note


@contextmanager
def writer(attempt: Attempt, target: Target, plan: Plan) -> Iterator[Writer]:
    """Open what writes to ``target`` by the rules of ``plan``: the log, and the target as a source when ids must be looked up in it first."""
    known = before(attempt.ledger, attempt.run)
    logged: AbstractContextManager[UndoLog | None] = UndoLog(log_of(attempt.folder)) if logs(attempt) else nullcontext()
    with logged as log:
        note = None if log is None else noting(log, attempt.plan)
        rule = (plan.on_conflict, plan.new_only, attempt.stop, attempt.log)
        if plan.on_conflict == "upsert" and not plan.new_only and not (log is not None and known and known["records"]):
            yield Writer(target, None, *rule, undo=note)
            return
        with attempt.opening("opening the target", lambda: opened_source(plan.target)) as present:
            unique = connector(plan.target.connector).capabilities(plan.target).ids_unique_across_namespaces
            everywhere = tuple(present.describe().namespaces) if unique else ()
            yield Writer(target, present, *rule, everywhere, note, occupied(known))


def occupied(known: Mapping[str, Any] | None) -> Callable[[str], bool]:
    """Return what says whether a namespace of the target held records before the run."""
    names = None if known is None else known["namespaces"]
    return lambda namespace: names is None or namespace in names


def check_stands(row: Row, again: str) -> None:
    """Raise ``ConfigError`` for a run that was taken back, wholly or midway, unless ``again`` is to take it back."""
    facts, run = json.loads(row["facts"]), row["run"]
    if facts.get("rolled_back"):
        raise ConfigError(f"run {run} was rolled back: nothing of it stands any more", fix="copy anew, as another run", code="rolled_back")
    if facts.get("rollback") and again != "rollback":
        message = f"a rollback of run {run} was begun and did not come to its end"
        raise ConfigError(message, fix=f"let it: python -m migrator rollback {run} --confirm NAME", code="rollback_begun")
