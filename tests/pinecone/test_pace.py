"""The pace, in simulated time: near the store's limit, obedient to Retry-After, free where there is no limit."""

from __future__ import annotations

import heapq

import pytest

from migrator.connectors.pinecone import pace as pacing
from migrator.connectors.pinecone.pace import Pace
from migrator.errors import PermanentError, RateLimitedError

LIMIT = 50e6


class Bucket:
    """A token bucket of a second's worth that answers 429 with whole seconds, as production does."""

    def __init__(self, now, limit=LIMIT):
        self.now, self.limit, self.tokens, self.at = now, limit, limit, now()
        self.taken = self.refused = 0

    def send(self, cost):
        now = self.now()
        self.tokens, self.at = min(self.limit, self.tokens + (now - self.at) * self.limit), now
        if cost > self.tokens:
            self.refused += 1
            raise RateLimitedError("slow down", retry_after=1.0)
        self.tokens -= cost
        self.taken += cost


def simulate(seconds, senders, request, service):
    """Run ``senders`` loops in one thread, each a generator that yields how long it sleeps; return the bucket."""
    clock = [0.0]
    pace = Pace(lambda: clock[0], sleep=None)
    bucket = Bucket(lambda: clock[0])

    def sender():
        while True:
            while (wait := pace._turn(request)) > 0:
                yield wait
            yield service
            try:
                bucket.send(request)
            except RateLimitedError as error:
                pace._slow_down()
                yield error.retry_after
            else:
                pace._note(request)

    waiting = [(0.0, number, sender()) for number in range(senders)]
    while waiting:
        clock[0], number, loop = heapq.heappop(waiting)
        if clock[0] < seconds:
            heapq.heappush(waiting, (clock[0] + next(loop), number, loop))
    return bucket


@pytest.mark.parametrize("senders", [2, 4, 16])
@pytest.mark.parametrize("service", [0.002, 0.05])
def test_ninety_percent_of_the_limit(senders, service):
    request = 2e6
    bucket = simulate(120, senders, request, service)
    possible = min(LIMIT, senders * request / service) * 120
    assert bucket.taken >= 0.9 * possible
    assert bucket.refused * request < 0.1 * possible


def test_without_a_limit_nothing_waits():
    slept = []
    pace = Pace(sleep=slept.append)
    assert [pace.run(lambda: 7, 1e9) for _ in range(5)] == [7] * 5
    assert slept == []


def test_it_waits_as_long_as_it_is_told_and_then_tries_again():
    slept, answers = [], [RateLimitedError("x", retry_after=3.0), RateLimitedError("x"), None]
    clock = [0.0]

    def sleep(seconds):
        slept.append(seconds)
        clock[0] += seconds

    def action():
        if (error := answers.pop(0)) is not None:
            raise error
        return "done"

    assert Pace(lambda: clock[0], sleep).run(action) == "done"
    assert slept[0] == 3.0
    assert slept[1] > 0


def test_other_errors_pass():
    with pytest.raises(PermanentError):
        Pace().run(lambda: (_ for _ in ()).throw(PermanentError("no")))


def test_patience_ends():
    clock = [0.0]

    def sleep(seconds):
        clock[0] += seconds

    def refused():
        raise RateLimitedError("never", retry_after=20.0)

    with pytest.raises(RateLimitedError):
        Pace(lambda: clock[0], sleep).run(refused)
    assert clock[0] > pacing.PATIENCE
