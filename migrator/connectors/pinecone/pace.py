"""How fast to send: unhindered until the store asks to slow down, then just below the rate at which it did.

Pinecone limits what a namespace takes (50 MB/s) and how often an index is asked, and answers what is above with 429 and a ``Retry-After``
(of whole seconds over REST). Sending at full speed and obeying it would spend half the time waiting; so the first 429 sets a rate, which then
grows as TCP's does: back to where it was refused, slowly there (CUBIC, RFC 9438), and doubling beyond it as long as nothing is refused (slow start).

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
_SLOWEST = 0.1
"""Seconds from one request to the next at the lowest rate: below it the store's own word counts alone, and how often it was said."""
_EVIDENCE = 4
"""Answers from which on what gets through says anything; with fewer, the rate doubles at once to find out."""
_DECREASE = 0.95
_GROWTH = 0.002
"""CUBIC's C, in shares of the rate that was refused: it is back there after 3 s."""
_DOUBLES = 1.5
"""Seconds in which the rate doubles once it is beyond what was refused without being refused again."""
_MOST_DOUBLINGS = 60
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
        self._trusted = 0.0
        """Seconds for which the rate stays near that."""
        self._allowance = 0.0
        self._counted = clock()
        self._refused_since: float | None = None
        """When the first refusal came after which nothing got through."""
        self._done: deque[tuple[float, float]] = deque()

    @property
    def rate(self) -> float | None:
        """Cost a second to send now; None is unhindered."""
        if self._allowed is None:
            return None
        passed = self._clock() - self._slowed
        if passed < self._trusted:
            return self._allowed * (1 + _GROWTH * (passed - _UNTIL_BACK) ** 3)
        return self._allowed * (2 - _DECREASE) * math.exp2(min((passed - self._trusted) / _DOUBLES, _MOST_DOUBLINGS))

    def run(self, action: Callable[[], T], cost: float = 1.0) -> T:
        """Return ``action()``, waiting for its turn; it is called again whenever the store asks to slow down."""
        refusals = 0
        while True:
            while (wait := self._turn(cost)) > 0:
                self._sleep(wait)
            try:
                answer = action()
            except RateLimitedError as error:
                wait = self._refused(error, cost, refusals)
                since = self._refused_since
                if since is not None and self._clock() - since > PATIENCE:
                    raise
                self._sleep(wait)
                refusals += 1
            else:
                self._note(cost)
                return answer

    def _refused(self, error: RateLimitedError, cost: float, refusals: int) -> float:
        """Lower the rate after a 429 and return the seconds until its request, refused ``refusals`` times before, is sent again."""
        if error.retry_after is None:
            wait = min(_LONGEST_PAUSE, math.ldexp(_FIRST_PAUSE, min(refusals, 10)))
        else:  # it may be a few milliseconds, again and again, where others are served first
            wait = min(_LONGEST_PAUSE, max(error.retry_after, min(_SAVED, math.ldexp(_SHORTEST_PAUSE, min(refusals, 10)))))
        self._slow_down(wait, cost)
        return wait

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

    def _slow_down(self, wait: float, cost: float) -> None:
        with self._lock:
            now, rate = self._clock(), self.rate
            self._refused_since = now if self._refused_since is None else self._refused_since
            if now - self._slowed < _ROUND:
                return
            since = now - _MEASURED if rate is None else self._slowed
            answered = [(when, size) for when, size in self._done if when >= since]
            if rate is None and not answered:  # others took it all: what is allowed cannot be known yet
                return
            got_through = sum(size for _, size in answered)
            trusted = 2 * _UNTIL_BACK if rate is not None and len(answered) >= _EVIDENCE else 0.0
            if rate is None:
                allowed = got_through / max(now - answered[0][0], _SHORTEST_MEASURED)
            elif now - self._slowed < _STORM + wait:
                passed = now - self._slowed
                lost = max(wait - _SAVED, 0.0) if passed > wait else 0.0
                allowed = min(rate, got_through / (passed - lost))
            else:
                allowed = rate
            self._allowed, self._slowed, self._trusted = max(allowed, cost / _SLOWEST), now, trusted
            self._counted, self._allowance = now, min(self._allowance, 0.0)

    def _note(self, cost: float) -> None:
        with self._lock:
            now = self._clock()
            self._refused_since = None
            self._done.append((now, cost))
            while self._done[0][0] < now - _STORM - _LONGEST_PAUSE:
                self._done.popleft()
