"""The commands around following a source: stop, cutover, reset; and the options that say how to follow."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from migrator.cli import output
from migrator.cli.signals import ended, interruptible
from migrator.endpoints import render
from migrator.errors import ConfigError
from migrator.model import Follow
from migrator.service import Service

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from migrator.model import Plan

_LINE_SECONDS = 5.0
_GIVEN = ("interval", "deletes", "changes")
_CUTOVER_CODES = {"failed": 3, "interrupted": 130, "paused": 130, "cancelled": 130, "running": 130}


def follow_of(options: argparse.Namespace, known: Follow | None = None) -> Follow | None:
    """Return how the options say to follow, over what a plan file says (``known``)."""
    given = {name: value for name in _GIVEN if (value := getattr(options, name, None)) is not None}
    if known is None and not options.follow:
        if given:
            name = next(iter(given))
            raise ConfigError(f"--{name} is about following the source", fix="add --follow", code="bad_usage")
        return None
    base = known or Follow()
    return Follow(**{name: given.get(name, getattr(base, name)) for name in _GIVEN})


def added(options: argparse.Namespace, plan: Plan) -> Plan:
    """Return the plan of a file with what the options add to it."""
    return plan.with_(follow=follow_of(options, plan.follow), stamp=plan.stamp or options.stamp, verify_batches=plan.verify_batches or options.verify_batches)


def stop(options: argparse.Namespace) -> int:
    """Tell a run to stop following: a last pass, then the proof."""
    with closing(Service()) as service:
        service.finish_following(options.run)
    output.show(
        {"run": options.run, "asked": "stop"}, lambda answer: f"asked run {answer['run']} to stop following: a last pass, then the proof", as_json=options.json
    )
    return 0


def reset(options: argparse.Namespace) -> int:
    """Remove the stamps from a source."""
    names = tuple(options.namespace) if options.namespace is not None else None
    shown = _every(_LINE_SECONDS, lambda read, removed: f"{read:,} records read, {removed:,} stamps removed")
    with closing(Service()) as service:
        answer = service.reset(options.endpoint, names, shown, theirs=options.index_migrator)
    output.show(answer, reset_text, as_json=options.json)
    return 0


def reset_command(plan: Plan) -> str:
    """Return the command that removes the stamps, the Pinecone Index Migrator's too, from what ``plan`` selects of its source."""
    names = [word for name in plan.selection.namespaces or () for word in ("--namespace", name)]
    return shlex.join(["python", "-m", "migrator", "reset", render(plan.source), *names, "--index-migrator"])


def reset_text(answer: dict[str, Any]) -> str:
    """Return what was removed, as text."""
    lines = [f"removed the stamps of {answer['reset']:,} records"]
    return "\n".join(lines + [f"  {name or '(default)':30} {count:>12,}" for name, count in answer["namespaces"].items()])


def cutover(options: argparse.Namespace) -> int:
    """Cut a run over, or take back what a cut-over did to aliases."""
    if options.rollback:
        return _roll_back(options)
    if options.delete_source != (options.confirm is not None):
        raise ConfigError("--delete-source and --confirm belong together", fix="give both: --delete-source --confirm NAME", code="bad_usage")
    shown = _every(_LINE_SECONDS, lambda status: f"{status['phase'] or status['status']}: {status['counts']['scanned']:,} records")
    with closing(Service()) as service, interruptible(service):
        answer = service.cutover(
            options.run,
            scale=dict(options.scale or ()),
            delete_source=options.delete_source,
            confirm=options.confirm or "",
            alias=options.alias or "",
            on_wait=shown,
        )
    error = answer.pop("error")
    if error:
        answer["error"] = {name: error[name] for name in ("code", "message", "fix")}
    output.show(answer, _cutover_text, as_json=options.json)
    if error and not options.json:
        output.show_error(error, as_json=False)
    refused = int(error.get("exit_code", 3)) if error else _CUTOVER_CODES.get(answer["status"], 1)
    return ended(service, 0 if answer["ready"] else refused)


def _roll_back(options: argparse.Namespace) -> int:
    if options.scale or options.delete_source or options.confirm is not None:
        raise ConfigError("--rollback is about aliases only", fix="leave out --scale, --delete-source and --confirm", code="bad_usage")
    with closing(Service()) as service:
        answer = service.aliases.back(options.run, options.alias or "")
    output.show(answer, lambda answer: "\n".join(answer["done"]), as_json=options.json)
    return 0


def _cutover_text(answer: dict[str, Any]) -> str:
    if not answer["ready"]:
        return f"no cut-over, and nothing was changed: {answer['reason']}"
    lines = answer["done"] + ["", "the new address:", *_address_lines(answer["new"]), "", "the way back:", *_address_lines(answer["old"])]
    return "\n".join(lines)


def _address_lines(address: dict[str, Any]) -> list[str]:
    lines = [f"  {name}={value}" for name, value in address["environment"].items()]
    for language, text in address["snippets"].items():
        lines += [f"  # {language}", *(f"  {line}" for line in text.splitlines())]
    return ([f"  {address['note']}"] if address.get("note") else []) + lines


def _every(seconds: float, line: Callable[..., str]) -> Callable[..., None]:
    """Return a function that prints ``line`` of its arguments on stderr, now and then."""
    last = time.monotonic()

    def show(*arguments: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            sys.stderr.write(line(*arguments) + "\n")
            sys.stderr.flush()

    return show
