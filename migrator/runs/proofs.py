"""Begins proofs of finished runs and of pairs, and goes on with those that were stopped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from migrator.errors import ConfigError
from migrator.ledger import runs as rows
from migrator.runs import proof_sides, scopes, undoing, view

if TYPE_CHECKING:
    import sqlite3

    from migrator.model import Plan, Scope
    from migrator.runs.manager import Manager


FINISHED = ("proven", "differs", "incomplete")


def check(manager: Manager, run: str) -> None:
    """Raise ``ConfigError`` for a run that cannot be proven: not at its end, or rolled back. Raise ``RunBusyError`` while some process drives it."""
    row = rows.get(manager.ledger, run)
    manager.check_free(run)
    undoing.check_stands(row, "verify")
    if _standing(manager, row) not in FINISHED:
        raise ConfigError(f"run {run} is not finished", fix=f"finish it first: python -m migrator resume {run}", code="run_unfinished")


def begin(manager: Manager, run: str, scope: Scope) -> None:
    """Prove ``run`` anew in the background, as far as ``scope`` asks. What a proof that was stopped had read counts for nothing."""
    scopes.check(scope)
    check(manager, run)
    proof_sides.forget(manager.folder(run))
    rows.note(manager.ledger, run, scope=scope.to_json(), standing=_standing(manager, rows.get(manager.ledger, run)))
    go_on(manager, run)


def _standing(manager: Manager, row: sqlite3.Row) -> str:
    """Return the run's status, after a later proof that was killed the one it had before."""
    status, facts = str(view.summary(manager, row)["status"]), json.loads(row["facts"])
    return str(facts.get("standing", status)) if status == "interrupted" and not facts.get("repair") else status


def begin_pair(manager: Manager, plan: Plan, owner: str, scope: Scope) -> str:
    """Compare the two sides of ``plan`` in the background and return the new run's id."""
    scopes.check(scope)
    run = manager.create(plan, kind="verify", owner=owner)
    rows.note(manager.ledger, run, scope=scope.to_json())
    manager.start(run)
    return run


def interrupted(manager: Manager, run: str) -> bool:
    """Return whether a proof of the run was stopped before its end and can go on."""
    return proof_sides.states(manager.folder(run)).exists()


def go_on(manager: Manager, run: str) -> None:
    """Prove ``run``; of a proof that was stopped what it had read counts."""
    manager.start(run, again="verify")
