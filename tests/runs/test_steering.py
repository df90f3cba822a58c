"""Pausing, cancelling, interrupting and resuming; one process a run; what a killed process leaves."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from migrator import retry
from migrator.connectors import memory
from migrator.errors import ConfigError, LedgerError, RunBusyError
from migrator.ledger import progress
from migrator.ledger import runs as ledger_runs
from migrator.runs import steps
from migrator.service import PlanOptions, Service
from tests.runs.conftest import Ended, contents
from tests.unit.batches import batch_of, numbered


@pytest.fixture
def slow(service, seed):
    """Return the id of a run that has written something and has some seconds to go."""
    seed("source", numbered(1000))
    run = service.start(service.plan("memory:source", "memory:target?delay_ms=100", PlanOptions(batch=10, workers=1)))
    until(lambda: service.status(run)["counts"]["copied"] >= 20)
    return run


def until(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


@pytest.mark.parametrize(("verb", "status"), [("pause", "paused"), ("cancel", "cancelled")])
def test_stopping_keeps_what_was_done_and_resuming_finishes_it(service, slow, collections, verb, status):
    getattr(service, verb)(slow)
    ended = Ended(service, slow)
    assert str(ended) == status
    assert 0 < ended.counts[1] < 1000
    assert len(contents(collections["target"])) == ended.counts[1], "stopping must leave nothing written but uncounted"
    done = ended.counts[1]
    service.resume(slow)
    again = Ended(service, slow)
    assert (str(again), again.counts) == ("proven", (1000, 1000, 0, 0, 0))
    assert contents(collections["target"]) == contents(collections["source"])
    assert again.status["attempt"] == 2
    batches = service.manager.ledger.rows("SELECT scanned FROM checkpoints WHERE run=? ORDER BY at", (slow,))
    assert sum(row["scanned"] for row in batches) == 1000
    assert done >= 20


def test_a_running_run_shows_how_far_it_is(service, slow):
    status = service.status(slow)
    assert (status["status"], status["phase"], status["total"]) == ("running", "copying", 1000)
    assert 0 < status["progress"] < 0.75
    assert status["finished"] is None
    assert set(status["counts"]) == {"scanned", "copied", "rejected", "vanished", "duplicate"}
    assert status["batches"]
    assert json.dumps(status)
    service.cancel(slow)
    service.wait(slow)


def test_what_a_run_was_asked_shows_everywhere_until_it_is_done(seed, service, collections, monkeypatch):
    """Making a target ready can take half a minute, in which nothing can be stopped."""
    seed("source", numbered(50))
    ready = threading.Event()
    monkeypatch.setattr(memory.MemoryStore, "finish", lambda _store: ready.wait(20), raising=False)
    run = service.start(service.plan("memory:source", "memory:target", PlanOptions(batch=10)))
    until(lambda: service.status(run)["phase"] == "finishing")
    assert (service.status(run)["asked"], service.status(run)["shares"]) == (None, {"copied": 1.0, "proved": 0.0})
    service.pause(run)
    with closing(Service(service.home)) as other:
        assert (other.status(run)["asked"], other.runs()[0]["asked"]) == ("pause", "pause")
    ready.set()
    status = service.wait(run, 20)
    assert (status["status"], status["asked"]) == ("paused", None)


def test_the_bar_is_made_of_what_was_copied_and_what_was_proved(service, slow):
    status = service.status(slow)
    assert status["shares"]["proved"] == 0.0
    assert status["shares"]["copied"] == status["counts"]["scanned"] / 1000
    assert status["progress"] == pytest.approx(0.75 * status["shares"]["copied"])
    service.cancel(slow)
    ended = service.wait(slow)
    assert ended["progress"] == pytest.approx(0.75 * ended["counts"]["scanned"] / 1000)


def test_the_bar_never_goes_back_within_an_attempt(seed, service):
    seed("source", numbered(400))
    run = service.start(service.plan("memory:source", "memory:target?delay_ms=5", PlanOptions(batch=10, filter={"even": True})))
    seen = []
    while (status := service.status(run))["status"] == "running":
        seen.append(status["progress"])
    assert [*seen, status["progress"]] == sorted([*seen, status["progress"]])
    assert (status["status"], status["progress"]) == ("proven", 1.0)


def test_a_run_that_ends_while_it_is_looked_at_was_not_interrupted(seed, service, copy, monkeypatch):
    seed("source", numbered(30))
    run = copy().run
    ended = dict(ledger_runs.get(service.manager.ledger, run))
    reads = iter([ended | {"status": "running", "finished": None}])  # what the ledger said just before
    real = ledger_runs.get
    monkeypatch.setattr(ledger_runs, "get", lambda ledger, name: next(reads, None) or real(ledger, name))
    status = service.status(run)
    assert (status["status"], status["progress"]) == ("proven", 1.0)
    assert status["finished"]


def test_a_dry_run_has_a_bar_is_what_it_read(seed, service):
    seed("source", numbered(30))
    run = service.start(service.plan("memory:source", "memory:target"), dry_run=True)
    assert service.wait(run)["progress"] == 1.0


def test_a_second_start_of_a_running_run_is_refused_everywhere(service, slow):
    with pytest.raises(RunBusyError):
        service.resume(slow)
    with closing(Service(service.home)) as other:
        assert other.status(slow)["status"] == "running"
        with pytest.raises(RunBusyError):
            other.resume(slow)
        other.pause(slow)  # steering works from any process
    assert str(Ended(service, slow)) == "paused"


def test_closing_the_service_interrupts_its_runs(service, slow):
    service.manager.interrupt()
    assert str(Ended(service, slow)) == "interrupted"
    service.cancel(slow)
    assert service.status(slow)["status"] == "cancelled"


def test_a_paused_run_can_be_cancelled_but_not_paused(service, slow):
    service.pause(slow)
    service.wait(slow)
    with pytest.raises(ConfigError, match="not running"):
        service.pause(slow)
    service.cancel(slow)
    assert service.status(slow)["status"] == "cancelled"


def test_a_finished_run_cannot_be_resumed_or_cancelled(seed, copy, service):
    seed("source", numbered(5))
    run = copy().run
    for verb in (service.resume, service.cancel, service.pause):
        with pytest.raises(ConfigError):
            verb(run)
    assert service.status(run)["status"] == "proven"


def test_pausing_while_the_store_is_down_pauses(seed, service, monkeypatch):
    monkeypatch.setattr(retry, "FIRST_PAUSE", 30.0)
    seed("source", numbered(50))
    run = service.start(service.plan("memory:source", "memory:target?fail_at=2", PlanOptions(batch=10, workers=1)))
    until(lambda: "again" in str(service.status(run)["log"]))
    service.pause(run)
    ended = Ended(service, run)
    assert (str(ended), ended.status["error"]) == ("paused", None)
    service.resume(run)
    assert str(Ended(service, run)) == "proven"


def test_an_unknown_run_is_named(service):
    for verb in (service.status, service.resume, service.pause, service.cancel, service.result, service.start_verify, service.rejected_file, service.artifacts):
        with pytest.raises(ConfigError, match="nope"):
            verb("nope")


def test_runs_are_listed_newest_first_and_by_owner(seed, service):
    seed("source", numbered(5))
    plan = service.plan("memory:source", "memory:target")
    mine, theirs = service.start(plan, owner="me"), service.start(plan, owner="you")
    for run in (mine, theirs):
        service.wait(run)
    assert [row["run"] for row in service.runs()] == [theirs, mine]
    assert [row["run"] for row in service.runs("me")] == [mine]


def test_an_altered_ledger_stops_a_resumed_run_before_it_writes(service, slow, collections):
    service.pause(slow)
    service.wait(slow)
    with service.manager.ledger.transaction() as db:
        db.execute("UPDATE splits SET cursor='500' WHERE run=?", (slow,))
    writes = collections["target"].writes
    service.resume(slow)
    ended = Ended(service, slow)
    assert (str(ended), ended.status["error"]["code"]) == ("failed", "ledger_damaged")
    assert collections["target"].writes == writes


def test_a_full_disk_ends_the_run_with_one_clear_error_and_resuming_finishes_it(seed, service, collections):
    seed("source", numbered(400))
    ledger = service.manager.ledger

    def fill_up(number, _batch):
        if number == 10:
            ledger._writer.execute(f"PRAGMA max_page_count={ledger._writer.execute('PRAGMA page_count').fetchone()[0]}")

    collections["target"] = memory.Table(3, on_write=fill_up)
    run = service.start(service.plan("memory:source", "memory:target", PlanOptions(batch=2, workers=1)))
    status = service.wait(run, 30)
    assert status["status"] in ("failed", "interrupted")
    assert status["error"]["code"] == "ledger_error"
    assert "full" in status["error"]["message"]
    ledger._writer.execute("PRAGMA max_page_count=1000000")
    collections["target"].on_write = None
    service.resume(run)
    ended = Ended(service, run)
    assert (str(ended), ended.counts) == ("proven", (400, 400, 0, 0, 0))


def test_a_ledger_that_cannot_even_record_the_end_still_says_why(seed, service, collections):
    seed("source", numbered(400))
    ledger = service.manager.ledger

    def read_only(number, _batch):
        if number == 10:
            ledger._writer.execute("PRAGMA query_only=1")

    collections["target"] = memory.Table(3, on_write=read_only)
    run = service.start(service.plan("memory:source", "memory:target", PlanOptions(batch=2, workers=1)))
    status = service.wait(run, 30)
    assert (status["status"], status["error"]["code"]) == ("interrupted", "ledger_error")
    ledger._writer.execute("PRAGMA query_only=0")
    collections["target"].on_write = None
    service.resume(run)
    ended = Ended(service, run)
    assert (str(ended), ended.counts, ended.status["error"]) == ("proven", (400, 400, 0, 0, 0), None)


def test_a_home_that_cannot_be_written_is_one_clear_error(seed, service):
    seed("source", numbered(5))
    plan = service.plan("memory:source", "memory:target")
    (service.home / "runs").write_text("in the way")
    with pytest.raises(LedgerError):
        service.start(plan)


@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_the_list_of_repeated_ids_is_made_again_when_it_is_damaged(seed, service, collections, damage, monkeypatch):
    seed("source", numbered(100), batch_of([{"id": "r3", "values": [9.0, 9.0, 9.0]}]))
    plan = service.plan("memory:source", "memory:target?refuse_at=5", PlanOptions(batch=10, workers=1, on_duplicate="last"))
    run = service.start(plan)
    assert service.wait(run)["status"] == "failed"
    kept = service.manager.folder(run) / "repeats.npy"
    if damage == "missing":
        kept.unlink()
    else:
        kept.write_bytes(b"")
    service.resume(run)
    ended = Ended(service, run)
    assert (str(ended), ended.counts) == ("proven", (101, 100, 0, 0, 1))


def test_a_source_that_changed_is_not_resumed_over(service, slow, collections, monkeypatch):
    service.pause(slow)
    service.wait(slow)
    real = memory.MemoryStore.describe

    with service.manager.ledger.transaction() as db:
        facts = json.loads(db.execute("SELECT facts FROM runs WHERE run=?", (slow,)).fetchone()[0])
        facts["source"]["version"] = "v1"
        db.execute("UPDATE runs SET facts=? WHERE run=?", (json.dumps(facts), slow))
    monkeypatch.setattr(memory.MemoryStore, "describe", lambda store: dataclasses.replace(real(store), version="v2"))
    writes = collections["target"].writes
    service.resume(slow)
    ended = Ended(service, slow)
    assert (str(ended), ended.status["error"]["code"]) == ("failed", "source_changed")
    assert collections["target"].writes == writes


def test_a_defect_of_ours_ends_as_a_failed_run_with_its_traceback_in_a_file(seed, service, monkeypatch):
    seed("source", numbered(5))

    def broken(*_):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(steps, "count_again", broken)
    run = service.start(service.plan("memory:source", "memory:target"))
    ended = Ended(service, run)
    assert (str(ended), ended.status["error"]["code"]) == ("failed", "internal_error")
    assert "oops" in (service.manager.folder(run) / "traceback.txt").read_text()
    assert "Traceback" not in json.dumps(ended.status)


# -- several processes

CHILD = """
import os, sys, threading
from pathlib import Path
from migrator.connectors import memory
from migrator.service import PlanOptions, Service
from tests.unit.batches import numbered
table = memory.COLLECTIONS["source"] = memory.Table(3)
table.append(numbered(2000))
service = Service(Path(sys.argv[1]))
run = service.start(service.plan("memory:source", "memory:target?delay_ms=100", PlanOptions(batch=10, workers=1)))
while service.status(run)["counts"]["copied"] < 20:
    pass
print(run, flush=True)
print(service.wait(run)["status"], flush=True)
"""


@pytest.fixture
def child(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "home")], stdout=subprocess.PIPE, text=True)
    yield process
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_another_process_may_watch_and_steer_but_not_run(child, tmp_path):
    run = child.stdout.readline().strip()
    with closing(Service(tmp_path / "home")) as service:
        assert service.status(run)["status"] == "running"
        with pytest.raises(RunBusyError):
            service.resume(run)
        service.pause(run)
        assert child.stdout.readline().strip() == "paused"
        assert service.status(run)["status"] == "paused"


def test_a_killed_process_leaves_an_interrupted_run_that_anyone_can_take_over(child, tmp_path, seed, collections):
    run = child.stdout.readline().strip()
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    seed("source", numbered(2000))
    with closing(Service(tmp_path / "home")) as service:
        status = service.status(run)
        assert status["status"] == "interrupted"
        assert 20 <= status["counts"]["copied"] < 2000
        progress.audit(service.manager.ledger, run)
        service.resume(run)
        # its memory died with it, so what it wrote is gone
        assert Ended(service, run).status["error"]["code"] == "target_gone"
        seed("target")
        service.resume(run)
        ended = Ended(service, run)
        # in one made anew the proof must say so rather than trust the ledger
        assert str(ended) == "differs"
        assert ended.counts == (2000, 2000, 0, 0, 0)
        assert {row["class"] for row in ended.result["differences"]} == {"missing"}
        assert sum(row["missing"] for row in ended.result["namespaces"].values()) == status["counts"]["copied"]


def test_a_run_taken_over_may_not_commit_any_more(service, slow):
    """The lock is lost without the process dying (a network file system may do that): the epoch still protects the ledger."""
    with service.manager.ledger.transaction() as db:
        db.execute("UPDATE runs SET epoch=epoch+1 WHERE run=?", (slow,))
    before = service.status(slow)["counts"]
    service.manager.wait(slow, 20)
    assert not any(thread.name == f"run-{slow}" for thread in threading.enumerate())
    after = service.status(slow)["counts"]
    assert after["copied"] - before["copied"] <= 10


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
@pytest.mark.parametrize(("yielding", "nice"), [(True, 10), (False, 0)])
def test_the_runs_of_a_dashboard_let_others_go_first(seed, tmp_path, yielding, nice):
    seed("source", numbered(30))
    target = seed("target")
    seen = set()
    target.on_write = lambda _number, _batch: seen.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    with closing(Service(tmp_path / "own", yielding=yielding)) as service:
        before = os.getpriority(os.PRIO_PROCESS, 0)
        ended = Ended(service, service.start(service.plan("memory:source", "memory:target", PlanOptions(batch=10))))
        assert (str(ended), seen) == ("proven", {before + nice})
        assert os.getpriority(os.PRIO_PROCESS, 0) == before
