"""The commands that change a target after a run: repair and rollback."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

from migrator.cli import driving, output
from migrator.errors import ConfigError
from migrator.service import Service

if TYPE_CHECKING:
    import argparse


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
        output.show(driving.outcome(service, options.run, status), output.result, as_json=options.json)
        return driving.EXIT_CODES[status["status"]]
