"""Routing and spelling, run end to end: into a target that takes ASCII names only, and back out of it."""

from __future__ import annotations

import time

import pytest

from migrator.connectors import memory
from migrator.errors import PlanError
from migrator.model import Capabilities, Follow
from migrator.service import PlanOptions
from tests.runs.conftest import Ended, contents
from tests.unit.batches import batch_of, numbered

PINECONE = Capabilities(
    deletes=True,
    ascii_ids=True,
    max_id_bytes=512,
    max_metadata_bytes=40_960,
    max_namespace_bytes=512,
    ascii_namespaces=True,
    max_dimension=20_000,
    metadata_integers="float64",
    nested_metadata=False,
    list_metadata="strings",
    max_sparse_values=2_048,
    null_metadata_values=False,
    zero_vectors=False,
)


@pytest.fixture
def strict(monkeypatch):
    """Make every memory collection but those called ``free`` take what Pinecone takes."""
    free = memory.capabilities()
    monkeypatch.setattr(memory, "capabilities", lambda endpoint=None: free if endpoint and endpoint.resource == "free" else PINECONE)


def pair(service, source="memory:source", target="memory:target", **options) -> Ended:
    return Ended(service, service.start_verify_pair(source, target, PlanOptions(**options)))


def codes(ended) -> dict[str, str]:
    return {row["id"]: row["code"] for row in ended.result["rejected"]}


NAMES = ["日本", "a b", "%E6%97%A5%E6%9C%AC", "", "__default__", "50%", "日本 50%"]
SPELT = ["%E6%97%A5%E6%9C%AC", "a b", "%25E6%2597%25A5%25E6%259C%25AC", "", "%5F_default__", "50%", "%E6%97%A5%E6%9C%AC 50%25"]


def test_there_and_back_again(seed, copy, service, collections, strict):
    table = seed("source", batch_of([{"id": f"{name}é", "namespace": name, "values": [n + 1.0, 0, 0]} for n, name in enumerate(NAMES)]))
    there = copy(id_encoding="percent")
    assert (str(there), there.counts) == ("proven", (7, 7, 0, 0, 0))
    assert {name for name, _ in contents(collections["target"])} == set(SPELT)
    assert all(id_.isascii() for _, id_ in contents(collections["target"]))
    service.start_verify(there.run)
    assert str(Ended(service, there.run)) == "proven"
    assert str(pair(service, id_encoding="percent")) == "proven"
    back = copy("memory:target", "memory:free", id_encoding="decode")
    assert (str(back), contents(collections["free"])) == ("proven", contents(table))
    assert str(pair(service, "memory:target", "memory:free", id_encoding="decode")) == "proven"


def test_a_difference_is_named_and_shown_through_the_spelling(seed, copy, service, collections, strict):
    seed("source", batch_of([{"id": "日", "namespace": "東京", "values": [1, 2, 3]}, {"id": "b", "values": [1, 2, 4]}]))
    ended = copy(id_encoding="percent")
    (row,) = [row for row in collections["target"].live() if row.id != "b"]
    collections["target"].upsert(batch_of([{"id": row.id, "namespace": row.namespace, "values": [1, 2, 9]}]))
    service.start_verify(ended.run)
    again = Ended(service, ended.run)
    assert str(again) == "differs"
    (difference,) = again.result["differences"]
    assert (difference["id"], difference["namespace"], difference["class"]) == ("%E6%97%A5", "%E6%9D%B1%E4%BA%AC", "changed")
    found = service.difference(ended.run, difference["namespace"], difference["id"])
    assert [found[side]["values"] for side in ("source", "target")] == [[1, 2, 3], [1, 2, 9]]


def test_ids_that_are_not_ascii_need_consent_or_an_encoding(seed, copy, service, strict):
    seed("source", batch_of([{"id": "日", "values": [1, 0, 0]}, {"id": "ok", "values": [1, 0, 0]}]))
    with pytest.raises(PlanError) as caught:
        copy()
    assert "percent" in caught.value.fix
    ended = copy(accept_lossy=True)
    assert (str(ended), ended.counts, codes(ended)) == ("incomplete", (2, 1, 1, 0, 0), {"日": "id_not_ascii"})


def test_an_id_too_long_once_encoded_is_rejected(seed, copy, strict):
    seed("source", batch_of([{"id": "日" * 57, "values": [1, 0, 0]}, {"id": "日" * 56, "values": [1, 0, 0]}]))
    ended = copy(id_encoding="percent")
    assert (str(ended), ended.counts) == ("incomplete", (2, 1, 1, 0, 0))
    assert set(codes(ended).values()) == {"id_too_long"}


def test_a_run_into_the_same_target_again_knows_its_own_records(seed, copy, strict):
    seed("source", batch_of([{"id": "日", "namespace": "東", "values": [1, 0, 0]}]))
    assert str(copy(id_encoding="percent")) == "proven"
    again = copy(id_encoding="percent")
    assert (str(again), [finding["code"] for finding in again.result["findings"]]) == ("proven", ["namespace_encoded", "target_not_empty"])
    assert str(copy(id_encoding="percent", new_only=True)) == "proven"


def test_only_some_namespaces_by_the_names_the_source_has(seed, copy, collections, strict):
    seed("source", numbered(5, namespace="東"), numbered(5, namespace="b", start=5))
    seed("target", batch_of([{"id": "other", "namespace": "elsewhere", "values": [1, 0, 0]}]))
    assert str(copy(namespaces=("東",))) == "proven"
    assert {name for name, _ in contents(collections["target"])} == {"elsewhere", "%E6%9D%B1"}


@pytest.mark.parametrize("given", ["__default__", "", "東"])
def test_one_namespace_for_all_in_an_ascii_target(seed, copy, collections, strict, given):
    seed("source", numbered(3, namespace="a"))
    assert str(copy(target_namespace=given)) == "proven"
    assert {name for name, _ in contents(collections["target"])} == {"%E6%9D%B1" if given == "東" else ""}


ROUTED = [
    {"id": "1", "values": [1, 0, 0], "metadata": {"lang": "日本"}},
    {"id": "2", "values": [1, 0, 0], "metadata": {"lang": "中国"}},
    {"id": "3", "values": [1, 0, 0], "metadata": {"lang": ""}},
    {"id": "4", "values": [1, 0, 0], "metadata": {"lang": 7.0}},
    {"id": "5", "values": [1, 0, 0], "metadata": {"lang": True}},
    {"id": "6", "values": [1, 0, 0], "metadata": {"lang": ["de"]}, "namespace": "own"},
    {"id": "7", "values": [1, 0, 0], "metadata": None, "namespace": "own"},
    {"id": "8", "values": [1, 0, 0], "metadata": {"lang": "__default__"}},
]


@pytest.mark.parametrize(("missing", "where"), [("keep", "own"), ("default", ""), ("spare", "spare"), ("余", "%E4%BD%99"), ("reject", None)])
def test_routing_by_a_field_with_values_of_every_kind(seed, copy, service, collections, strict, missing, where):
    seed("source", batch_of(ROUTED))
    ended = copy(namespace_from="lang", namespace_missing=missing)
    expected = {"1": "%E6%97%A5%E6%9C%AC", "2": "%E4%B8%AD%E5%9B%BD", "3": "", "4": "7", "5": "true", "8": "%5F_default__"}
    expected |= {} if where is None else {"6": where, "7": where}
    assert {id_: name for name, id_ in contents(collections["target"])} == expected
    rejected = {"6": "namespace_missing", "7": "namespace_missing"} if where is None else {}
    assert (str(ended), codes(ended)) == ("incomplete" if rejected else "proven", rejected)
    service.start_verify(ended.run)
    assert str(Ended(service, ended.run)) == str(ended)
    compared = pair(service, namespace_from="lang", namespace_missing=missing)
    assert (str(compared), codes(compared), compared.counts[:3]) == (str(ended), rejected, ended.counts[:3])


def test_a_rejected_record_is_nobodys_duplicate(seed, copy, collections, strict):
    record = {"id": "1", "values": [1, 0, 0]}
    unusable, routed = {**record, "namespace": "x"}, {**record, "values": [2, 0, 0], "metadata": {"to": "x"}}
    seed("source", batch_of([unusable, routed]))
    ended = copy(namespace_from="to", namespace_missing="reject")
    assert (str(ended), ended.counts) == ("incomplete", (2, 1, 1, 0, 0))
    assert collections["target"].live()[0].values.tolist() == [2, 0, 0]


def test_the_first_namespace_may_be_empty_and_values_may_sit_in_the_last_only(seed, copy, service, collections):
    seed(
        "source",
        numbered(40, namespace="b"),
        batch_of([{"id": "x", "namespace": "z", "metadata": {"lang": 5}}, {"id": "y", "namespace": "z", "metadata": {"lang": "5"}}]),
    )
    plan = service.plan("memory:source", "memory:target", PlanOptions(namespace_from="lang"))
    assert [(finding.severity, finding.code) for finding in plan.findings] == [("info", "namespace_routing"), ("lossy", "namespaces_merged")]
    with pytest.raises(PlanError, match="number and by a string"):
        service.start(plan)
    assert str(copy(namespace_from="lang", accept_lossy=True)) == "proven"
    assert {name for name, _ in contents(collections["target"])} == {"b", "5"}


def test_values_merged_beyond_the_sample_are_said_in_the_result(seed, copy):
    seed("source", batch_of([{"id": str(n), "metadata": {"lang": "de" if n < 200 else [1, "1"][n % 2]}} for n in range(210)]))
    ended = copy(namespace_from="lang")
    assert str(ended) == "proven"
    assert [(finding["severity"], finding["code"]) for finding in ended.result["findings"]] == [("info", "namespace_routing"), ("info", "namespaces_merged")]
    assert "the namespace '1' is named by a number and by a string" in ended.log


def test_where_records_will_go_can_be_seen_before(seed, service, strict):
    seed("source", batch_of(ROUTED), numbered(50, namespace="plain"))
    plan = service.plan("memory:source", "memory:target", PlanOptions(namespace_from="lang", namespace_missing="reject"))
    rows = service.routing_preview(plan, 10)
    assert rows[0] == {"value": None, "namespace": None, "records": 12, "rule": "are rejected"}
    assert {(row["value"], row["namespace"], row["rule"]) for row in rows[1:]} == {
        ('"日本"', "%E6%97%A5%E6%9C%AC", "named by the field, spelt in ASCII"),
        ('"中国"', "%E4%B8%AD%E5%9B%BD", "named by the field, spelt in ASCII"),
        ('""', "", "empty text names the default namespace"),
        ("7.0", "7", "number as text"),
        ("true", "true", "boolean as text"),
        ('"__default__"', "%5F_default__", "named by the field, spelt in ASCII"),
    }
    plain = service.routing_preview(service.plan("memory:source", "memory:target"), 3)
    assert plain == [
        {"value": "", "namespace": "", "records": 3, "rule": "its own namespace"},
        {"value": "plain", "namespace": "plain", "records": 3, "rule": "its own namespace"},
        {"value": "own", "namespace": "own", "records": 2, "rule": "its own namespace"},
    ]
    one = service.routing_preview(service.plan("memory:source", "memory:target", PlanOptions(target_namespace="東", namespaces=("own",))), 3)
    assert one == [{"value": "own", "namespace": "%E6%9D%B1", "records": 2, "rule": "the one namespace for all, spelt in ASCII"}]


def test_everything_a_pinecone_like_target_refuses_is_rejected_and_the_rest_goes_on(seed, copy, collections, strict):
    good = {"values": [1, 2, 3], "metadata": {"a": 1, "b": ["x"]}}
    bad = {
        "not_finite": {"values": [1, float("nan"), 3]},
        "zero_vector": {"values": [0, 0, 0]},
        "id_has_nul": {"id": "nul\0"},
        "id_empty": {"id": ""},
        "id_too_long": {"id": "x" * 513},
        "id_not_ascii": {"id": "é"},
        "null_metadata": {"metadata": {"a": None}},
        "nested_metadata": {"metadata": {"a": {"b": 1}}},
        "list_not_strings": {"metadata": {"a": [1, 2]}},
        "metadata_too_large": {"metadata": {"a": "x" * 40_960}},
        "integer_too_large": {"metadata": {"a": 2**53 + 1}},
        "bad_sparse_values": {"sparse_values": {"indices": [7, 7], "values": [1, 2]}},
        "too_many_sparse_values": {"sparse_values": {"indices": list(range(2_049)), "values": [1.0] * 2_049}},
        "namespace_too_long": {"namespace": "n" * 513},
    }
    kept = [
        {"id": "infinite weights aside", "sparse_values": {"indices": [9, 2], "values": [1, 2]}},
        {"id": "x" * 512},
        {"id": "big", "metadata": {"a": 2**53, "b": "x" * 40_900}},
        {"id": "spelt", "namespace": "é"},
    ]
    seed("source", batch_of([{**good, "id": code, **change} for code, change in bad.items()] + [{**good, **record} for record in kept]))
    ended = copy(accept_lossy=True)
    assert sorted(row["code"] for row in ended.result["rejected"]) == sorted(bad)
    assert (str(ended), ended.counts) == ("incomplete", (len(bad) + len(kept), len(kept), len(bad), 0, 0))
    assert {id_ for _, id_ in contents(collections["target"])} == {record["id"] for record in kept}


def test_following_a_source_whose_names_are_spelt_otherwise(seed, service, collections, strict):
    source = seed("source", *[batch_of([{"id": name, "namespace": "東", "values": [n + 1.0, 0, 0]}]) for n, name in enumerate(["日", "本", "国"])])
    follow = Follow(interval=0.02, deletes=True)
    run = service.start(service.plan("memory:source", "memory:target", PlanOptions(id_encoding="percent", follow=follow)))
    until(lambda: service.status(run)["follow"]["passes"] >= 1)
    source.delete(["日"], "東")
    source.upsert(batch_of([{"id": "本", "namespace": "東", "values": [9, 0, 0]}, {"id": "語", "namespace": "東", "values": [7, 0, 0]}]))
    until(lambda: {row.id: row.values[0] for row in collections["target"].live()} == {"%E6%9C%AC": 9, "%E5%9B%BD": 3, "%E8%AA%9E": 7})
    service.finish_following(run)
    ended = Ended(service, run)
    assert (str(ended), ended.counts) == ("proven", (3, 3, 0, 0, 0))
    assert {row.namespace for row in collections["target"].live()} == {"%E6%9D%B1"}


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
