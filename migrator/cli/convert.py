"""The configurations of other tools on the command line: converted to a plan, or run as they are."""

from __future__ import annotations

import shlex
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator import secrets
from migrator.cli import delta, output
from migrator.endpoints import render
from migrator.errors import ConfigError
from migrator.service import Service, command, convert_config, dump_plan, kind_of_config

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from migrator.model import Plan
    from migrator.service import Conversion

    Drive = Callable[[Service, argparse.Namespace, Callable[[], str]], int]


def read(path: str, what: str) -> str:
    """Return the text of a file. Raise ``ConfigError`` when there is none."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"the {what} {path} is no UTF-8 text: {error}", fix="save it as UTF-8") from None
    except OSError as error:
        fix = "make one with: python -m migrator plan SOURCE TARGET -o plan.yaml" if what == "plan" else "give the path of the file"
        raise ConfigError(f"the {what} {path} cannot be read: {error}", fix=fix) from None


def _converted(text: str) -> Conversion:
    if kind_of_config(text) == "plan":
        message = "this is no config.json and no migration.yaml; if it is a plan, it needs no converting"
        raise ConfigError(message, fix="python -m migrator run FILE", code="bad_config")
    return convert_config(text)


def convert(options: argparse.Namespace) -> int:
    """Write the plan of a configuration, and say on stderr what became of every key."""
    found = _converted(read(options.config, "configuration"))
    if found.action != "copy" and options.output:
        fix = f"run: {_commands(found)[0]}"
        raise ConfigError(f"the configuration asks for no copy but to {found.action}, which takes no plan", fix=fix, code="no_plan")
    text = dump_plan(found.plan) if found.action == "copy" else "\n".join(_commands(found)) + "\n"
    if options.output:
        output.write(Path(options.output), text)
    _say(found, options.output)
    if options.json:
        output.show(_answer(found, options.output), str, as_json=True)
    elif not options.output:
        sys.stdout.write(text)
    return 0


def _say(found: Conversion, path: str | None) -> None:
    """Print what became of the keys, the variables to set, and what to run before and after the plan."""
    output.findings([asdict(note) for note in found.notes])
    lines = [f"export {variable}=…   # the plan names it in place of the secret in the file" for variable in found.secrets]
    if found.action == "copy":
        file = path or "plan.yaml"
        commands = _commands(found, file)
        lines += [commands[0]] if len(commands) == 1 else ["in this order:", *commands]
        lines += [f"or all of it in one: {_on_file('run', file)}"] if found.plan.route == "staged" else []
    sys.stderr.write("\n".join(lines) + "\n")


def _commands(found: Conversion, path: str = "plan.yaml") -> list[str]:
    """Return the commands that do what the configuration asks for, in their order."""
    if found.action == "verify":
        return [command(found.plan, "verify")]
    reset = delta.reset_command(found.plan)
    if found.action == "reset":
        return [reset]
    before = [reset] if found.reset_first else []
    verbs = ("dump", "load") if found.plan.route == "staged" else ("run",)
    return [*before, *(_on_file(verb, path) for verb in verbs), *map(command, found.then)]


def _on_file(verb: str, path: str) -> str:
    return f"python -m migrator {verb} {shlex.quote(path)}"


def _answer(found: Conversion, path: str | None) -> dict[str, Any]:
    return {
        "plan": path,
        "action": found.action,
        "commands": _commands(found, path or "plan.yaml"),
        "environment": list(found.secrets),
        "notes": [asdict(note) for note in found.notes],
    }


def plan_of(text: str) -> Plan:
    """Return the plan of a configuration; the keys in it stay in the memory of this process. Raise ``ConfigError`` when it asks for no copy."""
    found = _converted(text)
    if found.action != "copy":
        raise ConfigError(f"the configuration asks for no copy but to {found.action}", fix=f"run: {_commands(found)[0]}", code="no_plan")
    for variable, key in found.secrets.items():
        secrets.provide(variable, key)
    output.findings([asdict(note) for note in found.notes])
    return found.plan


def run(options: argparse.Namespace, text: str, drive: Drive) -> int:
    """Do what a configuration asks for; the API keys in it stay in the memory of this process."""
    found = _converted(text)
    for variable, key in found.secrets.items():
        secrets.provide(variable, key)
    output.findings([asdict(note) for note in found.notes])
    with closing(Service()) as service:
        if found.action == "copy":
            return _copy(options, found, service, drive)
        if options.dry_run or options.follow or options.stamp or options.verify_batches:
            raise ConfigError(f"the configuration asks for no copy but to {found.action}", fix="leave the options out", code="bad_usage")
        if found.action == "verify":
            return drive(service, options, lambda: service.start_verify_plan(found.plan))
        output.show(service.reset(render(found.plan.source), found.plan.selection.namespaces, theirs=True), delta.reset_text, as_json=options.json)
        return 0


def _copy(options: argparse.Namespace, found: Conversion, service: Service, drive: Drive) -> int:
    if found.reset_first and not options.dry_run:
        answer = service.reset(render(found.plan.source), found.plan.selection.namespaces, theirs=True)
        sys.stderr.write(delta.reset_text(answer) + "\n")
    plan = service.look_again(delta.added(options, found.plan))
    output.findings([asdict(finding) for finding in plan.findings if finding.severity != "blocking"])
    code = drive(service, options, lambda: service.start(plan, dry_run=options.dry_run))
    for further in found.then if code == 0 and not options.dry_run else ():
        sys.stderr.write(f"next: {command(further)}\n")
    return code
