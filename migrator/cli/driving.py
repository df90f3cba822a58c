"""What the commands that drive a run have in common: from their options to a plan's, and from its start to the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.cli import delta, output
from migrator.cli.progress import follow
from migrator.cli.signals import ended, interruptible
from migrator.service import PlanOptions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from migrator.service import Service

EXIT_CODES = {"proven": 0, "differs": 1, "incomplete": 1, "failed": 3, "paused": 130, "interrupted": 130, "cancelled": 130}


def plan_options(options: argparse.Namespace) -> PlanOptions:
    given = vars(options)
    names = tuple(options.namespace) if options.namespace is not None else None
    chosen = {name: given[name] for name in PlanOptions.__dataclass_fields__ if name in given}
    return PlanOptions(**{**chosen, "namespaces": names, "follow": delta.follow_of(options) if "follow" in given else None})


def drive(service: Service, options: argparse.Namespace, start: Callable[[], str]) -> int:
    """Start a run, show its progress until it ends, print its result and return the exit code."""
    with interruptible(service):
        run = start()
        status = follow(service, run)
    answer = outcome(service, run, status)
    output.show(answer, output.result, as_json=options.json)
    if (error := answer.get("error")) and not options.json:
        output.show_error(error, as_json=False)
    if status["kind"] == "dry-run" and status["status"] == "incomplete":
        return 1 if answer["counts"]["rejected"] else 0
    return ended(service, int(status["error"].get("exit_code", 3)) if status["error"] else EXIT_CODES[status["status"]])


def outcome(service: Service, run: str, status: dict[str, Any]) -> dict[str, Any]:
    """Return the ``--json`` object of a run: its proof, or as much as there is of it."""
    if status["status"] in ("proven", "differs", "incomplete") and status["kind"] != "dry-run" and not status["error"]:
        return service.result(run) | {"status": status["status"]} | _error(status)
    namespaces = {row["name"]: {"source": row["total"], "target": row["done"], "missing": 0, "extra": 0, "changed": 0} for row in status["namespaces"]}
    answer = {name: status[name] for name in ("run", "status", "kind", "counts", "seconds", "records_per_second", "report", "verified_batches")}
    if status["kind"] == "dry-run":
        answer["estimate"] = status["plan"]["estimate"]
    return answer | {"verdict": "incomplete", "namespaces": namespaces, "differences": [], "rejected": status["rejected_sample"]} | _error(status)


def _error(status: dict[str, Any]) -> dict[str, Any]:
    return {"error": {name: status["error"][name] for name in ("code", "message", "fix")}} if status["error"] else {}
