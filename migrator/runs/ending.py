"""How an attempt at a run ends: as the work says, as it was asked to, or with an error that says so."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from migrator.errors import MigratorError, RunBusyError
from migrator.ledger import runs as rows
from migrator.runs.context import StopRequestedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.runs.context import Attempt

_STOPPED = {
    "verify": "the proof was stopped; the earlier one stands",
    "repair": "the repair was stopped; what it wrote stays, and the next one goes on",
    "search": "the search was stopped; the earlier one stands",
    "rollback": "the rollback was stopped midway",
}
PROVEN_OR_NOT = ("proven", "differs", "incomplete")
"""What a proof can come to."""


def as_row(error: MigratorError) -> dict[str, str]:
    """Return the error as the ledger keeps it."""
    return error.to_json() | {"exit_code": str(error.exit_code)}


def record(attempt: Attempt, standing: str, status: str, error: dict[str, str] | None) -> None:
    """Record how the attempt ended. What was done with a run that had ended, and was stopped or failed, leaves ``standing``."""
    if standing and status not in PROVEN_OR_NOT and not attempt.taken_back:
        message = _STOPPED.get(attempt.again, "it was stopped; the proof before it stands")
        fix = f"go on with: python -m migrator resume {attempt.run}" if attempt.again == "verify" else "start it again"
        stopped = {"code": "interrupted", "message": message, "fix": fix, "exit_code": "130"}
        status, error = standing, error or stopped
    rows.end(attempt.ledger, attempt.lease, status, error)


def ending(attempt: Attempt, work: Callable[[Attempt], str]) -> tuple[str, dict[str, str] | None]:
    """Do the work; return the status the attempt ends with, and the error if one ended it."""
    try:
        return work(attempt), None
    except StopRequestedError as stop:
        return _stopped(attempt, stop.status)
    except RunBusyError:
        raise
    except Exception as problem:  # noqa: BLE001 - a defect of ours must end as a failed run that says so, not as a dead thread
        return _stopped(attempt, attempt.asked) if attempt.cut_off else _failed(attempt, problem)


def _stopped(attempt: Attempt, status: str) -> tuple[str, None]:
    attempt.log("info", {"paused": "paused", "cancelled": "cancelled; what was written stays", "interrupted": "interrupted"}[status])
    return status, None


def _failed(attempt: Attempt, problem: Exception) -> tuple[str, dict[str, str]]:
    if isinstance(problem, MigratorError):
        attempt.log("error", f"{problem.message}. {problem.fix}")
        return ("paused" if problem.code == "too_many_rejected" else "failed"), as_row(problem)
    if isinstance(problem, MemoryError):
        fix = "use a smaller --batch, then resume"
        return "failed", {"code": "out_of_memory", "message": "this machine ran out of memory", "fix": fix, "exit_code": "3"}
    _keep_traceback(attempt, problem)
    fix = "report it with the log; resume is safe"
    return "failed", {"code": "internal_error", "message": f"internal error: {problem!r}", "fix": fix, "exit_code": "3"}


def _keep_traceback(attempt: Attempt, problem: Exception) -> None:
    attempt.log("error", "internal error; the run's folder has traceback.txt")
    (attempt.folder / "traceback.txt").write_text("".join(traceback.format_exception(problem)), encoding="utf-8")
