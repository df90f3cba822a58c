"""Record batches and canonical metadata: what goes in comes out, and what JSON cannot hold is refused."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import records
from tests.unit.batches import batch_of, nested, numbered, texts
from tests.unit.batches import rows as drawn_rows

objects = st.dictionaries(texts, nested, max_size=5)


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same, type for type and float for float."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right and (not isinstance(left, float) or math.copysign(1, left) == math.copysign(1, right))


def refused(value: Any) -> None:
    """Assert that ``value`` is refused in words."""
    with pytest.raises(ValueError) as caught:
        records.canonical_metadata(value)
    assert str(caught.value)


def test_of_what_is_no_json_the_key_is_named():
    with pytest.raises(ValueError, match="'b' holds what JSON cannot: nan"):
        records.canonical_metadata({"a": 1, "b": [math.nan], "c": None})


@given(objects)
def test_canonical_metadata_parses_back_to_the_same(value):
    text = records.canonical_metadata(value)
    assert same(records.parse_json(text) if text else {}, value)


@given(objects)
def test_canonical_is_a_fixed_point(value):
    text = records.canonical_metadata(value)
    assert records.canonical_metadata(text) == text


@given(objects, st.randoms())
def test_key_order_and_spaces_do_not_matter(value, random):
    def shuffled(item: Any) -> Any:
        if isinstance(item, dict):
            pairs = [(key, shuffled(inner)) for key, inner in item.items()]
            random.shuffle(pairs)
            return dict(pairs)
        return [shuffled(inner) for inner in item] if isinstance(item, list) else item

    other = shuffled(value)
    expected = records.canonical_metadata(value)
    assert records.canonical_metadata(other) == expected
    assert records.canonical_metadata(json.dumps(other, indent=3)) == expected
    assert records.canonical_metadata(json.dumps(other, ensure_ascii=False).encode()) == expected


@given(objects, objects)
def test_different_metadata_has_different_text(left, right):
    assert (records.canonical_metadata(left) == records.canonical_metadata(right)) == same(left, right)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30])
def test_large_integers_are_exact(number):
    text = f'{{"n":{number}}}'
    assert records.canonical_metadata(text) == text
    assert records.canonical_metadata({"n": number}) == text


def test_whole_and_float_are_told_apart():
    assert records.canonical_metadata({"n": 1}) != records.canonical_metadata({"n": 1.0})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_not_a_number_is_refused(value):
    for metadata in ({"n": value}, {"n": [1, {"m": value}]}, {"n": value, "x": None}, {"n": value, "big": 2**70}):
        refused(metadata)


WRONG_TEXTS = [
    '{"n":NaN}',
    '{"n":Infinity}',
    '{"n":-Infinity,"b":12345678901234567890123}',
    '{"n":1e999}',
    '{"n":1e999,"b":12345678901234567890123}',
    "{'n':1}",
    '{"n":1',
    "[1]",
    "1",
    '"x"',
    "{}x",
    b'{"n":"\xff"}',
    "[" * 100_000,
]


@pytest.mark.parametrize("text", WRONG_TEXTS, ids=range(len(WRONG_TEXTS)))
def test_text_that_is_no_json_object_is_refused(text):
    refused(text)


@pytest.mark.parametrize(
    "value", [{"a": "\ud800"}, {"\udfff": 1}, {"a": "\ud800", "b": 2**70}, '{"a":"\\ud800"}', '{"a":"\\ud800","b":12345678901234567890123}']
)
def test_lone_surrogates_are_refused(value):
    refused(value)


@pytest.mark.parametrize("value", [None, {}, "null", "{}", " { } "])
def test_no_metadata_is_none(value):
    assert records.canonical_metadata(value) is None


@given(st.lists(drawn_rows, max_size=5))
def test_batch_gives_back_the_rows(found):
    batch = batch_of(found)
    batch.validate(full=True)
    assert batch.schema.equals(records.schema(3))
    for row, expected in zip(records.to_dicts(batch), found, strict=True):
        assert (row["id"], row["namespace"]) == (expected["id"], expected["namespace"])
        assert np.array(row["values"], np.float32).tobytes() == np.array(expected["values"], np.float32).tobytes()
        assert same(row["metadata"] or {}, expected["metadata"] or {})
        assert row["sparse_values"] == expected["sparse_values"]


def test_matrix_shares_the_memory():
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    batch = records.make_batch(list("abcd"), values)
    assert np.shares_memory(records.matrix(batch), values)
    assert records.matrix(batch.slice(1, 2)).tolist() == values[1:3].tolist()


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda values: values[::2], lambda values: values.astype(np.float64)])
def test_other_layouts_are_brought_into_ours(layout):
    values = layout(np.arange(24, dtype=np.float32).reshape(8, 3))
    batch = records.make_batch([str(row) for row in range(len(values))], values)
    assert records.matrix(batch).tolist() == values.tolist()


def test_bits_of_floats_are_kept():
    values = np.array([[-0.0, 1e-45, 3.4028235e38], [1.1754942e-38, -1e-45, 0.1]], np.float32)
    assert records.matrix(records.make_batch(["a", "b"], values)).tobytes() == values.tobytes()


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63), 2**53 + 1])
def test_integer_ids_in_base_10(number):
    assert records.integer_ids(np.array([number], np.int64)).to_pylist() == [str(number)]


def test_empty_batch_has_the_schema():
    assert records.empty_batch(7).schema.equals(records.schema(7))
    assert records.matrix(records.empty_batch(7)).shape == (0, 7)
    assert records.dimension_of(records.empty_batch(7)) == 7


def test_namespace_is_the_default_one_unless_given():
    assert numbered(2).column("namespace").to_pylist() == ["", ""]
    batch = records.make_batch(["a", "b"], np.zeros((2, 1), np.float32), namespace=pa.array(["x", ""]))
    assert batch.column("namespace").to_pylist() == ["x", ""]


def test_a_wrong_number_of_ids_is_refused():
    with pytest.raises((pa.ArrowInvalid, ValueError)):
        records.make_batch(["a"], np.zeros((2, 1), np.float32)).validate(full=True)


def test_columns_of_numpy_arrays_do_not_import_pandas():
    program = (
        "import sys, numpy as np; from migrator import records;"
        "records.matrix_to_array(np.zeros((1, 2), np.float32)); records.integer_ids(np.arange(3));"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
