"""Repairs a target: the records a proof found different are copied again, or deleted, and then the proof is made anew.

The list of differences is set aside before the first write and stays until the new proof is done. A repair that was stopped or killed begins
it again from its start: everything it does can be done twice.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any

from migrator.connectors import opened_source, opened_target
from migrator.existing import existing_collection
from migrator.failpoints import failpoint
from migrator.follow.journal import sync
from migrator.ledger import runs as rows
from migrator.protocols import Lagging
from migrator.runs import drive, expected, prove, steps, undoing
from migrator.runs.mending import Mender, Tally
from migrator.verify.comparison import DIFFERENCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from migrator.model import Collection, Plan
    from migrator.protocols import Source
    from migrator.runs.context import Attempt

LIST = "repair.jsonl"
"""What is being repaired: a line saying of which proof, then its differences."""
AT_ONCE = 500


def repair_copy(attempt: Attempt) -> str:
    """Repair what a copy left different and prove it again; return the status."""
    return _repaired(attempt, drive.prove_again, pair=False)


def repair_pair(attempt: Attempt) -> str:
    """Repair the target of a comparison and compare again; return the status."""
    return _repaired(attempt, prove.pair, pair=True)


def _repaired(attempt: Attempt, proof: Callable[[Attempt], str], *, pair: bool) -> str:
    wish = rows.facts(attempt.ledger, attempt.run)["repair"]
    if not wish["mended"]:
        _note(attempt, wish, _mend(attempt, wish, pair=pair))
        failpoint("repair_mended")
    status = proof(attempt)
    rows.set_facts(attempt.ledger, attempt.lease, repair=None)
    (attempt.folder / LIST).unlink(missing_ok=True)
    return status


def listed(path: Path, *, at_once: int = AT_ONCE) -> Iterator[list[dict[str, Any]]]:
    """Yield the lines of a file of differences, some at a time; none when there is no file."""
    if path.exists():
        with path.open(encoding="utf-8") as file:
            while lines := list(islice(file, at_once)):
                yield list(map(json.loads, lines))


def _mend(attempt: Attempt, wish: dict[str, Any], *, pair: bool) -> Tally:
    """Write and delete what the list says; return how much that was."""
    plan = _as_repaired(attempt.plan)
    path = _set_aside(attempt.folder, wish["proof"])
    failpoint("repair_listed")
    with ExitStack() as stack:
        source = stack.enter_context(steps.opened(attempt))
        attempt.phase("repairing", f"repairing: {wish['of']:,} records differ")
        collection = _pairs(attempt, source) if pair else steps.unchanged(attempt, source)
        undoing.remember(attempt)
        target = stack.enter_context(attempt.opening("opening the target", lambda: opened_target(plan.target)))
        attempt.patiently("preparing the target", lambda: target.prepare(collection, plan))
        write = stack.enter_context(undoing.writer(attempt, target, plan))
        present = stack.enter_context(attempt.opening("opening the target", lambda: opened_source(plan.target)))
        mender = Mender(attempt, expected.opened(attempt, source, collection, pair=pair), target, write, present, wish["delete_extra"])
        done = 0
        for batch in listed(path):
            attempt.poll()
            attempt.raise_if_stopped()
            mender.mend([line for line in batch if "class" in line])
            done += len(batch)
            rows.set_facts(attempt.ledger, attempt.lease, repair=wish | {"done": min(done, wish["of"])})
            failpoint("repair_batch")
        if isinstance(target, Lagging):
            target.written(sorted(mender.touched))
        attempt.patiently("making the target ready", target.finish)
    return mender.tally


def _as_repaired(plan: Plan) -> Plan:
    """Return the plan by which records are written again: straight into the store, over what a failed rule about conflicts would stop at."""
    return plan.with_(route="direct", staging=None, on_conflict="upsert" if plan.on_conflict == "fail" else plan.on_conflict)


def _pairs(attempt: Attempt, source: Source) -> Collection:
    """Return the source of a comparison with the metric that the target has."""
    found = attempt.patiently("looking at the source", source.describe)
    if found.metric is None:
        target = attempt.patiently("looking at the target", lambda: existing_collection(attempt.plan.target))
        found = dataclasses.replace(found, metric=target.metric if target is not None else None)
    return found


def _set_aside(folder: Path, proof: float) -> Path:
    """Return the list of what the proof that ended at ``proof`` found, durable, and untouched by the proof that follows."""
    path, head = folder / LIST, json.dumps({"proof": proof}) + "\n"
    if path.exists():
        with path.open(encoding="utf-8") as file:
            if file.readline() == head:
                return path
    staged = folder / f"{LIST}.tmp"
    with staged.open("w", encoding="utf-8") as file, (folder / DIFFERENCES).open(encoding="utf-8") as found:
        file.write(head)
        file.writelines(found)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)
    sync(folder)
    return path


def _note(attempt: Attempt, wish: dict[str, Any], tally: Tally) -> None:
    """Say what was done, before the proof: should that not come to its end, what was done stays known."""
    known = rows.facts(attempt.ledger, attempt.run).get("repairs", [])
    done = {"finished": time.time(), "copied": tally.copied, "deleted": tally.deleted}
    rows.set_facts(attempt.ledger, attempt.lease, repairs=[*known, done], repair=wish | {"mended": True, "done": wish["of"]})
    attempt.log("warning" if tally.rejected or tally.left else "info", tally.sentence())
