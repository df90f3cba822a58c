"""``python -m migrator``."""

import signal
import sys


def main() -> int:
    """Run the command line. SIGTERM is an interruption like Ctrl-C, from the first moment on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        from migrator import cli  # noqa: PLC0415 - takes half a second, in which a signal may come
        from migrator.cli import startup  # noqa: PLC0415

        startup.collect_seldom()
        startup.leave_pandas_out()
        return cli.main()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
