"""Retrying: how often, how long, and when not."""

from __future__ import annotations

import threading
import time

import pytest

from migrator import retry
from migrator.errors import PermanentError, RateLimitedError, TransientError


class Flaky:
    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.fixture
def waits(monkeypatch):
    """Return the pauses made, which take no time."""
    made: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            made.append(timeout)
            return self.is_set()

    made_stop = Stop()
    return made, made_stop


def test_it_goes_on_until_it_succeeds(waits):
    pauses, stop = waits
    flaky = Flaky(TransientError("1"), TransientError("2"))
    assert retry.call(flaky, stop=stop) == "done"
    assert (flaky.calls, len(pauses)) == (3, 2)


def test_patience_ends_with_the_last_error(waits):
    pauses, stop = waits
    flaky = Flaky(*(TransientError(str(number)) for number in range(99)))
    with pytest.raises(TransientError, match=str(retry.ATTEMPTS - 1)):
        retry.call(flaky, stop=stop)
    assert (flaky.calls, len(pauses)) == (retry.ATTEMPTS, retry.ATTEMPTS - 1)


@pytest.mark.parametrize("error", [PermanentError("no"), ValueError("no"), KeyboardInterrupt()])
def test_other_errors_are_not_tried_again(waits, error):
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        retry.call(flaky, stop=waits[1])
    assert flaky.calls == 1


def test_pauses_grow_within_bounds():
    for attempt in range(1, 12):
        full = min(retry.FIRST_PAUSE * 2 ** (attempt - 1), retry.LONGEST_PAUSE)
        found = {retry.pause_before(attempt, TransientError("x")) for _ in range(50)}
        assert full / 2 <= min(found) < max(found) <= full


def test_a_rate_limit_waits_as_long_as_the_store_asked(waits):
    pauses, stop = waits
    retry.call(Flaky(RateLimitedError("slow down", retry_after=7.25), RateLimitedError("slow down", retry_after=100_000)), stop=stop)
    assert pauses == [7.25, 120.0]
    assert retry.pause_before(1, RateLimitedError("slow down")) <= retry.FIRST_PAUSE


def test_a_stop_ends_the_waiting_at_once():
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    flaky = Flaky(*(RateLimitedError("wait", retry_after=60) for _ in range(9)))
    started = time.monotonic()
    with pytest.raises(RateLimitedError):
        retry.call(flaky, stop=stop)
    assert (flaky.calls, time.monotonic() - started < 5) == (1, True)


def test_once_stopped_there_is_one_attempt():
    stop = threading.Event()
    stop.set()
    flaky = Flaky(TransientError("x"))
    with pytest.raises(TransientError):
        retry.call(flaky, stop=stop)
    assert flaky.calls == 1


def test_every_pause_is_told(waits):
    told = []
    retry.call(Flaky(TransientError("a"), TransientError("b")), stop=waits[1], on_retry=lambda *what: told.append(what))
    assert [(attempt, error.message) for attempt, _, error in told] == [(1, "a"), (2, "b")]
    assert [pause for _, pause, _ in told] == waits[0]
