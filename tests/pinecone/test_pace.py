"""The pace, in simulated time: near the store's limit, obedient to Retry-After, free where there is no limit."""

from __future__ import annotations

import heapq

import pytest

from migrator.connectors.pinecone import pace as pacing
from migrator.connectors.pinecone.pace import Pace
from migrator.errors import PermanentError, RateLimitedError

LIMIT = 50e6


class Bucket:
    """A token bucket of a second's worth that answers 429: with so many seconds to wait, or with exactly those until it holds enough again."""

    def __init__(self, now, limit, retry_after):
        self.now, self.limit, self.tokens, self.at, self.retry_after = now, limit, limit, now(), retry_after
        self.taken = self.refused = 0

    def send(self, cost):
        now = self.now()
        self.tokens, self.at = min(self.limit, self.tokens + (now - self.at) * self.limit), now
        if cost > self.tokens:
            self.refused += 1
            raise RateLimitedError("slow down", retry_after=self.retry_after or (cost - self.tokens) / self.limit)
        self.tokens -= cost
        self.taken += cost


def simulate(seconds, senders, request, service, limit=LIMIT, retry_after=1.0, others=()):
    """Run ``senders`` loops in one thread, each a generator that yields how long it sleeps; return the bucket.

    In the first seconds, so many as each of ``others``, somebody else takes all there is.
    """
    clock = [0.0]
    pace = Pace(lambda: clock[0], sleep=None)
    bucket = Bucket(lambda: clock[0], limit, retry_after)
    loops = [*(hog(bucket, until) for until in others), *(sender(pace, bucket, request, service) for _ in range(senders))]
    waiting = [(0.0, number, loop) for number, loop in enumerate(loops)]
    while waiting:
        clock[0], number, loop = heapq.heappop(waiting)
        pause = next(loop, None) if clock[0] < seconds else None
        if pause is not None:
            heapq.heappush(waiting, (clock[0] + pause, number, loop))
    return bucket


def sender(pace, bucket, request, service):
    """Do what ``Pace.run`` does, over and over."""
    refusals = 0
    while True:
        while (wait := pace._turn(request)) > 0:
            yield wait
        yield service
        try:
            bucket.send(request)
        except RateLimitedError as error:
            yield pace._refused(error, request, refusals)
            refusals += 1
        else:
            pace._note(request)
            refusals = 0


def hog(bucket, until):
    while bucket.now() < until:
        bucket.tokens, bucket.at = 0.0, bucket.now()
        yield 0.01


@pytest.mark.parametrize("senders", [2, 4, 16])
@pytest.mark.parametrize("service", [0.002, 0.05])
def test_ninety_percent_of_the_limit(senders, service):
    request = 2e6
    bucket = simulate(120, senders, request, service)
    possible = min(LIMIT, senders * request / service) * 120
    assert bucket.taken >= 0.9 * possible
    assert bucket.refused * request < 0.1 * possible


@pytest.mark.parametrize("retry_after", [None, 1.0])
@pytest.mark.parametrize("senders", [2, 8, 16])
@pytest.mark.parametrize("service", [0.002, 0.008])
def test_a_burst_is_not_taken_for_the_rate(senders, service, retry_after):
    """A whole second's worth of small requests passes in a fraction of it; what is refused after that stays the exception."""
    bucket = simulate(30, senders, 1, service, 200, retry_after)
    assert bucket.taken >= 0.95 * 200 * 30
    assert bucket.refused < 0.04 * bucket.taken


@pytest.mark.parametrize("senders", [4, 8, 16])
def test_a_store_that_makes_everybody_wait_long_is_not_taken_for_a_slow_one(senders):
    bucket = simulate(60, senders, 2e6, 0.008, retry_after=3.0)
    assert bucket.taken >= 0.9 * LIMIT * 60


@pytest.mark.parametrize("retry_after", [None, 1.0])
@pytest.mark.parametrize(("request_", "limit"), [(1, 200), (2e6, LIMIT)])
@pytest.mark.parametrize("until", [0.5, 20])
def test_what_somebody_else_took_is_had_again_soon_after(until, request_, limit, retry_after):
    """The first answers are refusals, and for a while nothing at all gets through."""
    bucket = simulate(until + 30, 4, request_, 0.008, limit, retry_after, others=[until])
    assert bucket.taken >= 0.6 * limit * 30
    assert simulate(until, 4, request_, 0.008, limit, retry_after, others=[until]).refused < 100 + 10 * until


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


def test_idleness_does_not_use_up_patience():
    clock, answers = [0.0], [None, RateLimitedError("x", retry_after=1.0), None]

    def sleep(seconds):
        clock[0] += seconds

    def action():
        if (error := answers.pop(0)) is not None:
            raise error
        return "done"

    pace = Pace(lambda: clock[0], sleep)
    assert pace.run(action) == "done"
    clock[0] += 2 * pacing.PATIENCE
    assert pace.run(action) == "done"


def test_patience_ends():
    clock = [0.0]

    def sleep(seconds):
        clock[0] += seconds

    def refused():
        raise RateLimitedError("never", retry_after=20.0)

    with pytest.raises(RateLimitedError):
        Pace(lambda: clock[0], sleep).run(refused)
    assert clock[0] > pacing.PATIENCE
