"""Exact answers against plain sorting, and recalls that take a tie for what it is."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.records import make_batch
from migrator.verify.search.measures import Answers, drift, judge, latency, overlaps, recalls, spread
from migrator.verify.search.queries import Query
from migrator.verify.search.truth import Truth
from tests.unit.batches import batch_of

METRICS = ["cosine", "dotproduct", "euclidean"]


def near(metric, query, record) -> float:
    """The plain definition, for one pair."""
    query, record = np.asarray(query, np.float64), np.asarray(record, np.float64)
    if metric == "euclidean":
        return -float(np.square(query - record).sum())
    if metric == "dotproduct":
        return float(query @ record)
    lengths = math.sqrt(query @ query) * math.sqrt(record @ record)
    return float(query @ record) / lengths if lengths else 0.0


def asked(*vectors, namespace="", filter_=None) -> list[Query]:
    return [Query(f"q{place}", np.asarray(vector, np.float32), namespace, filter_) for place, vector in enumerate(vectors)]


small = st.integers(-3, 3).map(float)
records = st.lists(
    st.fixed_dictionaries(
        {"values": st.lists(small, min_size=3, max_size=3), "namespace": st.sampled_from(["", "a"]), "metadata": st.sampled_from([None, {"n": 1}, {"n": 2}])}
    ),
    min_size=1,
    max_size=30,
)


@given(records, st.lists(st.lists(small, min_size=3, max_size=3), min_size=1, max_size=4), st.integers(1, 6), st.sampled_from(METRICS), st.integers(1, 40))
def test_the_same_as_sorting_all(rows, vectors, k, metric, size):
    rows = [{**row, "id": f"r{place}"} for place, row in enumerate(rows)]
    queries = asked(*vectors, namespace="a") + asked(*vectors, filter_={"n": {"$lt": 2}})
    truth = Truth(queries, k, metric)
    for start in range(0, len(rows), size):
        truth.add(batch_of(rows[start : start + size]))
    for place, query in enumerate(queries):
        fitting = [row for row in rows if row["namespace"] == query.namespace and (query.filter is None or row["metadata"] == {"n": 1})]
        scores = sorted((near(metric, query.vector, row["values"]) for row in fitting), reverse=True)[:k]
        assert [score for _, score in truth.nearest(place)] == pytest.approx(scores, abs=1e-9)
        assert truth.candidates(place) == len(fitting)
        by_id = {row["id"]: near(metric, query.vector, row["values"]) for row in fitting}
        assert all(by_id[name] == pytest.approx(score, abs=1e-9) for name, score in truth.nearest(place))


@pytest.mark.parametrize("metric", METRICS)
def test_blocks_and_batches_of_any_size_give_one_answer(monkeypatch, metric):
    values = np.random.default_rng(2).standard_normal((3000, 8), dtype=np.float32)
    queries = asked(*values[:600:2])  # more than are compared at once
    whole, parts = Truth(queries, 7, metric), Truth(queries, 7, metric)
    ids = [f"r{n}" for n in range(len(values))]
    whole.add(make_batch(ids, values))
    monkeypatch.setattr("migrator.verify.search.truth._BLOCK_BYTES", 64 * 1024)
    for start in range(0, 3000, 701):
        parts.add(make_batch(ids[start : start + 701], values[start : start + 701].copy()))
    assert [whole.nearest(place) for place in range(300)] == [parts.nearest(place) for place in range(300)]
    order = np.argsort(-np.array([near(metric, values[10], row) for row in values]), kind="stable")[:7]
    assert [name for name, _ in whole.nearest(5)] == [f"r{n}" for n in order]


def test_far_from_the_origin_distances_stay_exact():
    values = np.float32(1e4) + np.random.default_rng(4).standard_normal((500, 16)).astype(np.float32)
    truth = Truth(asked(values[3]), 5, "euclidean")
    truth.add(make_batch([str(n) for n in range(500)], values))
    order = np.argsort(np.square(values.astype(np.float64) - values[3].astype(np.float64)).sum(axis=1))[:5]
    assert [name for name, _ in truth.nearest(0)] == [str(n) for n in order]


def test_vectors_that_are_no_numbers_come_last():
    truth = Truth(asked([1, 0, 0]), 2, "cosine")
    truth.add(batch_of([{"id": "bad", "values": [math.nan, 1, 1]}, {"id": "good", "values": [1, 0, 0]}, {"id": "zero", "values": [0, 0, 0]}]))
    assert [name for name, _ in truth.nearest(0)] == ["good", "zero"]


def answers(*hits) -> Answers:
    return Answers([[(name, 0.0) for name in names] for names in hits], [0.001] * len(hits))


def fetch_from(rows):
    def fetch(ids, namespace):
        return batch_of([row for row in rows if row["id"] in ids and row.get("namespace", "") == namespace])

    return fetch


@pytest.mark.parametrize("metric", METRICS)
def test_any_record_that_ties_with_the_last_counts(metric):
    rows = [{"id": "first", "values": [1, 0, 0]}, *({"id": f"tie{n}", "values": [0.8, 0.6, 0]} for n in range(20)), {"id": "far", "values": [0, 0, 1]}]
    truth = Truth(asked([1, 0, 0]), 3, metric)
    truth.add(batch_of(rows))
    for names, recall in ((["first", "tie18", "tie19"], 1.0), (["tie1", "tie2", "tie3"], 1.0), (["first", "tie1", "far"], 2 / 3), (["far", "gone"], 0.0)):
        assert recalls(truth, answers(names), fetch_from(rows)) == [pytest.approx(recall)], names


def test_a_tie_must_match_the_filter_and_lie_in_the_namespace():
    rows = [{"id": f"r{n}", "values": [1, 0, 0], "metadata": {"n": n % 2}, "namespace": "ab"[n > 5]} for n in range(10)]
    truth = Truth(asked([1, 0, 0], namespace="a", filter_={"n": 1}), 2, "cosine")
    truth.add(batch_of(rows))
    for names, recall in ((["r1", "r5"], 1.0), (["r1", "r4"], 0.5), (["r7", "r9"], 0.0)):
        assert recalls(truth, answers(names), fetch_from(rows)) == [recall], names


def test_naming_one_record_twice_is_finding_it_once():
    rows = [{"id": f"r{n}", "values": [1, n, 0]} for n in range(5)]
    truth = Truth(asked([1, 0, 0]), 2, "cosine")
    truth.add(batch_of(rows))
    assert recalls(truth, answers(["r0", "r0"]), fetch_from(rows)) == [0.5]


def test_fewer_records_than_asked_for_are_all_there_is():
    rows = [{"id": "a", "values": [1, 0, 0]}, {"id": "b", "values": [0, 1, 0]}]
    truth = Truth(asked([1, 0, 0]) + asked([1, 0, 0], filter_={"n": 9}), 10, "euclidean")
    truth.add(batch_of(rows))
    found = recalls(truth, answers(["a", "b"], []), fetch_from(rows))
    assert found[0] == 1.0
    assert math.isnan(found[1])
    assert spread(found) == {"mean": 1.0, "p05": 1.0, "min": 1.0}
    assert spread([math.nan]) is None


def test_overlap_and_drift():
    source = Answers([[("a", 0.9), ("b", 0.8)], [("a", 1.0)], []], [])
    target = Answers([[("b", 0.7), ("c", 0.6)], [("a", math.nan)], []], [])
    assert overlaps(source, target)[:2] == [0.5, 1.0]
    assert math.isnan(overlaps(source, target)[2])
    assert drift(source, target) == {"mean": pytest.approx(0.1), "max": pytest.approx(0.1)}
    assert drift(source, Answers([[], [], []], [])) is None


def test_latency_is_in_milliseconds():
    assert latency(Answers([], [0.001, 0.002, 0.003])) == {"p50": pytest.approx(2.0), "p95": pytest.approx(2.9)}
    assert latency(Answers()) is None


def side(mean):
    return None if mean is None else {"mean": mean, "p05": 0.0, "min": 0.0}


@pytest.mark.parametrize(
    ("target", "source", "verdict", "said"),
    [
        (1.0, 0.59, "pass", "100.0%"),
        (0.96, None, "pass", "96.0%"),
        (0.95, 1.0, "pass", "95.0% was asked for"),
        (0.60, 0.60, "pass", "no less than the source's own search"),
        (0.595, 0.60, "pass", "no less than the source's own search"),
        (0.58, 0.60, "fail", "the source's own search finds 60.0%"),
        (0.90, 1.0, "fail", "95.0% was asked for"),
        (0.90, None, "fail", "cannot be asked"),
        (None, 0.9, "not judged", "no search"),
    ],
)
def test_verdict(target, source, verdict, said):
    found, reason = judge(side(target), side(source), 0.95, 10)
    assert found == verdict
    assert said in reason


def test_what_is_kept_does_not_grow_with_the_records():
    truth = Truth(asked([1.0] * 4), 5, "euclidean")
    values = np.random.default_rng(1).standard_normal((20_000, 4), dtype=np.float32)
    truth.add(make_batch(pa.array([f"r{n}" for n in range(20_000)]), values))
    ((group,),) = [list(groups.values()) for groups in truth._groups.values()]
    assert group.best.shape == group.names.shape == (1, 5)
    assert truth.records == 20_000
