"""The commands of the proof."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.cli import driving, output
from migrator.errors import ConfigError
from migrator.service import Service

if TYPE_CHECKING:
    import argparse


def verify(options: argparse.Namespace) -> int:
    if len(options.endpoints) > 2:
        raise ConfigError("verify takes a run, or a source and a target", fix="quote each endpoint", code="bad_usage")
    with closing(Service()) as service:

        def start() -> str:
            if len(options.endpoints) == 2:
                source, target = options.endpoints
                return service.start_verify_pair(source, target, driving.plan_options(options))
            service.start_verify(options.endpoints[0])
            return str(options.endpoints[0])

        return driving.drive(service, options, start)


def report(options: argparse.Namespace) -> int:
    with closing(Service()) as service:
        try:
            path = service.report(options.run, Path(options.output) if options.output else None)
        except OSError as error:
            raise ConfigError(f"{options.output} cannot be written: {error.strerror}", fix="give another -o FILE", code="output_unwritable") from None
    output.show({"run": options.run, "report": str(path)}, lambda answer: answer["report"], as_json=options.json)
    return 0
