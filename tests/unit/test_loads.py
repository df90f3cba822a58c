"""Many bulk loads of one run: so many at once, each started once, whatever the store forgets and whenever the run is killed."""

from __future__ import annotations

import pytest

from migrator.errors import PermanentError, RunBusyError, TransientError
from migrator.model import LoadProgress, LoadUnit
from migrator.staging import load
from migrator.staging.notes import Notes
from migrator.staging.watch import Watch

UNITS = [LoadUnit(f"s3://bucket/{name}", records=10) for name in "abcde"]


class Store:
    """Loads each unit in a number of looks; remembers how many loads went on at once."""

    def __init__(self, looks=2):
        self.looks = looks
        self.begun: list[tuple[str, str]] = []
        self.left: dict[str, int] = {}
        self.fails: list[str] = []
        self.forgets: set[str] = set()
        self.at_once = 0
        self.cancelled: list[str] = []
        self.dies: dict[str, Exception] = {}

    def load(self, unit):
        job = f"{unit.address[-1]}{len(self.begun)}"
        self.begun.append((unit.address, job))
        self.left[job] = self.looks
        self.at_once = max(self.at_once, sum(left > 0 for left in self.left.values()))
        if error := self.dies.pop(unit.address[-1], None):
            raise error
        return job

    def loads(self, unit):
        return [job for address, job in reversed(self.begun) if address == unit.address and job not in self.forgets]

    def poll(self, job):
        if job in self.forgets:
            raise PermanentError(f"job {job} is not known", fix="", code="not_found")
        if job[0] in self.fails:
            self.fails.remove(job[0])
            self.left[job] = 0
            raise PermanentError(f"job {job} failed: bad luck", fix="", code="import_failed")
        self.left[job] = max(0, self.left[job] - 1)
        done = not self.left[job]
        return LoadProgress(done, 1.0 if done else 0.5, 10 if done else 5)

    def cancel(self, job):
        self.cancelled.append(job)


@pytest.fixture
def watch(tmp_path):
    """Return a function that makes the watch of a run, whose note stays between attempts."""

    def make(cancelled=lambda: False, saw=lambda *_: None):
        return Watch(tmp_path / "import.json", lambda _seconds: None, lambda *_: None, lambda _doing, action: action(), saw, cancelled)

    return make


def test_all_are_loaded_once_and_no_more_than_asked_for_at_a_time(watch):
    store, seen = Store(looks=3), []
    assert load.load(store, UNITS, watch(saw=lambda job, progress: seen.append((job, progress))), at_once=2) == 50
    assert [address for address, _ in store.begun] == [unit.address for unit in UNITS]
    assert store.at_once == 2
    shares = [progress.share for _, progress in seen]
    assert shares == sorted(shares)
    assert {job for job, _ in seen} == {"a0 and 4 more"}
    assert seen[-1][1] == LoadProgress(done=True, share=1.0, records=50)


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_a_start_whose_answer_was_lost_is_found_again(watch, at_once):
    store = Store()
    store.dies["c"] = TransientError("the answer was lost")
    with pytest.raises(TransientError):
        load.load(store, UNITS, watch(), at_once)
    assert load.load(store, UNITS, watch(), at_once) == 50
    assert sorted(address for address, _ in store.begun) == [unit.address for unit in UNITS]


def test_what_is_done_is_not_asked_for_again(watch):
    store = Store()
    assert load.load(store, UNITS, watch()) == 50
    store.forgets = {job for _, job in store.begun}
    assert load.load(store, UNITS, watch()) == 50
    assert len(store.begun) == 5


def test_a_failed_part_is_started_once_more(watch):
    store = Store()
    store.fails = ["b"]
    assert load.load(store, UNITS, watch(), 2) == 50
    assert len(store.begun) == 6


def test_a_part_that_fails_twice_ends_the_run_and_can_be_resumed(watch):
    store = Store()
    store.fails = ["b", "b"]
    with pytest.raises(PermanentError, match="bad luck"):
        load.load(store, UNITS, watch(), 2)
    assert load.load(store, UNITS, watch(), 2) == 50
    assert [address[-1] for address, _ in store.begun].count("a") == 1


@pytest.mark.parametrize(("there", "starts"), [(True, 1), (False, 2)])
def test_a_job_the_store_has_forgotten_is_judged_by_the_records(watch, there, starts):
    store = Store(looks=99)
    store.dies["a"] = TransientError("killed")
    with pytest.raises(TransientError):
        load.load(store, UNITS[:1], watch())
    store.forgets, store.looks = {"a0"}, 1
    assert load.load(store, UNITS[:1], watch(), arrived=lambda _: there) == 10
    assert len(store.begun) == starts


def test_a_known_job_the_store_has_forgotten_is_judged_by_the_records(watch):
    store = Store(looks=99)
    with pytest.raises(KeyboardInterrupt):
        load.load(store, UNITS[:1], Watch(watch().note, interrupted, lambda *_: None, lambda _doing, action: action(), lambda *_: None, lambda: False))
    assert Notes.read(watch().note).units[UNITS[0].address].job == "a0"
    store.forgets = {"a0"}
    assert load.load(store, UNITS[:1], watch(), arrived=lambda _: True) == 10
    assert len(store.begun) == 1


def interrupted(_seconds):
    raise KeyboardInterrupt


def test_files_that_somebody_else_is_loading_are_refused(watch):
    store = Store(looks=99)
    store.load(UNITS[1])
    with pytest.raises(RunBusyError, match="b0 loads"):
        load.load(store, UNITS, watch(), 5)
    assert [address[-1] for address, _ in store.begun].count("b") == 1


def test_a_cancelled_run_cancels_what_it_began(watch):
    store = Store(looks=99)

    def rest(_seconds):
        raise TransientError("stop")

    stopping = Watch(watch().note, rest, lambda *_: None, lambda _doing, action: action(), lambda *_: None, lambda: True)
    with pytest.raises(TransientError):
        load.load(store, UNITS, stopping, 2)
    assert store.cancelled == ["a0", "b1"]
