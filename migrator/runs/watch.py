"""Sees to it that an attempt that was asked to stop does: a store that does not answer would keep it for as long as a request may take.

The attempt has a moment to come to a checkpoint by itself; then its requests are ended; and should that not help, it is left behind. What is
under way then is like the last request of a process that was killed: it may arrive or not, nothing depends on it, and it commits nothing.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.runs.context import Attempt

GLANCE_SECONDS = 0.2
GRACE_SECONDS = 2.0
"""For the chunks under way to be written and committed."""
CUT_OFF_SECONDS = 1.5
"""For the attempt to end after its requests were."""


class Watch:
    """Watches one attempt while the ``with`` block drives it. ``leave`` records its end when the block does not come to it."""

    def __init__(self, attempt: Attempt, leave: Callable[[], None]) -> None:
        self._attempt = attempt
        self._leave = leave
        self._over = threading.Event()
        self._claim = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name=f"watch-{attempt.run}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def claim(self) -> bool:
        """Return whether the caller is the first to record how the attempt ended."""
        return self._claim.acquire(blocking=False)

    def _watch(self) -> None:
        try:
            while not self._attempt.asked:
                if self._over.wait(GLANCE_SECONDS):
                    return
                self._attempt.poll()
            if self._over.wait(GRACE_SECONDS):
                return
            self._attempt.cut_requests_off()
            if not self._over.wait(CUT_OFF_SECONDS) and self.claim():
                self._leave()
        except MigratorError:  # the ledger's: the attempt meets it at its next step, and ends with it
            return
