"""The one owner of retrying: transient errors again, with growing jittered pauses, until they pass or patience ends."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

from migrator.errors import RateLimitedError, TransientError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

T = TypeVar("T")

ATTEMPTS = 6
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 30.0


def call(action: Callable[[], T], *, stop: threading.Event, on_retry: Callable[[int, float, TransientError], None] | None = None) -> T:
    """Return ``action()``, calling it again after a ``TransientError``, ``ATTEMPTS`` times in all.

    A ``RateLimitedError`` waits as long as the store asked. Once ``stop`` is set no further attempt is made.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except TransientError as error:
            if attempt == ATTEMPTS or stop.is_set():
                raise
            pause = pause_before(attempt, error)
            if on_retry is not None:
                on_retry(attempt, pause, error)
            if stop.wait(pause):
                raise
    raise AssertionError("unreachable")


def iterate(behind: Callable[[T | None], Iterator[T]], *, stop: threading.Event, on_retry: Callable[[float, TransientError], None]) -> Iterator[T]:
    """Yield what ``behind(None)`` yields; after a ``TransientError`` go on with what comes ``behind`` the last item. Ends early once ``stop`` is set."""
    failures, last = 0, None
    while not stop.is_set():
        try:
            for item in behind(last):
                failures, last = 0, item
                yield item
                if stop.is_set():
                    return
        except TransientError as error:
            failures += 1
            if failures >= ATTEMPTS:
                raise
            pause = pause_before(failures, error)
            on_retry(pause, error)
            stop.wait(pause)
        else:
            return


def pause_before(attempt: int, error: TransientError) -> float:
    """Return how many seconds to wait after failed ``attempt`` (counted from 1)."""
    if isinstance(error, RateLimitedError) and error.retry_after is not None:
        return min(error.retry_after, LONGEST_PAUSE * 4)
    return min(FIRST_PAUSE * 2.0 ** (attempt - 1), LONGEST_PAUSE) * random.uniform(0.5, 1.0)
