"""The commands that change a target after a run: repair and rollback."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from migrator.cli import driving, output
from migrator.cli.progress import follow
from migrator.cli.signals import ended, interruptible
from migrator.errors import ConfigError
from migrator.service import ROLLBACK_SHORTFALLS, Service

if TYPE_CHECKING:
    import argparse

_SHOWN = 20


def repair(options: argparse.Namespace) -> int:
    """Mend what the last proof of a run found different, and prove it again; of a run without differences give its result."""
    with closing(Service()) as service:

        def start() -> str:
            found = service.repairs.preview(options.run)
            service.repairs.start(options.run, delete_extra=options.delete_extra)
            extra = f"{found['deletes']:,} extra ones " + ("deleted" if options.delete_extra else "left (--delete-extra)") if found["deletes"] else ""
            sys.stderr.write(f"repairing: {found['copies']:,} records to be copied again{'; ' if extra else ''}{extra}\n")
            return str(options.run)

        try:
            return driving.drive(service, options, start)
        except ConfigError as error:
            if error.code != "nothing_to_repair":
                raise
            sys.stderr.write(f"{error.message}\n")
        status = service.status(options.run)
        standing = status | {"error": None}  # of a later proof that could not be made: the result that stands is none of it
        output.show(driving.outcome(service, options.run, standing), output.result, as_json=options.json)
        return driving.EXIT_CODES[status["status"]]


def rollback(options: argparse.Namespace) -> int:
    """Take a run back, by the target's typed name; without it say what would be done."""
    with closing(Service()) as service:
        found = service.rollbacks.preview(options.run)
        with interruptible(service):
            service.rollbacks.start(options.run, options.confirm or "")
            sys.stderr.write(f"rolling back: {found['sentence']}\n")
            status = follow(service, options.run)
        done, error = status["rolled_back"], status["error"]
        answer = {"run": options.run, "status": status["status"], "action": found["action"], **(done or {})}
        if error and done is None:
            answer["error"] = {name: error[name] for name in ("code", "message", "fix")}
        output.show(answer, _text, as_json=options.json)
        if error and not options.json:
            output.show_error(error, as_json=False)
        if done is None:
            return ended(service, int((error or {}).get("exit_code", 130)))
        return ended(service, 0 if done["proof"]["verdict"] == "as_before" else 1)


def _text(answer: dict[str, Any]) -> str:
    """Return what a rollback came to, as text."""
    if "proof" not in answer:
        return f"{answer['status']}: the rollback of run {answer['run']} did not come to its end; give the command again"
    proof = answer["proof"]
    lines = ["the target is as it was before" if proof["verdict"] == "as_before" else "the target is not as it was before"]
    lines.append(f"  {answer['deleted']:,} removed, {answer['restored']:,} restored" + (", the collection dropped" if answer["dropped"] else ""))
    lines += [f"  {count:,} {words}" for name, words in ROLLBACK_SHORTFALLS.items() if (count := proof[name])]
    return "\n".join(lines + [f"  {row['problem']}: {row['id']!r} in {row['namespace'] or '(default)'}" for row in proof["listed"][:_SHOWN]])
