"""The command line: the service's verbs, with progress on stderr and one JSON object on stdout when asked."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from migrator.cli import output
from migrator.cli.commands import COMMANDS
from migrator.cli.parser import build_parser
from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see ``--help``)."""
    options = build_parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options)
    except MigratorError as error:
        output.show_error(error.to_json(), as_json=options.json)
        return error.exit_code
    except KeyboardInterrupt:
        output.show_error({"code": "interrupted", "message": "interrupted", "fix": ""}, as_json=options.json)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more: end quietly, as other tools do
        return 0
