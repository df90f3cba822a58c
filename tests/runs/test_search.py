"""Search quality of a run: each side held to exact truth, whatever the other finds, and the run's own verdict left alone."""

from __future__ import annotations

import json
import random
import threading
import time

import numpy as np
import pytest

from migrator.connectors import memory
from migrator.connectors.memory.table import Table
from migrator.errors import ConfigError, TransientError
from migrator.ledger import runs as rows
from migrator.records import canonical_metadata, make_batch
from migrator.service import PlanOptions, SearchOptions, Service
from tests.unit.batches import batch_of

DIMENSION = 8


def cloud(count: int, *, namespace: str = "", start: int = 0, seed: int = 1):
    values = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    metadata = [canonical_metadata({"n": n, "even": n % 2 == 0}) for n in range(start, start + count)]
    return make_batch([f"r{n}" for n in range(start, start + count)], values, namespace=namespace, metadata=metadata)


@pytest.fixture
def flaws(monkeypatch):
    """Return collection name -> what becomes of its answers."""
    known = {}
    exact = memory.MemoryStore.search

    def search(self, vectors, top_k, namespace, filter_=None):
        change = known.get(self._name)
        return [change(hits) if change else hits for hits in exact(self, vectors, top_k, namespace, filter_)]

    monkeypatch.setattr(memory.MemoryStore, "search", search)
    return known


def losing(share: float):
    """Return a flaw: about this share of an answer is not found."""
    chance = random.Random(3)
    return lambda hits: [hit for hit in hits if chance.random() >= share]


@pytest.fixture
def copied(seed, copy):
    seed("source", cloud(600, namespace="a"), cloud(60, namespace="b", start=600, seed=2), dimension=DIMENSION)
    ended = copy()
    assert str(ended) == "proven"
    return ended.run


def search(service, run: str, **options):
    service.searches.start(run, SearchOptions(**{"samples": 40, **options}))
    status = service.wait(run, 60)
    assert not status["error"], status["error"]
    return service.searches.result(run)


def test_a_perfect_pair(service, copied):
    found = search(service, copied)
    assert (found["verdict"], found["metric"], found["k"], found["queries"], found["queries_from"]) == ("pass", "cosine", 10, 40, "sample")
    assert found["recall"] == {side: {"mean": 1.0, "p05": 1.0, "min": 1.0} for side in ("source", "target")}
    assert (found["overlap"], found["score_drift"]) == (1.0, {"mean": 0.0, "max": 0.0})
    assert found["truth"] == {"records": 660, "read_from": "target"}
    assert found["unsearchable"] == {}
    assert found["findings"] == []
    assert {name: row["queries"] for name, row in found["namespaces"].items()} == {"a": 36, "b": 4}
    assert len(found["answers"]) == 40
    first = found["answers"][0]
    assert first["exact"][0] == {"id": first["query"], "score": pytest.approx(1.0)}  # a stored vector finds itself, on every side
    assert first["source"][0]["id"] == first["target"][0]["id"] == first["query"]
    assert all(found["latency_ms"][side]["p50"] > 0 for side in ("source", "target"))


def test_the_run_stays_what_it_was(service, copied):
    before = service.status(copied)
    assert service.result(copied)["search"] is None
    found = search(service, copied)
    after = service.status(copied)
    assert (after["status"], after["counts"], after["progress"]) == ("proven", before["counts"], 1.0)
    assert service.result(copied)["search"] == found
    assert service.result(copied)["verdict"] == "proven"
    assert ("search", "search.json") in {(file["kind"], file["name"]) for file in service.artifacts(copied)}
    assert any("search: pass" in line["message"] for line in after["log"])


def test_a_perfect_copy_of_an_approximate_source_passes(service, copied, flaws):
    flaws["source"] = losing(0.4)
    found = search(service, copied)
    assert found["verdict"] == "pass"
    assert found["recall"]["target"]["mean"] == 1.0
    assert 0.5 < found["recall"]["source"]["mean"] < 0.7
    assert found["overlap"] < 0.7
    assert "100.0%" in found["reason"]


def test_a_bad_target_of_an_exact_source_fails(service, copied, flaws):
    flaws["target"] = losing(0.4)
    found = search(service, copied)
    assert found["verdict"] == "fail"
    assert found["recall"]["source"]["mean"] == 1.0
    assert 0.5 < found["recall"]["target"]["mean"] < 0.7
    assert service.status(copied)["status"] == "proven"
    worst = found["answers"][0]
    assert worst["recall_target"] == found["recall"]["target"]["min"]
    assert [answer["recall_target"] for answer in found["answers"]] == sorted(answer["recall_target"] for answer in found["answers"])
    assert [finding["code"] for finding in found["findings"]] == ["answers_short", "namespaces_below"]


def test_a_target_as_approximate_as_its_source_passes(service, copied, flaws):
    flaws["source"] = flaws["target"] = lambda hits: hits[:6]
    found = search(service, copied)
    assert (found["verdict"], found["recall"]["target"]["mean"]) == ("pass", pytest.approx(0.6))
    assert "no less than the source's own search" in found["reason"]


def test_both_bad_but_the_target_worse_fails(service, copied, flaws):
    flaws["source"], flaws["target"] = (lambda hits: hits[:6]), (lambda hits: hits[:5])
    assert search(service, copied)["verdict"] == "fail"


def test_one_bad_namespace_is_named(service, copied, flaws, collections):
    mine = {name for space, name in collections["target"].places if space == "b"}
    flaws["target"] = lambda hits: [hit for hit in hits if hit[0] not in mine or hit[1] > 0.999999]
    found = search(service, copied, threshold=0.8)
    assert found["verdict"] == "pass"  # the mean hides it
    (finding,) = [finding for finding in found["findings"] if finding["code"] == "namespaces_below"]
    assert "'b'" in finding["message"]
    assert found["namespaces"]["b"]["recall_target"] < 0.5


def test_a_lossy_copy_does_not_pass_by_what_the_loss_left(service, copied, collections):
    target = collections["target"]
    target.delete([name for (_, name) in list(target.places) if int(name[1:]) % 2], "a")
    service.start_verify(copied)
    assert service.wait(copied, 60)["status"] == "differs"
    found = search(service, copied)
    assert found["verdict"] == "fail"
    assert found["truth"] == {"records": 660, "read_from": "source"}
    assert found["recall"]["source"]["mean"] == 1.0
    assert found["recall"]["target"]["mean"] < 0.8
    assert "run_not_proven" in [finding["code"] for finding in found["findings"]]
    assert service.status(copied)["status"] == "differs"


@pytest.mark.parametrize("options", [{}, {"namespaces": ("a",)}])
def test_a_loss_since_the_proof_is_noticed(service, copied, collections, options):
    collections["target"].delete([f"r{n}" for n in range(0, 600, 2)], "a")
    found = search(service, copied, **options)
    assert (found["verdict"], found["truth"]["read_from"]) == ("fail", "source")
    assert "target_changed" in [finding["code"] for finding in found["findings"]]


def test_a_namespace_lost_altogether_is_asked_for_all_the_same(service, copied, collections):
    collections["target"].delete([f"r{n}" for n in range(600, 660)], "b")
    found = search(service, copied)
    assert found["namespaces"]["b"] == {"queries": 4, "recall_source": 1.0, "recall_target": 0.0, "overlap": 0.0}


def test_records_of_others_in_the_target_crowd_nobody_out(service, seed, copy, collections):
    seed("source", cloud(200), dimension=DIMENSION)
    seed("target", cloud(200, start=1000, seed=9), dimension=DIMENSION)
    ended = copy(on_conflict="upsert")
    assert str(ended) == "proven"
    found = search(service, ended.run)
    assert found["recall"]["source"]["mean"] == found["recall"]["target"]["mean"] == 1.0  # each is held to its own records
    assert found["overlap"] < 0.9
    collections["target"].delete(["r3"], "")
    service.start_verify(ended.run)
    assert service.wait(ended.run, 60)["status"] == "differs"
    service.searches.start(ended.run, SearchOptions(samples=5))
    assert service.wait(ended.run, 60)["error"]["code"] == "search_unclear"


def test_with_a_filter(service, copied, flaws):
    found = search(service, copied, filter={"even": True, "n": {"$lt": 300}}, namespaces=("a",))
    assert (found["verdict"], found["filter"]) == ("pass", {"even": True, "n": {"$lt": 300}})
    assert found["recall"]["source"]["mean"] == found["recall"]["target"]["mean"] == 1.0
    assert all(int(hit["id"][1:]) % 2 == 0 and int(hit["id"][1:]) < 300 for answer in found["answers"] for hit in [*answer["exact"], *answer["target"]])
    assert list(found["namespaces"]) == ["a"]


def test_a_store_that_takes_a_filter_for_something_else_is_found_out(service, copied, monkeypatch):
    exact = memory.MemoryStore.search

    def misled(self, vectors, top_k, namespace, filter_=None):
        return exact(self, vectors, top_k, namespace, {"n": {"$lt": 5}} if self._name == "target" else filter_)

    monkeypatch.setattr(memory.MemoryStore, "search", misled)
    found = search(service, copied, filter={"n": {"$lt": 100}}, namespaces=("a",))
    assert found["verdict"] == "fail"
    assert "answers_short" in [finding["code"] for finding in found["findings"]]


def test_a_filter_that_nothing_matches(service, copied):
    service.searches.start(copied, SearchOptions(filter={"n": -1}))
    status = service.wait(copied, 60)
    assert (status["status"], status["error"]["code"]) == ("proven", "nothing_to_search")
    assert service.searches.result(copied) is None


def test_a_side_that_cannot_filter_is_not_asked(service, copied, monkeypatch):
    exact = memory.MemoryStore.search

    def search_(self, vectors, top_k, namespace, filter_=None):
        if self._name == "source" and filter_:
            raise ConfigError("no filters here", code="filter_unsupported")
        return exact(self, vectors, top_k, namespace, filter_)

    monkeypatch.setattr(memory.MemoryStore, "search", search_)
    found = search(service, copied, filter={"even": True})
    assert (found["verdict"], found["unsearchable"], found["recall"]["source"]) == ("pass", {"source": "no filters here"}, None)
    assert (found["overlap"], found["score_drift"], found["latency_ms"]["source"]) == (None, None, None)


def test_a_source_that_is_gone_needs_no_asking(service, copied, collections):
    del collections["source"]
    found = search(service, copied)
    assert (found["verdict"], found["recall"]["source"]) == ("pass", None)
    assert "there is no collection" in found["unsearchable"]["source"]


def test_without_a_source_a_lossy_copy_is_not_judged_by_itself(service, copied, collections):
    del collections["source"]
    collections["target"].delete(["r1"], "a")
    service.searches.start(copied, SearchOptions(samples=20))
    assert service.wait(copied, 60)["error"]["code"] == "no_truth"


def test_own_queries(service, copied, tmp_path, collections):
    row = collections["source"].rows[5]
    asked = [{"id": "mine", "values": row.values.tolist(), "namespace": "a", "filter": {"n": 5}}, {"id": "everywhere", "values": [1.0] * DIMENSION}]
    (tmp_path / "q.json").write_text(json.dumps(asked))
    found = search(service, copied, queries=tmp_path / "q.json", filter={"even": True})
    assert (found["queries"], found["queries_from"], found["verdict"]) == (3, "file", "pass")
    answers = {(answer["query"], answer["namespace"]): answer for answer in found["answers"]}
    assert set(answers) == {("mine", "a"), ("everywhere", "a"), ("everywhere", "b")}
    assert [hit["id"] for hit in answers["mine", "a"]["exact"]] == ["r5"]  # its own filter, not the common one
    assert all(int(hit["id"][1:]) % 2 == 0 for hit in answers["everywhere", "b"]["target"])


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([{"values": [1.0] * DIMENSION, "namespace": "nowhere"}], "'nowhere', which has no records"),
        ([[0.0] * DIMENSION], "length zero"),
        ([[1.0]], "query 1 has 1 components, the collection 8"),
    ],
)
def test_own_queries_that_cannot_be_asked(service, copied, tmp_path, told, said):
    (tmp_path / "q.json").write_text(json.dumps(told))
    service.searches.start(copied, SearchOptions(queries=tmp_path / "q.json"))
    error = service.wait(copied, 60)["error"]
    assert error["code"] == "bad_queries"
    assert said in error["message"]


@pytest.mark.parametrize(
    "options",
    [
        {"samples": 0},
        {"k": 0},
        {"k": 1_001},
        {"threshold": 0.0},
        {"threshold": 1.5},
        {"filter": {}},
        {"filter": {"a": {"$x": 1}}},
        {"namespaces": ()},
        {"samples": 10**6},
    ],
)
def test_options_out_of_range_are_refused_before_anything_begins(service, copied, options):
    with pytest.raises(ConfigError):
        service.searches.start(copied, SearchOptions(**options))
    assert service.status(copied)["attempt"] == 1


def test_an_unknown_namespace_is_named(service, copied):
    service.searches.start(copied, SearchOptions(namespaces=("c",)))
    error = service.wait(copied, 60)["error"]
    assert (error["code"], "'c'" in error["message"], "'a', 'b'" in error["fix"]) == ("unknown_namespace", True, True)


def test_only_finished_runs_are_searched(service, seed, copy, tmp_path):
    seed("source", cloud(20), dimension=DIMENSION)
    dry = copy(dry_run=True)
    with pytest.raises(ConfigError) as caught:
        service.searches.start(dry.run)
    assert caught.value.code == "run_unfinished"
    exported = copy(target=f"parquet:{tmp_path}/out")
    assert search(service, exported.run)["judged"] is False


def test_two_sides_without_a_search_are_refused(service, tmp_path, seed, copy):
    seed("source", cloud(20), dimension=DIMENSION)
    copy(target=f"parquet:{tmp_path}/out")
    run = copy(source=f"parquet:{tmp_path}/out", target=f"parquet:{tmp_path}/again").run
    with pytest.raises(ConfigError, match="neither parquet nor parquet") as caught:
        service.searches.start(run)
    assert caught.value.code == "nothing_to_search"


def test_from_parquet_only_the_target_is_asked(service, tmp_path, seed, copy):
    seed("first", cloud(200), dimension=DIMENSION)
    copy(source="memory:first", target=f"parquet:{tmp_path}/out")
    found = search(service, copy(source=f"parquet:{tmp_path}/out").run)
    assert (found["verdict"], found["unsearchable"]) == ("pass", {"source": "parquet has no search of its own"})


def test_routed_renamed_and_chosen_records_are_the_same_on_both_sides(service, seed, copy):
    seed("source", cloud(200, namespace="a"), cloud(200, namespace="b", start=200, seed=2), cloud(50, namespace="c", start=400, seed=3), dimension=DIMENSION)
    run = copy(namespaces=("a", "b"), target_namespace="z", filter={"even": True}).run
    found = search(service, run, filter={"n": {"$gte": 20}})
    assert (found["verdict"], list(found["namespaces"])) == ("pass", ["z"])
    assert (found["overlap"], found["recall"]["source"]["mean"]) == (1.0, 1.0)
    assert found["truth"]["records"] == 200


def test_encoded_ids_are_told_apart_and_compared(service, seed, copy):
    values = np.random.default_rng(1).standard_normal((30, DIMENSION), dtype=np.float32)
    seed("source", make_batch([f"é%{n}" for n in range(30)], values), dimension=DIMENSION)
    found = search(service, copy(id_encoding="percent").run)
    assert (found["overlap"], found["recall"]["source"]["mean"]) == (1.0, 1.0)
    assert found["answers"][0]["source"][0]["id"].startswith("%")


@pytest.mark.parametrize("missing", ["keep", "default", "other"])
def test_a_source_routed_by_a_field_is_asked_by_that_field(service, seed, copy, missing):
    langs = ["a", 7, "7", True, 1.5, "", None]
    random_ = np.random.default_rng(6).standard_normal((210, 3))
    rows_ = [
        {"id": f"r{n}", "values": random_[n], "metadata": {"lang": lang} if (lang := langs[n % 7]) is not None else {}, "namespace": "xy"[n > 99]}
        for n in range(210)
    ]
    seed("source", batch_of(rows_))
    found = search(service, copy(namespace_from="lang", namespace_missing=missing, accept_lossy=True).run, samples=60)
    kept = {"keep": {"", "x", "y"}, "default": {""}, "other": {"", "other"}}[missing]
    assert set(found["namespaces"]) == {"a", "7", "true", "1.5"} | kept
    assert (found["verdict"], found["unsearchable"], found["overlap"]) == ("pass", {}, 1.0)
    assert found["recall"]["source"]["min"] == found["recall"]["target"]["min"] == 1.0


def test_a_pair_nobody_here_copied(service, seed):
    seed("source", cloud(100), dimension=DIMENSION)
    seed("target", cloud(100), dimension=DIMENSION)
    run = service.start_verify_pair("memory:source", "memory:target", PlanOptions(filter={"even": True}))
    service.wait(run, 60)
    found = search(service, run)
    assert (found["verdict"], found["truth"]["records"], found["overlap"]) == ("pass", 50, 1.0)


def test_sides_of_different_dimensions_cannot_be_asked_alike(service, seed):
    seed("source", cloud(20), dimension=DIMENSION)
    seed("target", batch_of([{"id": "r1", "values": [1, 2, 3]}]))
    run = service.start_verify_pair("memory:source", "memory:target")
    assert service.wait(run, 60)["status"] == "differs"
    service.searches.start(run)
    assert service.wait(run, 60)["error"]["code"] == "dimension_differs"


def test_each_metric(service, copy, collections):
    for metric in ("cosine", "dotproduct", "euclidean"):
        collections[metric] = table = Table(DIMENSION, metric)
        table.append(cloud(100))
        found = search(service, copy(source=f"memory:{metric}", target=f"memory:to_{metric}").run)
        assert (found["verdict"], found["metric"], found["recall"]["source"]["mean"], found["score_drift"]["max"]) == ("pass", metric, 1.0, 0.0)
        scores = [[hit["score"] for hit in answer["exact"]] for answer in found["answers"]]
        assert all(row == sorted(row, reverse=metric != "euclidean") for row in scores)
        assert found["answers"][0]["exact"][0]["score"] == pytest.approx(found["answers"][0]["target"][0]["score"], abs=1e-6)


def test_a_target_that_measures_otherwise_is_held_to_the_source(service, seed, collections):
    batch = cloud(300)
    for name, metric in (("source", "dotproduct"), ("target", "cosine")):
        collections[name] = table = Table(DIMENSION, metric)
        table.append(batch)
    run = service.start_verify_pair("memory:source", "memory:target")
    service.wait(run, 60)
    found = search(service, run)
    assert (found["verdict"], found["metric"], found["score_drift"]) == ("fail", "dotproduct", None)
    assert "metric_differs" in [finding["code"] for finding in found["findings"]]


def test_a_store_that_is_away_for_a_moment_is_asked_again(service, copied, flaws):
    failing = iter([True, False, True, True])

    def sometimes(hits):
        if next(failing, False):
            raise TransientError("not now")
        return hits

    flaws["target"] = sometimes
    assert search(service, copied)["verdict"] == "pass"


def test_cancelled_it_leaves_everything_as_it_was(service, copied, flaws):
    began = threading.Event()

    def slowly(hits):
        began.set()
        time.sleep(0.05)
        return hits

    flaws["target"] = slowly
    service.searches.start(copied, SearchOptions(samples=600))
    assert began.wait(20)
    status = service.status(copied)
    assert (status["status"], status["phase"]) == ("running", "searching")
    assert 0 < status["progress"] < 1
    service.cancel(copied)
    status = service.wait(copied, 60)
    assert (status["status"], status["error"]["exit_code"]) == ("proven", "130")
    assert "the search was stopped" in status["error"]["message"]
    assert service.searches.result(copied) is None
    flaws.clear()
    service.searches.start(copied)  # goes on with what was asked for
    service.wait(copied, 60)
    assert service.searches.result(copied)["queries"] == 600


def test_killed_while_it_searched_the_run_is_what_it_was(service, copied, tmp_path):
    ledger = service.manager.ledger
    rows.note(ledger, copied, search={"options": SearchOptions(k=7, samples=9).to_json(), "standing": "proven"})
    rows.begin(ledger, copied, "searching")  # and nobody holds the lock: the process is gone
    other = Service(service.home)
    try:
        assert other.status(copied)["status"] == "proven"
        assert other.runs()[0]["status"] == "proven"
        with pytest.raises(ConfigError, match="is not running"):
            other.cancel(copied)
        with pytest.raises(ConfigError, match="is finished"):
            other.resume(copied)
        other.searches.start(copied)
        assert other.wait(copied, 60)["status"] == "proven"
        found = other.searches.result(copied)
        assert (found["k"], found["queries"]) == (7, 9)
    finally:
        other.close()


def test_a_run_that_differs_keeps_that_when_its_search_is_killed(service, copied, collections):
    collections["target"].delete(["r1"], "a")
    service.start_verify(copied)
    service.wait(copied, 60)
    rows.note(service.manager.ledger, copied, search={"options": SearchOptions().to_json(), "standing": "differs"})
    rows.begin(service.manager.ledger, copied, "searching")
    service.start_verify(copied)
    assert service.wait(copied, 60)["status"] == "differs"


def test_a_new_proof_says_that_the_search_was_before_it(service, copied):
    found = search(service, copied)
    assert found["proof_finished"] == service.result(copied)["finished"]
    service.start_verify(copied)
    service.wait(copied, 60)
    assert found["proof_finished"] < service.result(copied)["finished"]


def test_more_namespaces_than_samples(service, seed, copy):
    seed("source", *(batch_of([{"id": "r", "values": [1, n, 2], "namespace": f"ns{n:02}"}]) for n in range(30)))
    found = search(service, copy().run, samples=20)
    assert found["queries"] == 20
    assert [finding["code"] for finding in found["findings"]] == ["namespaces_not_sampled"]


def test_two_searches_choose_the_same_vectors(service, copied):
    first, again = ({(answer["namespace"], answer["query"]) for answer in search(service, copied)["answers"]} for _ in range(2))
    assert first == again
