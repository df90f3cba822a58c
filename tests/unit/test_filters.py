"""Filters against a second, naive reading of Pinecone's language."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.errors import ConfigError
from migrator.filters import compile_filter

values = st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, 1.5, "", "a", "b", "1", "日本"])
fields = st.sampled_from(["a", "b", "c"])
metadata = st.dictionaries(fields, values | st.none() | st.lists(values, max_size=3), max_size=3)
numbers = st.integers(-3, 3) | st.sampled_from([0.5, 1.5])
tests = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), values),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(values, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), numbers),
    st.tuples(st.just("$exists"), st.booleans()),
)
rules = values | st.lists(tests, min_size=1, max_size=2).map(dict)
conditions = st.dictionaries(fields, rules, min_size=1, max_size=2)
filters = st.recursive(
    conditions, lambda inner: st.dictionaries(st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3), min_size=1, max_size=1)
)


def same(left: Any, right: Any) -> bool:
    return (type(left) is bool) == (type(right) is bool) and left == right


def naive(filter_: dict[str, Any], record: dict[str, Any]) -> bool:
    for name, rule in filter_.items():
        if name == "$and":
            if not all(naive(part, record) for part in rule):
                return False
        elif name == "$or":
            if not any(naive(part, record) for part in rule):
                return False
        elif not all(holds(record, name, *test) for test in (rule.items() if isinstance(rule, dict) else [("$eq", rule)])):
            return False
    return True


def holds(record: dict[str, Any], name: str, operator: str, operand: Any) -> bool:
    if operator == "$exists":
        return (name in record) is operand
    if operator in ("$ne", "$nin"):
        return not holds(record, name, {"$ne": "$eq", "$nin": "$in"}[operator], operand)
    if name not in record:
        return False
    found = record[name] if isinstance(record[name], list) else [record[name]]
    if operator == "$eq":
        return any(same(one, operand) for one in found)
    if operator == "$in":
        return any(same(one, wanted) for one in found for wanted in operand)
    comparable = [one for one in found if type(one) in (int, float)]
    return any({"$gt": one > operand, "$gte": one >= operand, "$lt": one < operand, "$lte": one <= operand}[operator] for one in comparable)


@given(filters, metadata)
def test_a_filter_means_what_it_says(filter_, record):
    assert compile_filter(filter_)(record) == naive(filter_, record)


@pytest.mark.parametrize(
    ("filter_", "named"),
    [
        ({}, "at least one"),
        ([], "object"),
        ("a", "object"),
        ({"$and": []}, "$and"),
        ({"$or": {"a": 1}}, "$or"),
        ({"$and": [{}]}, "at least one"),
        ({"$and": [5]}, "object"),
        ({"$not": [{"a": 1}]}, "$not"),
        ({"a": {}}, "a"),
        ({"a": {"$near": 1}}, "$near"),
        ({"a": {"eq": 1}}, "eq"),
        ({"a": None}, "$eq"),
        ({"a": [1]}, "$eq"),
        ({"a": {"$eq": {"b": 1}}}, "$eq"),
        ({"a": {"$gt": "1"}}, "$gt"),
        ({"a": {"$gt": True}}, "$gt"),
        ({"a": {"$in": []}}, "$in"),
        ({"a": {"$in": "abc"}}, "$in"),
        ({"a": {"$exists": 1}}, "$exists"),
    ],
    ids=repr,
)
def test_what_is_no_filter_is_said(filter_, named):
    with pytest.raises(ConfigError) as caught:
        compile_filter(filter_)
    assert caught.value.code == "bad_filter"
    assert named in caught.value.message
    assert caught.value.fix
