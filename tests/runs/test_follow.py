"""Following a source: what is new, changed and gone arrives; nothing is written to the source; the end is proven."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from migrator.connectors import memory
from migrator.errors import ConfigError, PermanentError, TransientError
from migrator.follow.state import State
from migrator.ledger import progress
from migrator.model import Follow
from migrator.runs import following
from migrator.service import PlanOptions, Service
from tests.runs.conftest import Ended, contents
from tests.runs.test_steering import until
from tests.unit.batches import batch_of, numbered

QUICK = Follow(interval=0.02, deletes=True)


def record(name, value=9.0, namespace="", **metadata):
    return batch_of([{"id": name, "values": [value, 0.5, 0.5], "namespace": namespace, "metadata": metadata or None}])


class Followed:
    """A run that follows ``memory:source`` and is past its first copy."""

    def __init__(self, service, follow=QUICK, target="memory:target", **options) -> None:
        self.service = service
        plan = service.plan("memory:source", target, PlanOptions(**{"batch": 10, "follow": follow, **options}))
        self.run = service.start(plan)
        until(lambda: self.status["phase"] == "following" or self.status["status"] != "running")

    @property
    def status(self):
        return self.service.status(self.run)

    @property
    def follow(self):
        return self.status["follow"]

    def next_pass(self):
        """Wait until a pass that began after this call is complete."""
        seen = self.follow["passes"]
        until(lambda: self.follow["passes"] >= seen + 2 or self.status["status"] != "running")
        assert self.status["status"] == "running", self.status["error"]

    def finish(self) -> Ended:
        self.service.finish_following(self.run)
        return Ended(self.service, self.run)


@pytest.fixture
def source(seed):
    return seed("source", numbered(50), numbered(20, namespace="other"))


def test_new_changed_and_deleted_records_arrive(service, source, collections):
    run = Followed(service)
    source.upsert(record("fresh"))
    source.upsert(record("r3", 3.5, changed=True))
    source.delete(["r7", "r8"], "other")
    run.next_pass()
    assert contents(collections["target"]) == contents(source)
    ended = run.finish()
    assert (str(ended), ended.counts) == ("proven", (69, 69, 0, 0, 0))
    follow = ended.result["follow"]
    assert (follow["new"], follow["changed"], follow["deleted"], follow["lag_records"]) == (1, 1, 2, 0)
    assert [row["pass"] for row in ended.result["passes"]] == list(range(len(ended.result["passes"])))
    assert all(row["counts"]["scanned"] == sum(list(row["counts"].values())[1:]) for row in ended.result["passes"])
    assert ended.status["follow"]["last_pass"]["counts"]["scanned"] == 69


def test_a_pass_sends_only_what_differs_and_never_writes_to_the_source(service, source, collections):
    source.on_write = lambda _number, _batch: pytest.fail("the source was written to")
    run = Followed(service)
    written = []
    collections["target"].on_write = lambda _number, batch: written.extend(batch.column("id").to_pylist())
    before = list(source.rows)
    run.next_pass()
    assert written == []
    assert list(source.rows) == before
    source.append(record("fresh"))
    run.next_pass()
    assert written == ["fresh"]
    assert str(run.finish()) == "proven"


def test_an_emptied_source_does_not_empty_the_target(service, source, collections):
    """An index that was deleted and made anew, or a key of another project, looks like this."""
    followed = Followed(service, Follow(interval=60.0, deletes=True))
    until(lambda: followed.follow["passes"] == 1)  # a pass under way would see half of it gone, and rightly take that away
    source.delete([f"r{n}" for n in range(50)], "")
    source.delete([f"r{n}" for n in range(20)], "other")
    ended = followed.finish()
    assert (str(ended), ended.status["error"]["code"]) == ("failed", "source_emptied")
    assert len(contents(collections["target"])) == 70


def test_without_deletes_gone_records_stay_and_the_result_says_so(service, source, collections):
    run = Followed(service, Follow(interval=0.02))
    source.delete(["r1"], "")
    run.next_pass()
    assert ("", "r1") in contents(collections["target"])
    ended = run.finish()
    assert str(ended) == "differs"
    assert [(row["id"], row["class"]) for row in ended.result["differences"]] == [("r1", "extra")]
    assert {"gone_from_source"} <= {row["code"] for row in ended.result["findings"]}
    assert ended.result["follow"]["last_pass"]["gone"] == 1


def test_a_record_that_was_gone_for_a_while_is_there_again(service, source, collections):
    run = Followed(service)
    row = source.rows[0]
    source.delete(["r0"], "")
    run.next_pass()
    assert ("", "r0") not in contents(collections["target"])
    source.upsert(memory.to_batch([row], 3))
    ended = run.finish()
    assert str(ended) == "proven"
    assert contents(collections["target"]) == contents(source)


def test_new_only_passes_do_not_see_changes_and_say_so(service, source, collections):
    run = Followed(service, Follow(interval=0.02, changes="new"))
    before = contents(collections["target"])
    source.upsert(record("r3", 3.5))
    source.upsert(record("fresh"))
    run.next_pass()
    assert contents(collections["target"]) == before | {("", "fresh"): contents(source)["", "fresh"]}
    ended = run.finish()
    assert str(ended) == "proven"
    assert "changes_not_seen" in [row["code"] for row in ended.result["findings"]]
    service.start_verify(ended.run)
    assert str(Ended(service, ended.run)) == "differs", "read anew, the changed record is seen"


@pytest.mark.parametrize("changes", ["new", "all"])
def test_an_id_that_was_gone_and_comes_back_is_new(service, source, collections, changes):
    run = Followed(service, Follow(interval=0.02, changes=changes))
    source.delete(["r3"], "")
    run.next_pass()
    source.upsert(record("r3", 3.5))
    run.next_pass()
    assert contents(collections["target"]) == contents(source)
    assert str(run.finish()) == "proven"


def test_a_record_whose_routing_changes_leaves_its_old_namespace(service, seed, collections):
    source = seed("source", record("a", kind="x"), record("b", kind="x"))
    run = Followed(service, namespace_from="kind")
    source.upsert(record("a", kind="日本"))
    run.next_pass()
    assert set(contents(collections["target"])) == {("日本", "a"), ("x", "b")}
    assert str(run.finish()) == "proven"


def test_a_record_that_no_longer_matches_the_filter_is_gone(service, source, collections):
    run = Followed(service, filter={"even": True})
    assert len(contents(collections["target"])) == 35
    source.upsert(batch_of([{"id": "r2", "values": [3.0, 0.5, 0.5], "metadata": {"n": 2, "even": False}}]))
    run.next_pass()
    assert ("", "r2") not in contents(collections["target"])
    assert str(run.finish()) == "proven"


def test_foreign_records_of_the_target_are_never_deleted(service, source, seed, collections):
    seed("target", record("foreign"), record("r3", 7.0))
    run = Followed(service, on_conflict="skip")
    source.delete(["r5"], "")
    source.delete(["r3"], "")
    run.next_pass()
    there = contents(collections["target"])
    assert ("", "foreign") in there
    assert ("", "r3") in there, "skipped, so it is the target's own"
    assert ("", "r5") not in there
    assert str(run.finish()) == "proven"


def test_the_rule_for_ids_that_are_there_does_not_hold_for_our_own(service, source, collections):
    run = Followed(service, on_conflict="fail")
    source.upsert(record("r3", 3.5))
    run.next_pass()
    assert contents(collections["target"]) == contents(source)
    assert str(run.finish()) == "proven"


def test_duplicates_and_rejected_records_are_accounted_for_in_every_pass(service, seed, collections):
    source = seed("source", numbered(30), record("r3", 5.0), record("bad", float("nan")))
    run = Followed(service, on_duplicate="first")
    source.append(record("worse", float("inf")))
    source.append(record("fine"))
    run.next_pass()
    ended = run.finish()
    assert (str(ended), ended.counts) == ("incomplete", (34, 31, 2, 0, 1))
    assert {row["id"] for row in ended.result["rejected"]} == {"bad", "worse"}


def test_a_record_that_becomes_invalid_is_not_deleted_from_the_target(service, source, collections):
    run = Followed(service)
    source.upsert(record("r3", float("nan")))
    run.next_pass()
    assert ("", "r3") in contents(collections["target"]), "the source still has it: only its new content cannot be copied"
    assert str(run.finish()) in ("incomplete", "differs")


def test_what_a_scan_missed_is_not_deleted(service, source, collections, monkeypatch):
    run = Followed(service)
    whole = memory.MemoryStore._selected
    hidden = threading.Event()

    def blind(store, split):
        rows = whole(store, split)
        return [(place, row) for place, row in rows if row.id != "r4"] if hidden.is_set() and store._name == "source" else rows

    monkeypatch.setattr(memory.MemoryStore, "_selected", blind)
    hidden.set()
    run.next_pass()
    assert ("", "r4") in contents(collections["target"])
    assert run.follow["last_pass"]["missed"] == 2, "one in each namespace"
    hidden.clear()
    ended = run.finish()
    assert str(ended) == "proven"
    assert contents(collections["target"]) == contents(source)


def test_the_store_may_be_out_of_reach_for_a_pass(service, source, collections, monkeypatch):
    run = Followed(service)
    whole, down = memory.MemoryStore.splits, threading.Event()

    def splits(store, *arguments, **options):
        if down.is_set() and store._name == "source":
            raise TransientError("no answer", fix="try again")
        return whole(store, *arguments, **options)

    monkeypatch.setattr(memory.MemoryStore, "splits", splits)
    down.set()
    until(lambda: "came to nothing" in str(run.status["log"]))
    source.append(record("fresh"))
    down.clear()
    ended = run.finish()
    assert (str(ended), ended.counts[1]) == ("proven", 71)


def test_a_refusal_ends_the_run_and_resuming_follows_on(service, source, collections, monkeypatch):
    run = Followed(service)
    whole = memory.MemoryStore.describe

    def describe(store):
        raise PermanentError("the key was revoked", fix="give another key", code="unauthorized")

    monkeypatch.setattr(memory.MemoryStore, "describe", describe)
    until(lambda: run.status["status"] == "failed")
    assert run.status["error"]["code"] == "unauthorized"
    monkeypatch.setattr(memory.MemoryStore, "describe", whole)
    source.append(record("fresh"))
    service.resume(run.run)
    until(lambda: run.status["phase"] == "following")
    ended = run.finish()
    assert (str(ended), ended.counts[1]) == ("proven", 71)


def test_pausing_is_not_finishing(service, source, collections):
    run = Followed(service)
    service.pause(run.run)
    assert str(Ended(service, run.run)) == "paused"
    with pytest.raises(ConfigError, match="not running"):
        service.finish_following(run.run)
    source.append(record("fresh"))
    service.resume(run.run)
    run.next_pass()
    assert contents(collections["target"]) == contents(source)
    assert str(run.finish()) == "proven"


def test_a_finished_run_can_follow_on(service, source, collections):
    run = Followed(service)
    assert str(run.finish()) == "proven"
    source.append(record("fresh"))
    service.resume(run.run)
    run.next_pass()
    ended = run.finish()
    assert (str(ended), ended.counts[1]) == ("proven", 71)


def test_an_interrupted_run_that_was_told_to_stop_stops_when_resumed(service, source, collections, monkeypatch):
    run = Followed(service)
    ready = threading.Event()
    monkeypatch.setattr(memory.MemoryStore, "finish", lambda _store: ready.wait(20))
    service.finish_following(run.run)
    until(lambda: run.status["phase"] == "finishing")
    service.manager.ask_shutdown()
    ready.set()
    service.manager.wait(run.run, 20)
    with closing(Service(service.home)) as other:
        assert other.status(run.run)["status"] == "interrupted"
        other.resume(run.run)
        assert other.wait(run.run, 20)["status"] == "proven"


def test_a_first_copy_that_was_stopped_goes_on_where_it_was(service, seed, collections):
    seed("source", numbered(300))
    plan = service.plan("memory:source", "memory:target?delay_ms=20", PlanOptions(batch=10, workers=1, follow=QUICK))
    run = service.start(plan)
    until(lambda: service.status(run)["counts"]["copied"] >= 50)
    service.pause(run)
    done = Ended(service, run).counts[1]
    collections["target"].on_write = lambda _number, batch: seen.append(len(batch))
    seen: list[int] = []
    service.resume(run)
    until(lambda: service.status(run)["phase"] == "following")
    service.finish_following(run)
    ended = Ended(service, run)
    assert (str(ended), ended.counts) == ("proven", (300, 300, 0, 0, 0))
    assert sum(seen) <= 300 - done


def test_finishing_makes_passes_until_nothing_differs_but_not_for_ever(service, source, collections, monkeypatch):
    run = Followed(service, Follow(interval=60.0))
    until(lambda: run.follow["passes"] == 1)
    real, count = following.one_pass, []

    def busy(trail):
        count.append(1)
        source.upsert(record("busy", float(len(count))))
        return real(trail)

    monkeypatch.setattr(following, "one_pass", busy)
    ended = run.finish()
    assert len(count) == following.LAST_PASSES
    assert ended.result["follow"]["lag_records"] == 1


def test_only_a_run_that_follows_can_be_told_to_stop(service, seed, copy):
    seed("source", numbered(5))
    with pytest.raises(ConfigError, match="does not follow"):
        service.finish_following(copy().run)


def test_the_lag_is_shown(service, source):
    run = Followed(service, Follow(interval=60.0))
    until(lambda: run.follow["passes"] == 1)
    follow = run.follow
    assert (follow["lag_records"], follow["new"], follow["changed"], follow["deleted"]) == (0, 0, 0, 0)
    assert follow["lag_seconds"] >= 0
    assert run.status["progress"] == 0.75
    service.cancel(run.run)
    service.wait(run.run)


def test_a_state_and_ledger_of_many_passes_do_not_grow(service, source):
    run = Followed(service, Follow(interval=0.0))
    until(lambda: run.follow["passes"] >= 8)
    ledger = service.manager.ledger
    rows = ledger.row("SELECT COUNT(*) AS n FROM checkpoints WHERE run=?", (run.run,))
    assert rows["n"] <= 8
    ended = run.finish()
    folder = service.manager.folder(ended.run) / "follow"
    assert [path.name for path in folder.iterdir()] == ["state.arrow"]
    assert len(State(folder / "state.arrow")) == 70
    progress.audit(ledger, ended.run)


@pytest.mark.parametrize("target", ["parquet:{folder}/out"])
def test_a_target_written_anew_cannot_be_followed_into(service, source, tmp_path, target):
    plan = service.plan("memory:source", target.format(folder=tmp_path), PlanOptions(follow=QUICK))
    assert "follow_unsupported" in [finding.code for finding in plan.findings if finding.severity == "blocking"]


def test_a_filter_on_stamps_cannot_be_followed(service, source):
    plan = service.plan("memory:source", "memory:target", PlanOptions(follow=QUICK, filter={"$or": [{"migrated": {"$ne": True}}]}))
    assert "follow_filters_stamps" in [finding.code for finding in plan.findings if finding.severity == "blocking"]


@pytest.mark.parametrize("interval", [-1.0, float("nan"), float("inf")])
def test_an_interval_must_be_one(service, source, interval):
    with pytest.raises(ConfigError, match="interval"):
        service.plan("memory:source", "memory:target", PlanOptions(follow=Follow(interval=interval)))
