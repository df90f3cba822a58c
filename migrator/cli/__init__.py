"""The command line: the service's verbs, with progress on stderr and one JSON object on stdout when asked."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING

from migrator.cli import output
from migrator.cli.commands import COMMANDS
from migrator.cli.parser import build_parser
from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see ``--help``)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    try:
        options = build_parser().parse_args(words)
        return COMMANDS[options.command](options)
    except MigratorError as error:
        output.show_error(error.to_json(), as_json=as_json)
        return error.exit_code
    except KeyboardInterrupt:
        output.show_error({"code": "interrupted", "message": "interrupted", "fix": ""}, as_json=as_json)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more: end quietly, as other tools do
        return 0
    except Exception as error:  # noqa: BLE001 - a defect of ours: one line for the user, the traceback in a file for the report
        output.show_error(_defect(error), as_json=as_json)
        return 3


def _defect(error: Exception) -> dict[str, str]:
    with tempfile.NamedTemporaryFile("w", prefix="vector-migrator-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(error)))
    return {"code": "internal_error", "message": f"internal error: {error!r}", "fix": f"report it with the file {file.name}"}
