"""A process with everything imported and no thread started, that forks a child for every attempt at a run: a kill costs milliseconds.

Reads one JSON object a line: ``{"home", "source", "target", "batch", "failpoint", "mutant", "follow", "stamp", "keep", "then"}``. The child
starts the home's run, or resumes it, and is killed where the failpoint says; one that follows its source is told at once to make its last
passes. ``then`` is what is to be done with the run instead: ``verify``, ``repair`` or ``rollback``.
Answers with ``{"code", "status", "error"}``: 137 for a killed child, 0 for one that came to an end.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from migrator.model import Follow
from migrator.service import PlanOptions, Service
from tests.durability import mutants

FINISHED = ("proven", "differs", "incomplete")


def attempt(job: dict[str, Any]) -> dict[str, Any]:
    """Start or resume the run of ``job["home"]`` and say how it ended."""
    if job.get("mutant"):
        getattr(mutants, job["mutant"])()
    service = Service(Path(job["home"]))
    known = service.runs()
    if job.get("then"):
        return afterwards(service, known[0]["run"], job["then"])
    follow = Follow(interval=0.0, deletes=True) if job.get("follow") else None
    if not known:
        chosen = {name: job[name] for name in ("workers", "stamp", "verify_batches") if name in job}
        options = PlanOptions(batch=job["batch"], follow=follow, **chosen)
        if job.get("keep"):
            options = replace(options, keep_overwritten=True, on_conflict="upsert")
        run = service.start(service.plan(job["source"], job["target"], options))
    else:
        run = known[0]["run"]
        if known[0]["status"] not in FINISHED or follow is not None:
            service.resume(run)
    if follow is not None:
        service.finish_following(run)
    status = service.wait(run)
    service.close()
    told = {name: status[name] for name in ("status", "error", "counts", "attempt")}
    return told | {"verified": status["verified_batches"]}


def afterwards(service: Service, run: str, what: str) -> dict[str, Any]:
    """Do ``what`` with ``run`` unless it is done, and say how that ended."""
    if what == "verify":
        service.start_verify(run)
    elif (what == "repair" and not service.repairs.preview(run)["refused"]) or (what == "repair" and service.status(run)["status"] == "interrupted"):
        service.repairs.start(run, delete_extra=True)
    elif what == "rollback" and service.status(run)["rolled_back"] is None:
        service.rollbacks.start(run, service.rollbacks.preview(run)["confirm"])
    status = service.wait(run)
    service.close()
    return {"status": status["status"], "error": status["error"], "rolled_back": status["rolled_back"]}


def forked(job: dict[str, Any]) -> dict[str, Any]:
    """Run one attempt in a forked child."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.environ["MIGRATOR_FAILPOINT"] = job["failpoint"] or ""
        try:
            answer = attempt(job)
        except BaseException:  # noqa: BLE001 - whatever it was, the test wants to see it
            answer = {"status": "crashed", "error": traceback.format_exc()}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, code = os.waitpid(pid, 0)
    return {"code": os.waitstatus_to_exitcode(code), "status": "killed", "error": None} | (json.loads(said) if said else {})


def main() -> None:
    importlib.import_module("pandas")  # pyarrow would import it in every child anew
    for name in sys.argv[1:]:
        importlib.import_module(name if "." in name else f"migrator.connectors.{name}")
    for line in sys.stdin:
        sys.stdout.write(json.dumps(forked(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
