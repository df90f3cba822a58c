"""A filter means in Milvus what it means everywhere here: the records found are those that ``migrator.filters`` selects."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from migrator.connectors import milvus
from migrator.endpoints import parse
from migrator.errors import ConfigError
from migrator.filters import compile_filter
from migrator.model import Collection, Plan
from migrator.records import canonical_metadata, make_batch

if TYPE_CHECKING:
    from tests.contract.milvus_harness import MilvusLiteHarness, MilvusServerHarness

RECORDS: dict[str, dict[str, Any]] = {
    "a": {"n": 1, "s": "x", "yes": True},
    "b": {"n": 2.0, "s": "y", "tags": ["x", "z"]},
    "c": {},
    "d": {"n": "1", "s": ["x", "y"], "yes": False},
    "e": {"n": 1.5, "tags": []},
    "f": {"s": 'it\'s "q" \\ z', "n": -5},
    "g": {"s": "é日本", "id": 7},
    "h": {"n": 3, "year": 1905},
}
FILTERS: list[dict[str, Any]] = [
    {"n": 1},
    {"n": {"$ne": 1}},
    {"n": {"$gt": 1}},
    {"n": {"$gte": 1.5, "$lt": 3}},
    {"n": "1"},
    {"s": "x"},
    {"s": {"$ne": "x"}},
    {"s": {"$in": ["y", "é日本"]}},
    {"s": {"$nin": ["x", "y"]}},
    {"s": 'it\'s "q" \\ z'},
    {"tags": "z"},
    {"tags": {"$exists": False}},
    {"yes": {"$exists": True}},
    {"yes": True},
    {"id": 7},
    {"$or": [{"n": 1}, {"s": "y", "n": {"$lte": 2}}]},
    {"$and": [{"n": {"$gte": 1}}, {"$or": [{"s": "x"}, {"s": "y"}]}]},
]


def seeded(store: MilvusLiteHarness | MilvusServerHarness, records: dict[str, dict[str, Any]], options: str = "") -> str:
    endpoint = store.new_target()
    endpoint += f"{'&' if '?' in endpoint else '?'}{options}" if options else ""
    values = np.arange(len(records) * 2, dtype=np.float32).reshape(-1, 2)
    batch = make_batch(list(records), values, metadata=[canonical_metadata(metadata) for metadata in records.values()])
    plan = Plan(parse("memory:a"), parse(endpoint))
    with closing(milvus.open_target(parse(endpoint))) as target:
        target.prepare(Collection("a", 2, "euclidean", namespaces={"": len(records)}), plan)
        target.write(batch, "s.0")
        target.finish()
    return endpoint


def found(endpoint: str, filter_: dict[str, Any]) -> set[str]:
    with closing(milvus.open_source(parse(endpoint))) as source:
        return {name for name, _ in source.search([[0.0, 0.0]], 10, "", filter_)[0]}


def test_of_the_dynamic_field(store: MilvusLiteHarness | MilvusServerHarness) -> None:
    endpoint = seeded(store, RECORDS)
    for filter_ in FILTERS:
        matches = compile_filter(filter_)
        assert found(endpoint, filter_) == {name for name, metadata in RECORDS.items() if matches(metadata)}, filter_


@pytest.mark.slow
def test_of_typed_columns(store: MilvusLiteHarness | MilvusServerHarness) -> None:
    records = {f"r{n}": {"n": n, "s": "ab"[n % 2], "w": n / 2, "yes": n > 2} for n in range(6)}
    endpoint = seeded(store, records, 'fields={"n": "int64 not null", "s": "varchar(20) not null", "w": "double not null", "yes": "bool not null"}')
    for filter_ in (
        *({"n": {operator: 2.5}} for operator in ("$gt", "$gte", "$lt", "$lte")),
        *({"n": {operator: 3}} for operator in ("$gt", "$gte", "$lt", "$lte", "$eq", "$ne")),
        *({"s": "a"}, {"s": {"$nin": ["a"]}}, {"w": {"$gt": 1}}, {"w": {"$in": [1.5, 2]}}, {"yes": True}, {"yes": {"$ne": True}}),
    ):
        matches = compile_filter(filter_)
        assert found(endpoint, filter_) == {name for name, metadata in records.items() if matches(metadata)}, filter_


def test_of_columns_that_may_be_empty(lite: MilvusLiteHarness) -> None:
    records = {f"r{n}": {"n": n} if n % 2 else {} for n in range(6)}
    endpoint = seeded(lite, records, 'fields={"n": "int64"}')
    for filter_ in ({"n": 3}, {"n": {"$ne": 3}}, {"n": {"$gt": 2}}, {"n": {"$exists": True}}, {"n": {"$exists": False}}):
        matches = compile_filter(filter_)
        assert found(endpoint, filter_) == {name for name, metadata in records.items() if matches(metadata)}, filter_


@pytest.mark.parametrize("filter_", [{"n": "text"}, {"a b": 1}, {"n": {"$exists": True}}])
def test_what_milvus_has_no_words_for_is_refused(lite: MilvusLiteHarness, filter_: dict[str, Any]) -> None:
    endpoint = seeded(lite, {"a": {"n": 1}}, 'fields={"n": "int64 not null"}')
    with pytest.raises(ConfigError) as caught:
        found(endpoint, filter_)
    assert caught.value.code == "filter_unsupported"


def test_no_filter_at_all_is_named(lite: MilvusLiteHarness) -> None:
    endpoint = seeded(lite, {"a": {"n": 1}})
    with pytest.raises(ConfigError) as caught:
        found(endpoint, {"n": {"$near": 1}})
    assert caught.value.code == "bad_filter"
