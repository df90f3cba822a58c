"""The commands of the proof."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator.cli import driving, output, proof_options
from migrator.errors import ConfigError
from migrator.service import Service

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from migrator.service import Scope


def verify(options: argparse.Namespace) -> int:
    if len(options.endpoints) > 2:
        raise ConfigError("verify takes a run, or a source and a target", fix="quote each endpoint", code="bad_usage")
    scope = proof_options.scope_of(options)
    with closing(Service()) as service:

        def start() -> str:
            if len(options.endpoints) == 2:
                source, target = options.endpoints
                _cost(service.scope_costs_pair(source, target, driving.plan_options(options)), scope)
                return service.start_verify_pair(source, target, driving.plan_options(options), scope=scope)
            (run,) = options.endpoints
            _cost(service.scope_costs(run), scope)
            service.start_verify(run, scope)
            return str(run)

        return driving.drive(service, options, start)


def report(options: argparse.Namespace) -> int:
    if (options.run is None) == (options.check is None) or (options.check is not None and options.output):
        raise ConfigError("report takes a run, or --check FILE", fix="see: python -m migrator report --help", code="bad_usage")
    if options.check is not None:
        return _check(options)
    with closing(Service()) as service:
        try:
            path = service.report(options.run, Path(options.output) if options.output else None)
        except OSError as error:
            raise ConfigError(f"{options.output} cannot be written: {error.strerror}", fix="give another -o FILE", code="output_unwritable") from None
    output.show({"run": options.run, "report": str(path)}, lambda answer: answer["report"], as_json=options.json)
    return 0


def _cost(costs: Sequence[Mapping[str, Any]], scope: Scope) -> None:
    """Say on stderr what the proof is going to read."""
    for cost in costs:
        if cost["level"] == scope.level:
            of = f"a sample of {scope.sample} of this, at most: " if scope.sample else ""
            sys.stderr.write(f"{of}{cost['sentence']}\n")


def _check(options: argparse.Namespace) -> int:
    """Say whether a report file is as it was made; 1 when it was altered."""
    with closing(Service()) as service:
        found = service.check_report(Path(options.check))
    output.show(found | {"report": options.check}, _confirmation, as_json=options.json)
    return 0 if found["intact"] else 1


def _confirmation(found: dict[str, Any]) -> str:
    lines = [found["message"] if found["intact"] else f"altered: {found['message']}"]
    lines += [f"  run {found['run']}, verdict {found['verdict']}, fingerprint {found['fingerprint']}"] if found["intact"] else []
    return "\n".join(lines)
