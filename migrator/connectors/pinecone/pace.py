"""How fast to send: unhindered until the store asks to slow down, then just below the rate at which it did.

Pinecone limits what a namespace takes (50 MB/s) and how often an index is asked, and answers what is above with 429 and a ``Retry-After``
(of whole seconds over REST). Sending at full speed and obeying it would spend half the time waiting; so the first 429 sets a rate, which then
grows as TCP's CUBIC does (RFC 9438): back to where it was refused, slowly there, and faster the longer nothing is refused beyond it.

The first rate is too high as a rule: stores let a burst through before they refuse. As long as refusals go on coming, though, what gets
through between two of them is exactly what the store allows, and that becomes the rate.
"""

from __future__ import annotations

import math
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
_SHORTEST_PAUSE = 0.005
_SHORTEST_WAIT = 0.001
_DECREASE = 0.95
_GROWTH = 0.002
"""CUBIC's C, in shares of the rate that was refused: it is back there after 3 s, and at three times that after 13 s."""
_ROUND = 0.25
"""Seconds in which several 429 count as one: those in flight meet the same empty bucket."""
_STORM = 2.0
"""Seconds, beside the wait asked for, within which one 429 after another says that the rate is far too high, rather than a little."""
_SAVED = 1.0
"""Seconds' worth that stores save up for senders that wait; what they would have allowed in a longer wait is gone."""
_MEASURED = 3.0
"""Seconds over which it is measured what gets through before the first 429."""
_SHORTEST_MEASURED = 0.2
_BURST = 0.25
"""Seconds' worth that may be sent at once after a pause."""
_UNTIL_BACK = math.cbrt((1 - _DECREASE) / _GROWTH)
"""CUBIC's K: seconds until the rate is what it was when it was refused."""


class Pace:
    """The rate of one kind of request (in bytes or in requests a second), shared by all threads that send it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._allowed: float | None = None
        """Cost a second that the store refused, or was measured to allow, when it last asked to slow down; None is unhindered."""
        self._slowed = float("-inf")
        self._allowance = 0.0
        self._counted = clock()
        self._succeeded = clock()
        self._done: deque[tuple[float, float]] = deque()

    @property
    def rate(self) -> float | None:
        """Cost a second to send now; None is unhindered."""
        if self._allowed is None:
            return None
        return self._allowed * (1 + _GROWTH * (self._clock() - self._slowed - _UNTIL_BACK) ** 3)

    def run(self, action: Callable[[], T], cost: float = 1.0) -> T:
        """Return ``action()``, waiting for its turn; it is called again whenever the store asks to slow down."""
        pause = _FIRST_PAUSE
        while True:
            while (wait := self._turn(cost)) > 0:
                self._sleep(wait)
            try:
                answer = action()
            except RateLimitedError as error:
                wait = min(_LONGEST_PAUSE, pause if error.retry_after is None else max(error.retry_after, _SHORTEST_PAUSE))
                self._slow_down(wait)
                if self._clock() - self._succeeded > PATIENCE:
                    raise
                self._sleep(wait)
                pause = min(_LONGEST_PAUSE, pause * 2)
            else:
                self._note(cost)
                return answer

    def _turn(self, cost: float) -> float:
        """Take ``cost`` off the allowance and return 0, or return how long to wait before asking again."""
        with self._lock:
            now, rate = self._clock(), self.rate
            if rate is None:
                return 0.0
            passed, self._counted = now - self._counted, now
            self._allowance = min(self._allowance + passed * rate, max(rate * _BURST, cost))
            if self._allowance >= min(cost, rate * _BURST):
                self._allowance -= cost
                return 0.0
            return max((min(cost, rate * _BURST) - self._allowance) / rate, _SHORTEST_WAIT)

    def _slow_down(self, wait: float) -> None:
        """Lower the rate after a 429 whose sender will ``wait`` so many seconds."""
        with self._lock:
            now, rate = self._clock(), self.rate
            if now - self._slowed < _ROUND:
                return
            if rate is None:
                lately = [when for when, _ in self._done if when >= now - _MEASURED]
                began = lately[0] if lately else now
                allowed = self._answered(began) / max(now - began, _SHORTEST_MEASURED)
            elif now - self._slowed < _STORM + wait:
                passed = now - self._slowed
                lost = max(wait - _SAVED, 0.0) if passed > wait else 0.0
                allowed = min(rate, self._answered(self._slowed) / (passed - lost))
            else:
                allowed = rate
            self._allowed, self._slowed = max(allowed, 1.0), now
            self._counted, self._allowance = now, min(self._allowance, 0.0)

    def _note(self, cost: float) -> None:
        with self._lock:
            now = self._clock()
            self._succeeded = now
            self._done.append((now, cost))
            while self._done[0][0] < now - _STORM - _LONGEST_PAUSE:
                self._done.popleft()

    def _answered(self, since: float) -> float:
        return sum(cost for when, cost in self._done if when >= since)
