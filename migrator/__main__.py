"""``python -m migrator``."""

import sys

from migrator.cli import main, startup

if __name__ == "__main__":
    startup.leave_pandas_out()
    sys.exit(main())
