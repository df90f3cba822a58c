"""Whole runs between memory collections: what arrives, what is counted, what is said."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from migrator import records
from migrator.connectors import memory
from migrator.errors import ConfigError, PlanError, TransientError
from migrator.model import Capabilities
from migrator.service import PlanOptions
from tests.runs.conftest import Ended, contents
from tests.unit.batches import batch_of, numbered


def test_everything_arrives_and_is_proven(seed, copy, collections):
    source = seed("source", numbered(37), numbered(20, namespace="a"), numbered(5, namespace="日本"))
    ended = copy()
    assert str(ended) == "proven"
    assert ended.counts == (62, 62, 0, 0, 0)
    assert contents(collections["target"]) == contents(source)
    assert ended.result["digests"]["source"] == ended.result["digests"]["target"]
    assert {name: (row["source"], row["target"]) for name, row in ended.result["namespaces"].items()} == {"": (37, 37), "a": (20, 20), "日本": (5, 5)}
    assert ended.status["progress"] == 1.0


def test_no_records_at_all_are_proven(seed, copy):
    seed("source")
    ended = copy()
    assert (str(ended), ended.counts) == ("proven", (0, 0, 0, 0, 0))


def test_one_record(seed, copy, collections):
    seed("source", numbered(1))
    assert (str(copy()), len(contents(collections["target"]))) == ("proven", 1)


def test_the_first_namespace_may_be_empty(seed, copy, collections):
    table = seed("source", numbered(4, namespace="a"), numbered(6, namespace="b"))
    table.delete([f"r{n}" for n in range(4)], "a")
    ended = copy()
    assert (str(ended), ended.counts) == ("proven", (6, 6, 0, 0, 0))
    assert contents(collections["target"]) == contents(table)


@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (7, 3), (1000, 2), (10, 8)])
def test_neither_batch_nor_workers_change_the_outcome(seed, copy, collections, batch, workers):
    source = seed("source", numbered(53))
    ended = copy(batch=batch, workers=workers)
    assert (str(ended), ended.counts) == ("proven", (53, 53, 0, 0, 0))
    assert contents(collections["target"]) == contents(source)


@pytest.mark.parametrize("window", [1, 200, 900])
def test_workers_that_share_a_window_too_small_for_them_do_not_wait_for_each_other(seed, copy, collections, monkeypatch, window):
    monkeypatch.setattr("migrator.runs.steps.WINDOW_BYTES", window)
    source = seed("source", numbered(400))
    ended = copy(batch=2, workers=4)
    assert (str(ended), ended.counts) == ("proven", (400, 400, 0, 0, 0))
    assert contents(collections["target"]) == contents(source)


def test_a_dry_run_writes_nothing_and_counts_everything(seed, copy, collections):
    bad = records.make_batch(["bad"], np.array([[np.nan, 1, 1]], np.float32))
    seed("source", numbered(30), bad)
    ended = copy(dry_run=True)
    assert "target" not in collections
    assert ended.counts == (31, 30, 1, 0, 0)
    assert ended.status["rejected_sample"][0]["code"] == "not_finite"
    assert ended.status["error"] is None


# -- faults of the store


@pytest.mark.parametrize("fault", ["fail_at=2", "half_at=2", "lose_ack_at=2", "limit_at=2", "fail_at=1&half_at=2&lose_ack_at=3&limit_at=4"])
def test_passing_faults_leave_no_trace(seed, copy, collections, fault):
    source = seed("source", numbered(60))
    ended = copy(target=f"memory:target?{fault}")
    assert (str(ended), ended.counts) == ("proven", (60, 60, 0, 0, 0))
    assert contents(collections["target"]) == contents(source)
    assert "again" in ended.log


@pytest.mark.parametrize("method", ["describe", "splits", "keys", "prepare", "finish"])
def test_a_store_that_is_out_of_reach_for_a_moment_is_asked_again(seed, service, collections, monkeypatch, method):
    seed("source", numbered(60), numbered(2, start=3))
    plan = service.plan("memory:source", "memory:target", PlanOptions(batch=10))
    original, calls = getattr(memory.MemoryStore, method), itertools.count()

    def shaky(self, *arguments, **options):
        if next(calls) % 2 == 0:
            raise TransientError("the line is down", fix="wait")
        return original(self, *arguments, **options)

    monkeypatch.setattr(memory.MemoryStore, method, shaky)
    ended = Ended(service, service.start(plan))
    assert (str(ended), ended.counts) == ("proven", (62, 60, 0, 0, 2))
    assert len(contents(collections["target"])) == 60
    assert "the line is down" in ended.log


def test_a_refusal_for_good_stops_the_run_and_resuming_finishes_it(seed, copy, service, collections):
    source = seed("source", numbered(60))
    ended = copy(target="memory:target?refuse_at=6", workers=1)  # the last of six, sent when the first is committed
    assert str(ended) == "failed"
    assert ended.status["error"]["code"] == "store_refused"
    assert 0 < ended.counts[0] < 60
    service.resume(ended.run)
    again = Ended(service, ended.run)
    assert (str(again), again.counts) == ("proven", (60, 60, 0, 0, 0))
    assert contents(collections["target"]) == contents(source)
    assert again.status["attempt"] == 2


def test_a_record_the_store_refuses_is_named_and_the_rest_is_equal(seed, copy, collections):
    seed("source", numbered(30))
    ended = copy(target="memory:target?refuse_id=r7")
    assert (str(ended), ended.counts) == ("incomplete", (30, 29, 1, 0, 0))
    assert [(row["id"], row["code"]) for row in ended.result["rejected"]] == [("r7", "refused_by_store")]
    assert ended.result["differences"] == []
    assert ("", "r7") not in contents(collections["target"])


def test_a_refused_record_stays_a_rejected_one_when_proven_again(seed, copy, service):
    seed("source", numbered(30))
    ended = copy(target="memory:target?refuse_id=r7")
    service.start_verify(ended.run)
    again = Ended(service, ended.run)
    assert (str(again), again.counts, again.result["differences"]) == ("incomplete", (30, 29, 1, 0, 0), [])


def test_records_no_target_can_hold_are_rejected_with_their_content(seed, copy, service, collections):
    values = np.ones((3, 3), np.float32)
    values[0, 1], values[1, 2] = np.nan, np.inf
    seed("source", numbered(12), records.make_batch(["nan", "inf", "a\0b"], values, namespace="bad"))
    ended = copy()
    assert (str(ended), ended.counts) == ("incomplete", (15, 12, 3, 0, 0))
    assert {(row["id"], row["code"], row["field"]) for row in ended.result["rejected"]} == {
        ("nan", "not_finite", "values"),
        ("inf", "not_finite", "values"),
        ("a\0b", "id_has_nul", "id"),
    }
    path = service.rejected_file(ended.run)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_text("utf-8").splitlines()) == 3
    assert '\\"nan\\"' in path.read_text("utf-8")
    assert len(contents(collections["target"])) == 12


def test_too_many_rejected_records_pause_the_run_and_resuming_goes_on(seed, copy, service):
    values = np.ones((1500, 3), np.float32)
    values[:, 0] = np.nan
    seed("source", records.make_batch([f"n{n}" for n in range(1500)], values), numbered(10))
    ended = copy(batch=100, workers=1)
    assert (str(ended), ended.status["error"]["code"]) == ("paused", "too_many_rejected")
    assert "most like 'n0', not_finite: component 0 is nan" in ended.status["error"]["message"]
    assert 1000 < ended.counts[2] < 1500
    service.resume(ended.run)
    again = Ended(service, ended.run)
    assert (str(again), again.counts) == ("incomplete", (1510, 10, 1500, 0, 0))


# -- ids that are there twice


def twice(seed):
    return seed(
        "source",
        numbered(20),
        batch_of([{"id": "r3", "values": [9.0, 9.0, 9.0]}]),  # another r3
        numbered(1, start=5),  # the same r5 once more
    )


@pytest.mark.parametrize(
    ("policy", "counts", "status", "kept"),
    [
        ("fail", (22, 20, 1, 0, 1), "incomplete", 4.0),
        ("first", (22, 20, 0, 0, 2), "proven", 4.0),
        ("last", (22, 20, 0, 0, 2), "proven", 9.0),
    ],
)
def test_ids_the_source_holds_twice(seed, copy, collections, policy, counts, status, kept):
    twice(seed)
    ended = copy(on_duplicate=policy, workers=3)
    assert (str(ended), ended.counts) == (status, counts)
    (row,) = [row for row in collections["target"].live() if row.id == "r3"]
    assert row.values[0] == kept
    assert [row["id"] for row in ended.result["rejected"]] == (["r3"] if policy == "fail" else [])


@pytest.mark.parametrize("policy", ["fail", "first", "last"])
def test_duplicates_prove_again_the_same(seed, copy, service, policy):
    twice(seed)
    ended = copy(on_duplicate=policy)
    service.start_verify(ended.run)
    again = Ended(service, ended.run)
    assert (str(again), again.counts) == (str(ended), ended.counts)
    assert again.result["compared_with"] == "source"
    assert again.result["differences"] == []


def test_a_duplicate_of_a_rejected_record_is_not_counted_as_copied(seed, copy):
    bad = records.make_batch(["r3"], np.array([[np.nan, 0, 0]], np.float32))
    seed("source", bad, numbered(10))
    ended = copy(on_duplicate="first")
    assert (str(ended), ended.counts) == ("incomplete", (11, 9, 2, 0, 0))


def test_a_duplicate_of_a_record_the_store_refused_is_not_counted_as_copied(seed, copy):
    seed("source", numbered(10), numbered(1, start=3))
    ended = copy(target="memory:target?refuse_id=r3", on_duplicate="first")
    assert (str(ended), ended.counts) == ("incomplete", (11, 9, 2, 0, 0))


def test_one_id_in_two_namespaces_is_no_duplicate(seed, copy, collections):
    source = seed("source", numbered(10, namespace="a"), numbered(10, namespace="b"))
    ended = copy()
    assert (str(ended), ended.counts) == ("proven", (20, 20, 0, 0, 0))
    assert contents(collections["target"]) == contents(source)


def test_namespaces_that_fall_into_one_make_duplicates(seed, copy):
    seed("source", numbered(10, namespace="a"), batch_of([{"id": "r4", "namespace": "b"}]))
    ended = copy(target_namespace="one")
    assert (str(ended), ended.counts) == ("incomplete", (11, 10, 1, 0, 0))
    assert ended.result["rejected"][0]["code"] == "duplicate_id"


# -- a target that holds something already


def test_a_target_with_records_of_its_own_is_refused(seed, copy, collections):
    seed("source", numbered(10))
    mine = seed("target", batch_of([{"id": "mine"}]))
    before = contents(mine)
    with pytest.raises(PlanError) as caught:
        copy()
    assert caught.value.code == "target_has_foreign_records"
    assert contents(mine) == before


def test_a_target_with_the_sources_own_records_is_written_again(seed, copy, collections):
    source = seed("source", numbered(10))
    seed("target", numbered(3, start=2))
    assert str(copy()) == "proven"
    assert contents(collections["target"]) == contents(source)


def test_a_target_with_the_sources_ids_and_other_content_is_left_alone(seed, copy, collections):
    seed("source", numbered(10))
    target = contents(seed("target", batch_of([{"id": "r3", "values": [0.0, 0.0, 1.0]}])))
    with pytest.raises(PlanError, match="'r3' with other content") as refusal:
        copy()
    assert refusal.value.code == "target_records_differ"
    assert contents(collections["target"]) == target


def merged(seed):
    seed("source", numbered(12))
    seed("target", batch_of([{"id": "mine"}, {"id": "r3", "values": [7.0, 7.0, 7.0]}]), numbered(1, start=5))


def test_upsert_overwrites_and_leaves_the_targets_own_alone(seed, copy, collections):
    merged(seed)
    ended = copy(on_conflict="upsert")
    assert (str(ended), ended.counts) == ("proven", (12, 12, 0, 0, 0))
    held = contents(collections["target"])
    assert len(held) == 13
    assert np.frombuffer(held["", "r3"][0], np.float32)[0] == 4.0


def test_skip_keeps_the_targets_and_says_which_differ(seed, copy, collections):
    merged(seed)
    ended = copy(on_conflict="skip")
    assert ended.counts == (12, 11, 0, 0, 1)
    assert str(ended) == "differs"
    assert [(row["id"], row["class"], row["fields"]) for row in ended.result["differences"] if row["class"] != "extra"] == [
        ("r3", "changed", ["values", "metadata.even", "metadata.n"])
    ]
    assert np.frombuffer(contents(collections["target"])["", "r3"][0], np.float32)[0] == 7.0


def test_fail_names_the_conflict_and_changes_nothing_of_it(seed, copy, collections):
    merged(seed)
    ended = copy(on_conflict="fail", workers=1)
    assert (str(ended), ended.status["error"]["code"]) == ("failed", "conflict")
    assert "'r3'" in ended.status["error"]["message"]
    assert np.frombuffer(contents(collections["target"])["", "r3"][0], np.float32)[0] == 7.0
    assert ended.counts[0] == ended.counts[1]


def test_new_only_copies_what_is_not_there(seed, copy, collections):
    merged(seed)
    ended = copy(new_only=True)
    assert ended.counts == (12, 10, 0, 0, 2)
    assert np.frombuffer(contents(collections["target"])["", "r3"][0], np.float32)[0] == 7.0
    assert len(contents(collections["target"])) == 13


def test_an_extra_record_in_the_target_is_a_difference_unless_merging(seed, copy, collections, service):
    seed("source", numbered(30))
    ended = copy()
    collections["target"].append(batch_of([{"id": "stray"}]))
    service.start_verify(ended.run)
    again = Ended(service, ended.run)
    assert str(again) == "differs"
    assert [(row["id"], row["class"]) for row in again.result["differences"]] == [("stray", "extra")]


# -- selecting and routing


def test_only_the_chosen_namespaces_are_copied(seed, copy, collections):
    seed("source", numbered(10, namespace="a"), numbered(7, namespace="b"), numbered(3))
    ended = copy(namespaces=("b", ""))
    assert (str(ended), ended.counts) == ("proven", (10, 10, 0, 0, 0))
    assert {name for name, _ in contents(collections["target"])} == {"b", ""}


def test_an_unknown_namespace_stands_in_the_way(seed, copy):
    seed("source", numbered(3))
    with pytest.raises(PlanError) as caught:
        copy(namespaces=("nope",))
    assert caught.value.code == "namespace_unknown"


def test_a_filter_selects_and_proves(seed, copy, collections):
    seed("source", numbered(40))
    ended = copy(filter={"n": {"$gte": 30}})
    assert (str(ended), ended.counts) == ("proven", (10, 10, 0, 0, 0))
    assert {name for _, name in contents(collections["target"])} == {f"r{n}" for n in range(30, 40)}


def test_records_go_where_their_field_says(seed, copy, service, collections):
    seed(
        "source",
        batch_of(
            [
                {"id": "1", "metadata": {"lang": "de"}},
                {"id": "2", "metadata": {"lang": "日本"}},
                {"id": "3", "metadata": {"lang": ""}},
                {"id": "4", "namespace": "kept"},
                {"id": "5", "metadata": {"lang": ["de"]}},
                {"id": "6", "metadata": {"lang": 7.0}},
                {"id": "7", "metadata": {"lang": True}},
            ]
        ),
    )
    ended = copy(namespace_from="lang")
    assert (str(ended), ended.counts) == ("proven", (7, 7, 0, 0, 0))
    assert set(contents(collections["target"])) == {("de", "1"), ("日本", "2"), ("", "3"), ("kept", "4"), ("", "5"), ("7", "6"), ("true", "7")}
    service.start_verify(ended.run)
    assert str(Ended(service, ended.run)) == "proven"


def test_one_target_namespace(seed, copy, service, collections):
    seed("source", numbered(5, namespace="a"), numbered(5, namespace="b", start=5))
    ended = copy(target_namespace="all")
    assert (str(ended), {name for name, _ in contents(collections["target"])}) == ("proven", {"all"})
    found = service.difference(ended.run, "all", "r7")
    assert found["source"]["id"] == found["target"]["id"] == "r7"


def test_a_source_that_cannot_be_a_target_and_other_bad_requests(service, seed):
    seed("source", numbered(3))
    for source, target, options in [
        ("memory:source", "memory:target", {"batch": 0}),
        ("memory:source", "memory:target", {"workers": 0}),
        ("memory:source", "memory:target", {"namespace_missing": "reject"}),
        ("memory:source", "memory:target", {"filter": {"a": {"$near": 1}}}),
        ("memory:source", "faiss:./x.index", {}),
        ("memory:source", "nowhere:x", {}),
        ("memory source", "memory:target", {}),
        ("memory:source?colour=red", "memory:target", {}),
    ]:
        with pytest.raises(ConfigError) as caught:
            service.plan(source, target, PlanOptions(**options))
        assert caught.value.message
        assert caught.value.fix


# -- what a store may do to us


class Forgetful(memory.MemoryStore):
    """Counts all its records but does not read the last one."""

    def read(self, split, cursor, records_):
        chunks = list(super().read(split, cursor, records_))
        yield from chunks[:-1]
        if chunks:
            last = chunks[-1]
            yield type(last)(last.batch.slice(0, len(last.batch) - 1), last.cursor, last.start)


@pytest.mark.parametrize("filter_", [None, {"n": {"$lt": 5}}])
def test_a_source_that_reads_fewer_than_it_counts_is_not_proven(seed, copy, monkeypatch, filter_):
    seed("source", numbered(30))
    monkeypatch.setattr(memory, "open_source", lambda endpoint: Forgetful(endpoint) if endpoint.resource == "source" else memory.MemoryStore(endpoint))
    ended = copy(filter=filter_)
    assert str(ended) == "incomplete", ended.status["error"]
    assert "scan_incomplete" in {finding["code"] for finding in ended.result["findings"]}


class Deaf(memory.MemoryStore):
    """Acknowledges writes of one record and drops it."""

    def write(self, batch, part):
        super().write(batch.filter(pa.array([name != "r8" for name in batch.column("id").to_pylist()])), part)


def test_a_target_that_loses_what_it_acknowledged_is_found_out(seed, copy, monkeypatch):
    seed("source", numbered(30))
    monkeypatch.setattr(memory, "open_target", Deaf)
    ended = copy()
    assert str(ended) == "differs"
    assert [(row["id"], row["class"]) for row in ended.result["differences"]] == [("r8", "missing")]


def test_a_target_that_cannot_hold_an_id_in_two_namespaces_is_given_one_of_them(seed, copy, collections, monkeypatch):
    limits = Capabilities(ids_unique_across_namespaces=True)
    monkeypatch.setattr(memory, "capabilities", lambda _endpoint=None: limits)
    seed("source", batch_of([{"id": "1", "metadata": {"to": "x"}}, {"id": "1", "metadata": {"to": "y"}}, {"id": "2"}]))
    ended = copy(namespace_from="to", on_duplicate="first")
    assert (str(ended), ended.counts) == ("incomplete", (3, 2, 1, 0, 0))
    assert [(row["namespace"], row["id"], row["code"]) for row in ended.result["rejected"]] == [("y", "1", "duplicate_id")]
    assert set(contents(collections["target"])) == {("x", "1"), ("", "2")}


@pytest.mark.parametrize(("rows", "basis"), [(300, "assumed"), (5_000, "as in the last run")])
def test_an_estimate_builds_on_an_earlier_run_unless_that_was_tiny(seed, copy, service, rows, basis):
    seed("source", numbered(rows))
    assert str(copy(batch=1_000)) == "proven"
    assert basis in service.plan("memory:source", "memory:other", PlanOptions()).estimate["basis"]


def test_a_look_while_a_new_pass_takes_the_checkpoints_away(service, seed, copy, monkeypatch):
    seed("source", numbered(100))
    run = copy()
    shown = service.status(run.run)["throughput"]
    assert sum(rate for _, rate in shown) == 100
    ledger, read = service.manager.ledger, service.manager.ledger.rows

    def rows(sql, parameters=()):
        found = read(sql, parameters)
        if "FROM checkpoints" in sql:  # between this look and the next one
            with ledger.transaction() as db:
                db.execute("DELETE FROM checkpoints WHERE run=?", (run.run,))
        return found

    monkeypatch.setattr(ledger, "rows", rows)
    assert service.status(run.run)["throughput"] == shown
    assert service.status(run.run)["throughput"] == []
