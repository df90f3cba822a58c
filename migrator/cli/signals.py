"""Ctrl-C and SIGTERM while a run goes: stop after the current batches, or without them when the store hangs, so that it can be resumed."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.service import Service


@contextmanager
def interruptible(service: Service) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the run after its current chunks; a second one ends the process at once."""
    signals = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.getsignal(name) for name in signals]

    def restore() -> None:
        for name, handler in zip(signals, previous, strict=True):
            signal.signal(name, handler)

    def interrupt(number: int, _frame: Any) -> None:
        restore()
        sys.stderr.write(f"\nstopping after the current batches ({signal.Signals(number).name}) …\n")
        service.manager.ask_shutdown()

    for name in signals:
        signal.signal(name, interrupt)
    try:
        yield
    except KeyboardInterrupt:  # the second one
        service.close()
        ended(service, 130)
        raise
    finally:
        restore()


def ended(service: Service, code: int) -> int:
    """Return the exit ``code`` of a run; end the process here if requests without an answer are under way, for whose threads Python would wait."""
    if service.manager.hanging:
        service.close()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
