"""Where everything of an installation lies."""

import os
from pathlib import Path


def default_home() -> Path:
    """Return the folder of the ledger, run files and uploads: ``MIGRATOR_HOME``, or ``~/.vector-migrator``."""
    return Path(os.environ.get("MIGRATOR_HOME") or Path.home() / ".vector-migrator")
