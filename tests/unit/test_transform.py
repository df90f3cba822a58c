"""Selection and routing: which rows, and under which namespace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.connectors import memory
from migrator.errors import ConfigError
from migrator.model import Endpoint, Mapping, Plan, Selection
from migrator.transform import compile_transform
from tests.unit.batches import batch_of, rows


def transform(namespaces=None, filter_=None, **mapping):
    return compile_transform(Plan(Endpoint("a", "b"), Endpoint("c", "d"), Selection(namespaces, filter_), Mapping(**mapping)))


def routes(records, **mapping):
    return transform(**mapping).route(batch_of(records)).column("namespace").to_pylist()


@pytest.mark.parametrize(
    ("value", "namespace"),
    [
        ("de", "de"),
        ("日本語", "日本語"),
        ("ä b/c", "ä b/c"),
        ("__default__", "__default__"),
        (7, "7"),
        (7.0, "7"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (1e20, "100000000000000000000"),
        (1e300, "1e+300"),
        (True, "true"),
        (False, "false"),
        (2**63, str(2**63)),
        (2**70, str(2**70)),
        ("", ""),
        (None, "kept"),
        (["de"], "kept"),
        ({"a": 1}, "kept"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_the_namespace_a_value_names(value, namespace):
    assert routes([{"id": "1", "namespace": "kept", "metadata": {"f": value}}], namespace_from="f") == [namespace]


RECORDS = [
    {"id": "1", "namespace": "n"},
    {"id": "2", "namespace": "n", "metadata": {"f": None}},
    {"id": "3", "metadata": {"f": ["y"]}},
    {"id": "4", "namespace": "n", "metadata": {"f": "y"}},
]


@pytest.mark.parametrize(
    ("rules", "namespaces"),
    [
        ({}, ["n", "n", "", "y"]),
        ({"namespace_missing": "default"}, ["", "", "", "y"]),
        ({"namespace_missing": "rest"}, ["rest", "rest", "rest", "y"]),
        ({"namespace_missing": "日"}, ["日", "日", "日", "y"]),
        ({"namespace_missing": "日", "namespace_encoding": "percent"}, ["%E6%97%A5"] * 3 + ["y"]),
        ({"target_namespace": "all"}, ["all", "all", "all", "y"]),
        ({"target_namespace": "all", "namespace_missing": "default"}, ["", "", "", "y"]),
    ],
    ids=repr,
)
def test_records_without_a_usable_value(rules, namespaces):
    assert routes(RECORDS, namespace_from="f", **rules) == namespaces
    assert transform(namespace_from="f", **rules).unroutable(batch_of(RECORDS)) == []


def test_records_without_a_usable_value_are_rejected_on_request():
    rules = transform(namespace_from="f", namespace_missing="reject")
    found = rules.unroutable(batch_of(RECORDS))
    assert [(problem.row, problem.code, problem.field) for problem in found] == [(0, *MISSING), (1, *MISSING), (2, *MISSING)]
    assert rules.routable(batch_of(RECORDS)).tolist() == [False, False, False, True]
    assert rules.routable(batch_of(RECORDS[3:])) is None


MISSING = ("namespace_missing", "metadata.f")


def test_namespaces_are_spelt_in_ascii_and_read_back():
    records = [{"id": str(n), "namespace": name} for n, name in enumerate(["日", "a b", "%E6%97%A5", "", "__default__", "50%"])]
    spelt = ["%E6%97%A5", "a b", "%25E6%2597%25A5", "", "%5F_default__", "50%"]
    assert routes(records, namespace_encoding="percent") == spelt
    back = [{**record, "namespace": name} for record, name in zip(records, spelt, strict=True)]
    assert routes(back, id_encoding="decode") == [record["namespace"] for record in records]
    assert routes([{"id": "1", "metadata": {"f": "日"}}, {"id": "2", "metadata": {"f": "__default__"}}], namespace_from="f", namespace_encoding="percent") == [
        "%E6%97%A5",
        "%5F_default__",
    ]


def test_ids_are_encoded_and_decoded():
    ids = ["日", "plain", "50%", "%E6%97%A5", "a\0b"]
    encoded = transform(id_encoding="percent").route(batch_of([{"id": name} for name in ids]))
    assert encoded.column("id").to_pylist() == ["%E6%97%A5", "plain", "50%", "%25E6%2597%25A5", "a%00b"]
    rules = transform(id_encoding="decode")
    assert rules.unroutable(encoded) == []
    assert rules.route(encoded).column("id").to_pylist() == ids


def test_what_cannot_be_decoded_is_no_record_of_the_target():
    batch = batch_of([{"id": "100%25"}, {"id": "日"}, {"id": "ok"}, {"id": "x", "namespace": "日"}, {"id": "y", "namespace": "%E6%97%A5"}])
    rules = transform(id_encoding="decode")
    assert [(problem.row, problem.code) for problem in rules.unroutable(batch)] == [
        (0, "id_not_encoded"),
        (1, "id_not_encoded"),
        (3, "namespace_not_encoded"),
    ]


@given(st.lists(rows, max_size=5), st.sampled_from(["reject", "percent"]), st.sampled_from(["keep", "percent"]), st.none() | st.just("to"))
def test_what_is_looked_up_by_target_name_is_what_was_routed(found, ids, namespaces, field):
    records = list({(record["namespace"], record["id"]): record for record in found}.values())
    if field:
        records = [{**record, "metadata": {"to": ["x", "日", 3, None][n % 4]}} for n, record in enumerate(records)]
    memory.COLLECTIONS["looked-up"] = table = memory.Table(3)
    table.append(batch_of(records))
    source = memory.MemoryStore(Endpoint("memory", "looked-up"))
    rules = transform(id_encoding=ids, namespace_encoding=namespaces, namespace_from=field)
    for record in rules.route(batch_of(records)).to_pylist():
        origins = rules.names.origins(record["namespace"], source.describe().namespaces)
        there = rules.look_up(source.fetch, [record["id"], "never"], origins, 3).to_pylist()
        assert str(record) in map(str, there)
        assert {row["id"] for row in there} == {record["id"]}
    assert len(rules.look_up(source.fetch, ["never"], [""], 3)) == 0
    del memory.COLLECTIONS["looked-up"]


def test_an_id_that_no_id_is_encoded_like_is_not_looked_for():
    memory.COLLECTIONS["looked-up"] = table = memory.Table(3)
    table.append(batch_of([{"id": "100%25"}]))
    source = memory.MemoryStore(Endpoint("memory", "looked-up"))
    assert len(transform(id_encoding="percent").look_up(source.fetch, ["100%25"], [""], 3)) == 0
    del memory.COLLECTIONS["looked-up"]


def test_values_of_two_types_in_one_namespace_are_noticed():
    rules = transform(namespace_from="f")
    values = ["1", 1, 2, 2.0, "true", True, "x", "x", 3, "4", None]
    rules.route(batch_of([{"id": str(n), "metadata": {"f": value}} for n, value in enumerate(values)]))
    assert rules.names.merged.found() == {"1": ["number", "string"], "true": ["boolean", "string"]}


def test_one_namespace_for_all_even_the_empty_one():
    records = [{"id": "1", "namespace": "a"}, {"id": "2"}]
    assert routes(records, target_namespace="日") == ["日", "日"]
    assert routes(records, target_namespace="") == ["", ""]
    assert routes(records) == ["a", ""]


def test_routing_an_empty_batch_and_changing_nothing_else():
    assert routes([], namespace_from="f") == []
    batch = batch_of([{"id": "1", "metadata": {"f": "x"}, "sparse_values": {"indices": [1], "values": [1.0]}}])
    moved = transform(namespace_from="f").route(batch)
    assert moved.schema == batch.schema
    assert [moved.column(name) for name in ("id", "values", "sparse_values", "metadata")] == [
        batch.column(name) for name in ("id", "values", "sparse_values", "metadata")
    ]


@pytest.mark.parametrize(
    ("namespaces", "filter_", "ids"),
    [
        (None, None, "1234"),
        (("a",), None, "12"),
        (("",), None, "4"),
        ((), None, ""),
        (None, {"n": {"$gt": 1}}, "23"),
        (("a",), {"n": {"$gt": 1}}, "2"),
        (("nope",), None, ""),
        (None, {"n": {"$exists": False}}, "4"),
    ],
)
def test_which_rows_are_selected(namespaces, filter_, ids):
    batch = batch_of(
        [
            {"id": "1", "namespace": "a", "metadata": {"n": 1}},
            {"id": "2", "namespace": "a", "metadata": {"n": 2}},
            {"id": "3", "namespace": "b", "metadata": {"n": 3}},
            {"id": "4"},
        ]
    )
    assert "".join(transform(namespaces, filter_).selected(batch).column("id").to_pylist()) == ids


def test_a_bad_filter_is_refused_before_anything_runs():
    with pytest.raises(ConfigError):
        transform(filter_={"a": {"$x": 1}})
