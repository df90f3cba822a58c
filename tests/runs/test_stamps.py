"""Stamps: set in the source after the commit, never in the target, and removed to the last one."""

from __future__ import annotations

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import stamps
from migrator.connectors import memory
from migrator.errors import PlanError, TransientError
from migrator.model import Follow
from migrator.records import parse_json
from migrator.service import PlanOptions
from tests.runs.conftest import Ended, contents
from tests.runs.test_follow import Followed, record
from tests.runs.test_steering import until
from tests.unit import batches
from tests.unit.batches import batch_of, numbered


def stamped(table) -> set[tuple[str, str]]:
    return {(row.namespace, row.id) for row in table.live() if row.metadata and stamps.is_stamped(parse_json(row.metadata))}


def test_copied_records_are_stamped_and_nothing_else_of_them_changes(seed, copy, collections):
    source = seed("source", numbered(25), record("bare"), record("bad", float("nan")))
    before = contents(source)
    ended = copy(stamp=True)
    assert (str(ended), ended.counts) == ("incomplete", (27, 26, 1, 0, 0))
    assert stamped(source) == {name for name in before if name[1] != "bad"}
    moments = {parse_json(row.metadata)["migrated_at"] for row in source.live() if row.id != "bad"}
    assert all(re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", moment) for moment in moments)
    assert {name: found for name, found in before.items() if name[1] != "bad"} == contents(collections["target"])
    for row in source.live():
        assert row.values.tobytes() == before[row.namespace, row.id][0]


def test_stamps_of_an_earlier_run_reach_no_target_and_the_source_still_proves_equal(seed, copy, service, collections):
    source = seed("source", numbered(25), record("bare"))
    before = contents(source)
    assert str(copy(stamp=True)) == "proven"
    assert str(copy(target="memory:second")) == "proven"
    assert contents(collections["second"]) == before
    assert str(Ended(service, service.start_verify_pair("memory:source", "memory:second"))) == "proven"
    copied = service.runs()[1]["run"]
    service.start_verify(copied)
    assert str(Ended(service, copied)) == "proven"
    assert service.difference(copied, "", "bare")["source"]["metadata"] is None


def test_a_stamp_in_the_target_is_a_difference(seed, copy, service, collections):
    seed("source", numbered(5))
    run = copy().run
    memory.MemoryStore(service.manager.plan(run).target).stamp(["r1"], "", stamps.stamp_now())
    service.start_verify(run)
    ended = Ended(service, run)
    assert [(row["id"], row["fields"]) for row in ended.result["differences"]] == [("r1", ["metadata.migrated", "metadata.migrated_at"])]


def test_only_selected_records_are_stamped_under_their_own_names(seed, copy):
    source = seed("source", numbered(10, namespace="a"), numbered(10, namespace="b"))
    assert str(copy(stamp=True, namespaces=("a",), filter={"even": True}, target_namespace="x")) == "proven"
    assert stamped(source) == {("a", f"r{n}") for n in range(0, 10, 2)}


def test_a_record_kept_back_as_a_duplicate_or_skipped_is_not_stamped(seed, copy):
    source = seed("source", numbered(10))
    seed("target", record("r3", 7.0))
    ended = copy(stamp=True, on_conflict="skip")
    assert ended.counts == (10, 9, 0, 0, 1)
    assert ("", "r3") not in stamped(source)


def test_a_refused_record_is_not_stamped(seed, copy):
    source = seed("source", numbered(10))
    assert copy(target="memory:target?refuse_id=r4", stamp=True).counts == (10, 9, 1, 0, 0)
    assert stamped(source) == {("", f"r{n}") for n in range(10) if n != 4}


def test_following_stamps_what_each_pass_sends_and_settles(seed, service, collections):
    source = seed("source", numbered(20))
    run = Followed(service, Follow(interval=0.02, deletes=True), stamp=True)
    source.append(record("fresh"))
    source.upsert(record("r3", 3.5))
    run.next_pass()
    ended = run.finish()
    assert str(ended) == "proven"
    assert ended.result["follow"]["lag_records"] == 0, "a stamp is no change"
    assert len(stamped(source)) == 21
    assert stamped(collections["target"]) == set()


def test_a_store_that_loses_stamps_is_asked_again(seed, copy, monkeypatch):
    source = seed("source", numbered(30))
    real, failures = memory.MemoryStore.stamp, iter([True, False, True])

    def flaky(store, ids, namespace, metadata):
        real(store, ids, namespace, metadata)
        if next(failures, False):
            raise TransientError("not acknowledged", fix="try again")

    monkeypatch.setattr(memory.MemoryStore, "stamp", flaky)
    assert str(copy(stamp=True)) == "proven"
    assert len(stamped(source)) == 30


@pytest.mark.parametrize("follow", [None, Follow(interval=0.02)])
def test_what_was_committed_and_not_stamped_is_stamped_by_resuming(seed, service, monkeypatch, follow):
    source = seed("source", numbered(100), record("bad", float("inf")))
    real, asked = memory.MemoryStore.stamp, []

    def broken(store, ids, namespace, metadata):
        asked.append(ids)
        if len(asked) > 3:
            raise RuntimeError("the process would die here")
        real(store, ids, namespace, metadata)

    monkeypatch.setattr(memory.MemoryStore, "stamp", broken)
    run = service.start(service.plan("memory:source", "memory:target", PlanOptions(batch=10, workers=1, stamp=True, follow=follow)))
    ended = Ended(service, run)
    assert str(ended) == "failed"
    assert len(stamped(source)) == 30 < ended.counts[1]
    monkeypatch.setattr(memory.MemoryStore, "stamp", real)
    service.resume(run)
    if follow is not None:
        until(lambda: service.status(run)["phase"] == "following")
        service.finish_following(run)
    assert str(Ended(service, run)) == "incomplete"
    assert len(stamped(source)) == 100
    assert follow or not list((service.manager.folder(run) / "journal").iterdir())


def test_a_source_that_cannot_be_stamped_is_said_at_plan_time(service, tmp_path, seed, copy):
    seed("source", numbered(5))
    assert str(copy(target=f"parquet:{tmp_path}/out")) == "proven"
    plan = service.plan(f"parquet:{tmp_path}/out", "memory:target", PlanOptions(stamp=True))
    assert "stamps_unsupported" in [finding.code for finding in plan.findings if finding.severity == "blocking"]
    with pytest.raises(PlanError, match="cannot be stamped"):
        service.reset(f"parquet:{tmp_path}/out")


def test_reset_removes_exactly_the_stamps_and_says_how_many(seed, copy, service):
    own = {"migrated": True, "migrated_at": "yesterday"}
    others = [
        {"id": "own", "metadata": own},
        {"id": "half", "metadata": {"migrated": True}},
        {"id": "false", "metadata": {"migrated": False, "migrated_at": "2026-01-31T12:00:00Z"}},
    ]
    source = seed("source", numbered(20), numbered(5, namespace="b"), record("bare"), batch_of(others))
    before = contents(source)
    assert str(copy(stamp=True)) == "proven"
    # the records of others carry a stamp now: their own fields of those names were theirs to lose, so they are left out here
    for name in ("own", "half", "false"):
        source.delete([name], "")
    source.append(batch_of(others))
    heard = []
    answer = service.reset("memory:source", on_progress=lambda read, removed: heard.append((read, removed)))
    assert answer == {"reset": 26, "namespaces": {"": 21, "b": 5}}
    assert heard[-1] == (29, 26)
    assert contents(source) == before
    assert service.reset("memory:source")["reset"] == 0


def test_reset_of_one_namespace_leaves_the_others(seed, copy, service):
    source = seed("source", numbered(5, namespace="a"), numbered(5, namespace="b"))
    copy(stamp=True)
    assert service.reset("memory:source", ("a",)) == {"reset": 5, "namespaces": {"a": 5}}
    assert {namespace for namespace, _ in stamped(source)} == {"b"}


def test_the_stamp_comes_after_the_commit(seed, copy, service, monkeypatch):
    source = seed("source", numbered(30))
    real, early = memory.MemoryStore.stamp, []

    def watching(store, ids, namespace, metadata):
        committed = service.runs()[0]["counts"]["copied"]
        early.append(committed < len(stamped(source)) + len(ids))
        real(store, ids, namespace, metadata)

    monkeypatch.setattr(memory.MemoryStore, "stamp", watching)
    assert str(copy(stamp=True, workers=1)) == "proven"
    assert early == [False, False, False]


def test_a_writer_is_not_overtaken_by_a_stamp(seed, service, collections):
    """The seed's fault: a stamp that writes the whole record brings the content back that it read before."""
    source = seed("source", numbered(40))
    racing = threading.Event()
    plan = service.plan("memory:source", "memory:target", PlanOptions(batch=10, workers=1, stamp=True, follow=Follow(interval=0.02)))

    def meanwhile(_number, batch):
        if not racing.is_set():
            racing.set()
            source.upsert(record(batch.column("id")[0].as_py(), 42.0))

    collections["target"] = memory.Table(3, on_write=meanwhile)
    run = service.start(plan)
    until(lambda: service.status(run)["follow"]["passes"] >= 2)
    service.finish_following(run)
    assert str(Ended(service, run)) == "proven"
    assert sum(row.values[0] == 42.0 for row in source.live()) == 1
    assert sum(row.values[0] == 42.0 for row in collections["target"].live()) == 1


@given(st.lists(batches.rows, max_size=6), st.data())
def test_leaving_stamps_out_gives_back_what_was_there(rows, data):
    bare = batch_of(rows)
    marked = [dict(row) for row in rows]
    for row in marked:
        if data.draw(st.booleans()) and not {*stamps.KEYS} & {*(row["metadata"] or {})}:
            row["metadata"] = (row["metadata"] or {}) | stamps.stamp_now()
    assert stamps.without_stamps(batch_of(marked)).equals(bare)
    assert stamps.without_stamps(bare).equals(bare)


@pytest.mark.parametrize("moment", ["2026-01-31T12:00:00Z"])
@pytest.mark.parametrize(("change", "is_one"), [({}, True), ({"migrated": 1}, False), ({"migrated": "true"}, False), ({"migrated_at": 5}, False)])
def test_only_our_own_form_is_a_stamp(moment, change, is_one):
    assert stamps.is_stamped({"migrated": True, "migrated_at": moment, "x": 1} | change) is is_one


@pytest.mark.parametrize("moment", ["2026-01-31", "2026-01-31T12:00:00+00:00", "2026-13-31T12:00:00Z", "2026-01-31T12:00:00.5Z", "٢٠٢٦-01-31T12:00:00Z", ""])
def test_another_moment_is_no_stamp(moment):
    assert not stamps.is_stamped({"migrated": True, "migrated_at": moment})


def test_fields_of_the_users_own_are_not_stamped_over(seed, service):
    seed("source", batch_of([{"id": "own", "metadata": {"migrated": "yes"}}]))
    plan = service.plan("memory:source", "memory:target", PlanOptions(stamp=True))
    assert "stamps_would_overwrite" in [finding.code for finding in plan.findings if finding.severity == "blocking"]
