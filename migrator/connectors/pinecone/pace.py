"""How fast to send: unhindered until the store asks to slow down, then just below the rate at which it did.

Pinecone limits what a namespace takes (50 MB/s) and how often an index is asked, and answers what is above with 429 and a ``Retry-After``
of whole seconds. Sending at full speed and obeying it would spend half the time waiting; so the first 429 sets a rate, additive growth
looks for more, and each further 429 takes a share off.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, TypeVar

from migrator.errors import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

PATIENCE = 600.0
"""Seconds without a single success after which being asked to slow down is a failure."""
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 30.0
_DECREASE = 0.9
_GROWTH_A_SECOND = 0.004
"""Share of the rate added each second."""
_CALM = 2.0
"""Seconds in which several 429 count as one: those in flight meet the same full bucket."""
_MEASURED = 3.0
"""Seconds over which the achieved rate is measured."""
_BURST = 0.25
"""Seconds' worth that may be sent at once after a pause."""


class Pace:
    """The rate of one kind of request (in bytes or in requests a second), shared by all threads that send it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self.rate: float | None = None
        """Cost a second; None is unhindered."""
        self._allowance = 0.0
        self._counted = clock()
        self._slowed = float("-inf")
        self._succeeded = clock()
        self._done: deque[tuple[float, float]] = deque()

    def run(self, action: Callable[[], T], cost: float = 1.0) -> T:
        """Return ``action()``, waiting for its turn; it is called again whenever the store asks to slow down."""
        pause = _FIRST_PAUSE
        while True:
            while (wait := self._turn(cost)) > 0:
                self._sleep(wait)
            try:
                answer = action()
            except RateLimitedError as error:
                self._slow_down()
                if self._clock() - self._succeeded > PATIENCE:
                    raise
                self._sleep(min(_LONGEST_PAUSE, pause if error.retry_after is None else error.retry_after))
                pause = min(_LONGEST_PAUSE, pause * 2)
            else:
                self._note(cost)
                return answer

    def _turn(self, cost: float) -> float:
        """Take ``cost`` off the allowance and return 0, or return how long to wait before asking again."""
        with self._lock:
            now = self._clock()
            if self.rate is None:
                return 0.0
            passed, self._counted = now - self._counted, now
            self.rate *= 1 + _GROWTH_A_SECOND * min(passed, 1.0)
            self._allowance = min(self._allowance + passed * self.rate, max(self.rate * _BURST, cost))
            if self._allowance >= min(cost, self.rate * _BURST):
                self._allowance -= cost
                return 0.0
            return (min(cost, self.rate * _BURST) - self._allowance) / self.rate

    def _slow_down(self) -> None:
        with self._lock:
            now = self._clock()
            if now - self._slowed < _CALM:
                return
            self._slowed = now
            achieved = self._achieved(now)
            self.rate = max(achieved if self.rate is None else self.rate * _DECREASE, 1.0)
            self._counted, self._allowance = now, min(self._allowance, 0.0)

    def _note(self, cost: float) -> None:
        with self._lock:
            now = self._clock()
            self._succeeded = now
            self._done.append((now, cost))
            while self._done[0][0] < now - _MEASURED:
                self._done.popleft()

    def _achieved(self, now: float) -> float:
        """Return what got through a second, lately."""
        recent = [(when, cost) for when, cost in self._done if when >= now - _MEASURED]
        span = max(now - recent[0][0], 0.5) if recent else 1.0
        return sum(cost for _, cost in recent) / span
