"""Every reason a record is rejected for, and none where there is no reason."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import records
from migrator.model import Capabilities
from migrator.validate import problems, raw_record, reject
from tests.unit.batches import batch_of, rows

GOOD = {
    "id": "good",
    "values": [1.0, 2.0, 3.0],
    "metadata": {"a": 1, "b": "x", "c": ["p"], "d": True, "e": 1.5},
    "sparse_values": {"indices": [1, 9], "values": [1.0, 2.0]},
}
STRICT = Capabilities(
    max_id_bytes=8,
    ascii_ids=True,
    max_metadata_bytes=80,
    max_namespace_bytes=6,
    metadata_integers="float64",
    nested_metadata=False,
    null_metadata_values=False,
    zero_vectors=False,
    ascii_namespaces=True,
    list_metadata="strings",
    max_sparse_values=3,
)


@pytest.mark.parametrize(
    ("change", "capabilities", "code", "field"),
    [
        ({"id": ""}, Capabilities(), "id_empty", "id"),
        ({"id": "a\0b"}, Capabilities(), "id_has_nul", "id"),
        ({"id": "123456789"}, STRICT, "id_too_long", "id"),
        ({"id": "äöü"}, STRICT, "id_not_ascii", "id"),
        ({"id": "日本語"}, Capabilities(max_id_bytes=8), "id_too_long", "id"),
        ({"namespace": "1234567"}, STRICT, "namespace_too_long", "namespace"),
        ({"values": [1.0, float("nan"), 0.0]}, Capabilities(), "not_finite", "values"),
        ({"values": [1.0, 2.0, float("-inf")]}, Capabilities(), "not_finite", "values"),
        ({"values": [0.0, -0.0, 0.0]}, STRICT, "zero_vector", "values"),
        ({"sparse_values": {"indices": [1, 1], "values": [1.0, 2.0]}}, Capabilities(), "bad_sparse_values", "sparse_values"),
        ({"sparse_values": {"indices": [1], "values": [1.0, 2.0]}}, Capabilities(), "bad_sparse_values", "sparse_values"),
        ({"sparse_values": {"indices": [1], "values": [float("inf")]}}, Capabilities(), "bad_sparse_values", "sparse_values"),
        ({}, Capabilities(sparse=False), "sparse_not_supported", "sparse_values"),
        ({}, Capabilities(metadata=False), "metadata_not_supported", "metadata"),
        ({"metadata": {"long": "x" * 80}}, STRICT, "metadata_too_large", "metadata"),
        ({"metadata": {"a": None}}, STRICT, "null_metadata", "metadata.a"),
        ({"metadata": {"a": {"b": 1}}}, STRICT, "nested_metadata", "metadata.a"),
        ({"metadata": {"a": [1]}}, STRICT, "list_not_strings", "metadata.a"),
        ({"metadata": {"a": ["b", None]}}, STRICT, "list_not_strings", "metadata.a"),
        ({"metadata": {"a": [["b"]]}}, STRICT, "nested_metadata", "metadata.a"),
        ({"metadata": {"a": [1]}}, Capabilities(list_metadata="strings"), "list_not_strings", "metadata.a"),
        ({"namespace": "日"}, STRICT, "namespace_not_ascii", "namespace"),
        ({"namespace": "a\0"}, STRICT, "namespace_not_ascii", "namespace"),
        ({"sparse_values": {"indices": [4, 1, 2, 3], "values": [1.0] * 4}}, STRICT, "too_many_sparse_values", "sparse_values"),
        ({"metadata": {"a": 2**53 + 1}}, STRICT, "integer_too_large", "metadata.a"),
        ({"metadata": {"a": -(2**63) - 1}}, Capabilities(metadata_integers="int64"), "integer_too_large", "metadata.a"),
        ({"metadata": {"a": 2**63}}, Capabilities(metadata_integers="int64"), "integer_too_large", "metadata.a"),
        ({"metadata": {"a": {"b": [1, 2**70]}}}, Capabilities(metadata_integers="int64"), "integer_too_large", "metadata.a"),
        ({"metadata": {"a": 10**400}}, Capabilities(metadata_integers="float64"), "integer_too_large", "metadata.a"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_reason(change, capabilities, code, field):
    plain = {"id": "ok", "values": [1.0, 2.0, 3.0]}
    found = problems(batch_of([plain, {**GOOD, **change}, plain]), capabilities, "cosine")
    assert [(problem.row, problem.code, problem.field) for problem in found] == [(1, code, field)]
    assert found[0].message


@pytest.mark.parametrize(
    ("change", "capabilities", "metric"),
    [
        ({}, STRICT, "cosine"),
        ({"id": "12345678", "namespace": "123456"}, STRICT, "cosine"),
        ({"values": [0.0, 0.0, 0.0]}, STRICT, "euclidean"),
        ({"values": [0.0, 0.0, 0.0]}, Capabilities(), "cosine"),
        ({"values": [3.4e38, 3.4e38, 3.4e38]}, Capabilities(), "cosine"),
        ({"values": [1e-45, 0.0, 0.0]}, STRICT, "cosine"),
        ({"sparse_values": {"indices": [3, 1, 2], "values": [1.0] * 3}}, STRICT, "cosine"),
        ({"metadata": {"a": [1, None, "x"]}}, Capabilities(nested_metadata=False), "cosine"),
        ({"metadata": {"a": []}}, STRICT, "cosine"),
        ({"metadata": {"a": 2**53}}, STRICT, "cosine"),
        ({"metadata": {"a": 2**60}}, STRICT, "cosine"),
        ({"metadata": {"a": 2**63 - 1, "b": -(2**63)}}, Capabilities(metadata_integers="int64"), "cosine"),
        ({"metadata": {"a": 10**30}}, Capabilities(), "cosine"),
        ({"metadata": None, "sparse_values": None}, Capabilities(metadata=False, sparse=False), "cosine"),
    ],
)
def test_none_without_a_reason(change, capabilities, metric):
    assert problems(batch_of([{**GOOD, **change}]), capabilities, metric) == []


@given(st.lists(rows, max_size=6))
def test_whatever_fits_everywhere_is_never_rejected(found):
    batch = batch_of([{**row, "id": row["id"].replace("\0", "x")} for row in found])
    assert problems(batch, Capabilities(), "cosine") == []


def test_one_problem_a_row_and_in_order():
    batch = batch_of([{"id": "", "values": [float("nan")] * 3}, GOOD, {"id": "x", "values": [float("nan")] * 3}])
    assert [problem.row for problem in problems(batch, Capabilities(), None)] == [0, 2]


def test_opposite_infinities_do_not_hide_each_other():
    values = np.array([[np.inf, 1, 1], [-np.inf, 1, 1]], np.float32)
    assert len(problems(records.make_batch(["a", "b"], values), Capabilities(), None)) == 2


def test_an_empty_batch_has_no_problems():
    assert problems(records.empty_batch(3), STRICT, "cosine") == []


@pytest.mark.parametrize(
    "sparse",
    [
        {"indices": None, "values": None},
        {"indices": [1], "values": None},
        {"indices": None, "values": [1.0]},
        {"indices": [1, None], "values": [1.0, 2.0]},
        {"indices": [1, 2], "values": [1.0, None]},
    ],
)
def test_sparse_values_with_nulls_in_them(sparse):
    batch = batch_of([GOOD, {**GOOD, "id": "holes", "sparse_values": sparse}])
    found = problems(batch, Capabilities(), None)
    assert [(problem.row, problem.code) for problem in found] == [(1, "bad_sparse_values")]
    (rejected,) = reject(batch, found)
    assert json.loads(rejected.raw)["sparse_values"] == sparse


def test_the_raw_record_is_json_whatever_is_wrong_with_it():
    batch = batch_of(
        [{"id": "日", "values": [float("nan"), float("inf"), 1.5], "sparse_values": {"indices": [1], "values": [float("-inf")]}, "metadata": {"a": 10**30}}]
    )
    (rejected,) = reject(batch, problems(batch, Capabilities(), None))
    raw = json.loads(rejected.raw)
    assert (raw["id"], raw["values"], raw["sparse_values"]["values"]) == ("日", ["nan", "inf", 1.5], ["-inf"])
    assert json.loads(raw["metadata"]) == {"a": 10**30}
    assert raw_record(batch.to_pylist()[0]) == rejected.raw
