"""The data plane of one index: what it refuses, what it stores, what reads see and when."""

from __future__ import annotations

import numpy as np
import pytest

from migrator.local_pinecone.engine import ApiError, Deployment, Rates, Record, Settings
from tests.local_pinecone.making import PODS, Clock, Engine, definition, ids, index, put, record, sparse_definition, sparse_vector


def refused(call, *arguments, **options):
    with pytest.raises(ApiError) as caught:
        call(*arguments, **options)
    return caught.value


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (record("a", [1, 2, 3]), "Vector dimension 3 does not match the dimension of the index 2"),
        (record("a"), "Vector dimension 0 does not match the dimension of the index 2"),
        (record("a", [0, 0]), "Dense vectors must contain at least one non-zero value. Vector ID 'a' contains only zeros"),
        (record("a", [1, float("nan")]), "finite"),
        (record("a", [1, float("inf")]), "finite"),
        (record("", [1, 2]), "empty"),
        (record("é", [1, 2]), "Vector ID must be ASCII, but got 'é'"),
        (record("\ud800", [1, 2]), "ASCII"),
        (record("a\0b", [1, 2]), "null"),
        (record("a" * 513, [1, 2]), "513"),
        (record("a", [1, 2], {}), "Sparse vector must contain at least one value"),
        (record("a", [1, 2], dict.fromkeys(range(2049), 1.0)), "2048"),
        (record("a", [1, 2], {1: float("nan")}), "finite"),
        (Record("a", np.ones(2, np.float32), (np.array([1, 1], np.uint32), np.ones(2, np.float32))), "duplicate"),
        (Record("a", np.ones(2, np.float32), (np.array([1], np.uint32), np.ones(2, np.float32))), "mismatch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_record_that_cannot_be_stored_is_refused_with_the_whole_request(wrong, words):
    target = index()
    error = refused(put, target, record("good", [1, 2]), wrong)
    assert (error.status, error.code) == (400, 3)
    assert words in error.message
    assert target.stats().total == 0


def test_a_request_is_held_to_its_size_and_its_number_of_records():
    target = index()
    error = refused(target.upsert, "", [record("a", [1, 2])], 2 * 2**20 + 1)
    assert (error.status, error.code) == (400, 11)
    assert "message length too large: found 2097153 bytes, the limit is: 2097152 bytes" in error.message
    many = [record(str(number), [1, 2]) for number in range(1001)]
    assert "1001" in refused(target.upsert, "", many, 10).message
    assert "At least one" in refused(target.upsert, "", [], 10).message
    target.upsert("", many[:1000], 2 * 2**20)
    assert target.stats().total == 1000


@pytest.mark.parametrize("value", [1e-30, 1e30])
def test_vectors_whose_squares_leave_float32_are_stored_and_compared(value):
    target = index(metric="dotproduct")
    put(target, record("a", [value, 0]))
    assert target.fetch("", ["a"]).value["a"].values.tolist() == [np.float32(value), 0]


def test_of_one_id_given_twice_the_last_is_kept():
    target = index()
    put(target, record("a", [1, 2], {1: 1.0}, n=1), record("a", [3, 4], n=2))
    found = target.fetch("", ["a"]).value["a"]
    assert (found.values.tolist(), found.sparse, found.metadata.fields) == ([3, 4], None, {"n": 2})


def test_the_default_namespace_has_two_names():
    target = index()
    put(target, record("a", [1, 2]), namespace="__default__")
    assert ids(target, "") == ids(target, "__default__") == ["a"]
    assert dict(target.stats().namespaces) == {"": 1}


def test_what_was_fetched_does_not_change_with_the_index():
    target = index()
    put(target, record("a", [1, 2]))
    found = target.fetch("", ["a"]).value["a"]
    put(target, record("a", [3, 4]), *[record(str(number), [5, 5]) for number in range(900)])
    assert found.values.tolist() == [1, 2]


@pytest.mark.parametrize("name", ["日本", "a\0b", "a" * 513])
def test_a_namespace_that_cannot_be_is_refused(name):
    target = index()
    assert refused(put, target, record("a", [1, 2]), namespace=name).status == refused(target.create_namespace, name).status == 400


def test_the_default_namespace_is_always_there():
    target = index()
    assert target.namespace("__default__").records == 0
    target.delete("", ids=["a"])
    target.delete_namespace("")


def test_list_goes_by_pages_in_bitwise_order_and_knows_prefixes():
    target = index()
    names = [f"{letter}{number}" for letter in "aBz" for number in range(120)]
    for start in range(0, len(names), 50):
        put(target, *[record(name, [1, 2]) for name in names[start : start + 50]])
    pages, token = [], None
    while True:
        page = target.list("", token=token).value
        pages.append(page.ids)
        token = page.next_token
        if token is None:
            break
    assert [len(page) for page in pages] == [100, 100, 100, 60]
    assert [id_ for page in pages for id_ in page] == sorted(names)
    prefixed = target.list("", prefix="a1", limit=5)
    assert prefixed.value.ids == sorted(name for name in names if name.startswith("a1"))[:5]
    assert target.list("", prefix="a1", limit=5, token=prefixed.value.next_token).value.ids[0] > prefixed.value.ids[-1]
    assert target.list("", prefix="zz").value.ids == []
    for wrong in ({"limit": 101}, {"limit": 0}, {"token": "é"}, {"token": "a"}):
        assert refused(target.list, "", **wrong).status == 400


@pytest.mark.parametrize("count", [0, 1001])
def test_fetch_takes_one_to_a_thousand_ids(count):
    assert refused(index().fetch, "", ["a"] * count).status == 400


def test_reading_costs_units():
    target = index()
    put(target, *[record(str(number), [1, 2]) for number in range(25)])
    assert target.fetch("", [str(number) for number in range(25)]).read_units == 3
    assert target.fetch("", ["x"]).read_units == target.list("").read_units == target.query("", 1, id="1").read_units == 1


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("cosine", {"a": 1.0, "b": 0.6, "c": -1.0}), ("dotproduct", {"a": 2.0, "b": 3.0, "c": -1.0}), ("euclidean", {"a": 1.0, "b": 20.0, "c": 4.0})],
)
def test_scores_are_what_the_service_gives(metric, expected):
    target = index(metric=metric)
    put(target, record("a", [2, 0]), record("b", [3, 4]), record("c", [-1, 0]))
    found = target.query("", 3, vector=np.array([1, 0], np.float32)).value
    assert {match.record.id: pytest.approx(match.score) for match in found} == expected
    assert [match.record.id for match in found] == sorted(expected, key=expected.get, reverse=metric != "euclidean")
    assert all(match.record.values is None and match.record.metadata is None for match in found)


def test_a_query_finds_by_id_by_filter_and_not_what_was_deleted():
    target = index()
    put(target, *[record(f"v{number}", [1, number], even=number % 2 == 0) for number in range(10)])
    target.delete("", ids=["v8"])
    assert [match.record.id for match in target.query("", 2, id="v9").value] == ["v9", "v7"]
    even = target.query("", 10, id="v9", filter={"even": True}, include_values=True, include_metadata=True).value
    assert [match.record.id for match in even] == ["v6", "v4", "v2", "v0"]
    assert (even[0].record.values.tolist(), even[0].record.metadata.fields) == ([1, 6], {"even": True})
    assert target.query("", 10, id="nowhere").value == []
    assert target.query("other", 10, id="v1").value == []


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"top_k": 0, "id": "a"}, "topK"),
        ({"top_k": 10_001, "id": "a"}, "topK"),
        ({"top_k": 1}, "vector"),
        ({"top_k": 1, "id": "a", "vector": np.ones(2, np.float32)}, "both"),
        ({"top_k": 1, "vector": np.ones(3, np.float32)}, "dimension 3"),
        ({"top_k": 1, "id": "a", "filter": {}}, "filter"),
        ({"top_k": 1, "id": "a", "filter": {"a": {"$near": 1}}}, "$near"),
        ({"top_k": 1, "vector": np.ones(2, np.float32), "sparse": sparse_vector({1: 1})}, "does not support sparse values"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(question, words):
    error = refused(index().query, "", **question)
    assert error.status == 400
    assert words in error.message


def test_a_result_beyond_four_megabytes_is_refused():
    target = index(dimension=1000)
    put(target, *[record(str(number), [1] * 1000) for number in range(1000)])
    put(target, *[record(str(number), [1] * 1000) for number in range(1000, 1100)])
    assert len(target.query("", 1100, id="1").value) == 1100
    assert "4194304" in refused(target.query, "", 1100, id="1", include_values=True).message


def test_a_hybrid_query_adds_what_the_sparse_values_give():
    target = index(metric="dotproduct")
    put(target, record("a", [1, 0], {3: 2.0, 9: 1.0}), record("b", [2, 0]), record("c", [0, 1], {7: 5.0}))
    found = target.query("", 3, vector=np.array([1, 0], np.float32), sparse=sparse_vector({9: 1.0, 3: 0.5, 1: 4.0})).value
    assert {match.record.id: match.score for match in found} == {"a": 3.0, "b": 2.0, "c": 0.0}
    target.delete("", ids=["c"])
    put(target, record("d", [1, 0]))
    assert target.fetch("", ["d"]).value["d"].sparse is None


def test_a_sparse_index_takes_only_sparse_values_and_finds_what_shares_one():
    target = Engine().create(sparse_definition())
    put(target, record("a", sparse={1: 2.0, 2: 1.0}), record("b", sparse={5: 1.0}))
    assert [(match.record.id, match.score) for match in target.query("", 5, sparse=sparse_vector({2: 3.0})).value] == [("a", 3.0)]
    assert [match.record.id for match in target.query("", 5, id="b").value] == ["b"]
    assert refused(put, target, record("c", [1, 2], {1: 1.0})).status == 400
    assert refused(put, target, record("c")).status == 400
    assert refused(target.query, "", 1, vector=np.ones(2, np.float32)).status == 400
    assert (target.stats().dimension, target.stats().metric, target.stats().vector_type) == (None, "dotproduct", "sparse")


def test_an_update_changes_the_parts_it_names():
    target = index()
    put(target, record("a", [1, 2], {1: 1.0}, x=1, y=2))
    target.update("", id="a", set_metadata=record("", y=3, z=4).metadata)
    target.update("", id="a", values=np.array([5, 6], np.float32))
    found = target.fetch("", ["a"]).value["a"]
    assert (found.values.tolist(), found.sparse[0].tolist(), found.metadata.fields) == ([5, 6], [1], {"x": 1, "y": 3, "z": 4})
    target.update("", id="a", sparse=sparse_vector({2: 2.0}))
    assert target.fetch("", ["a"]).value["a"].sparse[0].tolist() == [2]
    target.update("", id="nowhere", values=np.array([5, 6], np.float32))
    assert ids(target) == ["a"]


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"id": "a", "filter": {"x": 1}},
        {"filter": {"x": 1}, "values": np.ones(2, np.float32)},
        {"id": "a", "values": np.ones(3, np.float32)},
        {"id": "a", "values": np.zeros(2, np.float32)},
        {"id": "a", "sparse": sparse_vector({})},
        {"id": "a", "set_metadata": record("", x="b" * 30_000).metadata},
    ],
    ids=["nothing", "both", "values by filter", "dimension", "zero", "empty sparse", "large metadata"],
)
def test_an_update_that_cannot_be_is_refused(parts):
    target = index()
    put(target, record("a", [1, 2], y="a" * 20_000))
    assert refused(target.update, "", **parts).status == 400
    assert target.fetch("", ["a"]).value["a"].values.tolist() == [1, 2]


def test_an_update_by_filter_says_how_many_it_changed():
    target = index()
    put(target, *[record(str(number), [1, 2], n=number) for number in range(10)])
    change = record("", seen=True).metadata
    assert target.update("", filter={"n": {"$gte": 7}}, set_metadata=change, dry_run=True).matched == 3
    assert target.fetch_by_metadata("", {"seen": True}).value.records == []
    assert target.update("", filter={"n": {"$gte": 7}}, set_metadata=change).matched == 3
    assert [one.id for one in target.fetch_by_metadata("", {"seen": True}).value.records] == ["7", "8", "9"]
    assert target.update("", id="1", set_metadata=change).matched is None


def test_deleting_by_id_by_filter_and_all():
    target = index()
    put(target, *[record(str(number), [1, 2], n=number) for number in range(10)])
    target.delete("", ids=["1", "nowhere"])
    target.delete("", filter={"n": {"$lt": 5}})
    assert ids(target) == ["5", "6", "7", "8", "9"]
    put(target, record("1", [1, 2]))
    assert ids(target) == ["1", "5", "6", "7", "8", "9"]
    target.delete("", ids=["7"])
    put(target, record("7", [1, 2]))
    assert ids(target) == ["1", "5", "6", "7", "8", "9"]
    target.delete("", delete_all=True)
    assert (ids(target), dict(target.stats().namespaces)) == ([], {"": 0})
    assert (refused(target.delete, "other", ids=["1"]).status, refused(target.delete, "").status) == (404, 400)
    assert refused(target.delete, "", ids=["1"], delete_all=True).status == 400
    assert refused(target.delete, "", ids=["1"] * 1001).status == 400


def test_fetching_by_metadata_goes_by_pages():
    target = index()
    put(target, *[record(f"{number:03}", [1, 2], odd=bool(number % 2)) for number in range(300)])
    first = target.fetch_by_metadata("", {"odd": True}).value
    second = target.fetch_by_metadata("", {"odd": True}, token=first.next_token).value
    assert (len(first.records), len(second.records), second.next_token) == (100, 50, None)
    assert first.records[-1].id < second.records[0].id
    assert refused(target.fetch_by_metadata, "", None).status == 400
    assert refused(target.fetch_by_metadata, "", {"odd": True}, 10_001).status == 400


@pytest.mark.parametrize(("matches", "expected"), [(True, ["b", "c"]), (False, ["b"])])
@pytest.mark.parametrize("filter_", [{"x": {"$ne": 1}}, {"$and": [{"x": {"$nin": [1, 5]}}]}])
def test_whether_unequal_matches_a_missing_field_can_be_set(matches, expected, filter_):
    target = index(Settings(ne_matches_missing=matches))
    put(target, record("a", [1, 2], x=1), record("b", [1, 2], x=2), record("c", [1, 2], y=1))
    assert [one.id for one in target.fetch_by_metadata("", filter_).value.records] == expected


def test_the_two_sided_question_means_the_same_under_both_settings():
    for matches in (True, False):
        target = index(Settings(ne_matches_missing=matches))
        put(target, record("a", [1, 2], x=1), record("b", [1, 2], x=2), record("c", [1, 2], y=1))
        filter_ = {"$or": [{"x": {"$ne": 1}}, {"x": {"$exists": False}}]}
        assert [one.id for one in target.fetch_by_metadata("", filter_).value.records] == ["b", "c"]


def test_a_write_is_seen_only_after_the_lag_and_the_numbers_say_so():
    clock = Clock()
    target = index(Settings(freshness_lag=5, clock=clock))
    first = put(target, record("a", [1, 2]), namespace="n")
    assert (ids(target, "n"), target.stats().total, target.list("n").max_indexed_lsn) == ([], 0, 0)
    clock.now += 3
    second = target.update("n", id="a", values=np.array([3, 4], np.float32)).lsn.request
    target.delete("n", ids=["x"])
    clock.now += 2
    seen = target.fetch("n", ["a"])
    assert (seen.value["a"].values.tolist(), seen.max_indexed_lsn) == ([1, 2], first)
    clock.now += 5
    seen = target.fetch("n", ["a"])
    assert seen.value["a"].values.tolist() == [3, 4]
    assert seen.max_indexed_lsn == second + 1
    assert target.list("other").max_indexed_lsn == 0
    put(target, record("b", [1, 2]), namespace="n")
    target.settings.freshness_lag = 0
    assert ids(target, "n") == ["a", "b"]


def test_the_numbers_of_a_namespace_go_on_after_it_was_deleted():
    target = index()
    put(target, record("a", [1, 2]), namespace="n")
    target.delete_namespace("n")
    assert put(target, record("a", [1, 2]), namespace="n") == 3
    assert put(target, record("a", [1, 2])) == 1


def test_rate_limits_are_a_namespaces_own_and_say_how_long_to_wait():
    clock = Clock()
    target = index(Settings(rate_limits=True, clock=clock, rates=Rates(namespace_upserts=10, namespace_upsert_bytes=1000, index_lists=2)))
    for _ in range(10):
        put(target, record("a", [1, 2]))
    error = refused(put, target, record("b", [1, 2]))
    assert (error.status, error.code, pytest.approx(error.retry_after)) == (429, 8, 0.1)
    put(target, record("a", [1, 2]), namespace="other")
    clock.now += error.retry_after
    put(target, record("b", [1, 2]))
    clock.now += 1
    target.upsert("", [record("c", [1, 2])], 5000)  # more than a second's worth, from a full bucket
    clock.now += 3
    assert refused(target.upsert, "", [record("d", [1, 2])], 100).retry_after == pytest.approx(1.1)
    assert ids(target) == ["a", "b", "c"]
    target.list("")
    assert refused(target.list, "").retry_after == pytest.approx(0.5)
    target.settings.rate_limits = False
    target.list("")


def test_an_idle_second_is_saved_up_but_no_more():
    clock = Clock()
    target = index(Settings(rate_limits=True, clock=clock, rates=Rates(namespace_upserts=2)))
    clock.now += 1000
    put(target, record("a", [1, 2]))
    clock.now += 1000
    put(target, record("a", [1, 2]))
    put(target, record("a", [1, 2]))
    assert refused(put, target, record("a", [1, 2])).status == 429


def test_a_pod_index_has_no_list_and_no_namespace_calls_but_filtered_counts():
    target = index(deployment=PODS)
    put(target, record("a", [1, 2], x=1), record("b", [1, 2], x=2), namespace="n")
    for call in (
        lambda: target.list(""),
        target.namespaces,
        lambda: target.namespace("n"),
        lambda: target.create_namespace("m"),
        lambda: target.delete_namespace("n"),
        lambda: target.fetch_by_metadata("n", {"x": 1}),
        lambda: target.update("n", filter={"x": 1}, set_metadata=record("", y=1).metadata),
    ):
        assert "pod-based" in refused(call).message
    assert dict(target.stats({"x": 2}).namespaces) == {"n": 1}
    assert target.stats({"x": 2}).total == 2
    target.delete("n", filter={"x": 1})
    target.delete("nowhere", ids=["a"])
    target.delete("n", delete_all=True)
    assert dict(target.stats().namespaces) == {}
    assert "Serverless and Starter" in refused(index().stats, {"x": 1}).message


def test_a_pod_index_filters_by_the_fields_it_was_told_to_index():
    target = index(deployment=Deployment("pod", environment="e", indexed=("x",)))
    put(target, record("a", [1, 2], x=1, y=1))
    assert len(target.query("", 5, id="a", filter={"x": 1}).value) == 1
    assert target.query("", 5, id="a", filter={"y": 1}).value == []


def test_a_namespace_filters_by_the_fields_it_was_made_for():
    target = index()
    target.create_namespace("n", {"fields": {"x": {"filterable": True}}})
    put(target, record("a", [1, 2], x=1, y=1), namespace="n")
    assert len(target.fetch_by_metadata("n", {"x": 1}).value.records) == 1
    assert target.fetch_by_metadata("n", {"y": 1}).value.records == []


def test_a_filter_too_deep_to_evaluate_is_refused():
    filter_ = {"x": 1}
    for _ in range(2000):
        filter_ = {"$and": [filter_]}
    assert "deeply" in refused(index().query, "", 1, id="a", filter=filter_).message


def test_namespaces_are_made_listed_described_and_deleted():
    target = index()
    for name in ("b", "a", "zz"):
        assert target.create_namespace(name, {"fields": {"x": {"filterable": True}}}).records == 0
    assert refused(target.create_namespace, "a").status == 409
    assert refused(target.create_namespace, "__default__").status == 400
    put(target, record("a", [1, 2]))
    page = target.namespaces(limit=2)
    assert ([one.name for one in page.namespaces], page.total) == (["__default__", "a"], 4)
    rest = target.namespaces(limit=2, token=page.next_token)
    assert ([one.name for one in rest.namespaces], rest.next_token) == (["b", "zz"], None)
    assert [one.name for one in target.namespaces(prefix="z").namespaces] == ["zz"]
    assert target.namespace("__default__").records == 1
    target.delete_namespace("a")
    assert refused(target.namespace, "a").status == refused(target.delete_namespace, "a").status == 404


def test_a_document_index_refuses_vectors_and_reads_as_empty():
    made = definition("d")
    target = Engine().create(type(made)("d", made.deployment, {"embedding": {"type": "dense_vector", "dimension": 2, "metric": "cosine"}}))
    assert "document" in refused(put, target, record("a", [1, 2])).message
    assert "document" in refused(target.update, "", id="a", values=np.ones(2, np.float32)).message
    assert (target.fetch("", ["a"]).value, target.stats().total, target.query("", 1, id="a").value) == ({}, 0, [])


def test_cosine_scores_follow_every_change_of_a_vector():
    target = index(metric="cosine")
    generator = np.random.default_rng(5)
    held: dict[str, np.ndarray] = {}

    def check() -> None:
        query = generator.standard_normal(2).astype(np.float32)
        found = {match.record.id: match.score for match in target.query("", 100, vector=query).value}
        assert found.keys() == held.keys()
        for name, values in held.items():
            assert found[name] == pytest.approx(values @ query / np.linalg.norm(values) / np.linalg.norm(query), abs=1e-5)

    for _ in range(30):
        some = {str(number): generator.standard_normal(2).astype(np.float32) for number in generator.integers(0, 40, 5)}
        put(target, *(record(name, values.tolist()) for name, values in some.items()))
        held |= some
        check()
        changed, gone = (str(generator.choice(list(held))) for _ in range(2))
        held[changed] = generator.standard_normal(2).astype(np.float32)
        target.update("", id=changed, values=held[changed])
        target.delete("", ids=[gone])
        del held[gone]
        check()
