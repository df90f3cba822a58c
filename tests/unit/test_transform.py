"""Selection and routing: which rows, and under which namespace."""

from __future__ import annotations

import pytest

from migrator.errors import ConfigError
from migrator.model import Endpoint, Mapping, Plan, Selection
from migrator.transform import compile_transform, routed
from tests.unit.batches import batch_of


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
        (7, "7"),
        (7.0, "7"),
        (-0.0, "0"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (10**400, str(10**400)),
        (2**63, str(2**63)),
        ("", "kept"),
        (None, "kept"),
        (["de"], "kept"),
        ({"a": 1}, "kept"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_the_namespace_a_value_names(value, namespace):
    assert routed(value, "kept") == namespace
    if namespace != str(10**400):
        assert routes([{"id": "1", "namespace": "kept", "metadata": {"f": value}}], namespace_from="f") == [namespace]


def test_a_missing_field_keeps_the_namespace_or_takes_the_given_one():
    records = [{"id": "1", "namespace": "n"}, {"id": "2", "namespace": "n", "metadata": {"other": "x"}}, {"id": "3", "metadata": {"f": "y"}}]
    assert routes(records, namespace_from="f") == ["n", "n", "y"]
    assert routes(records, namespace_from="f", target_namespace="rest") == ["rest", "rest", "y"]


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
