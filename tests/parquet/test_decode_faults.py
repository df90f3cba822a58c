"""Files of others whose rows once changed without a word, or ended the run: each fault with the file that showed it."""

from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow as pa
import pytest

from migrator.errors import ConfigError
from tests.contract.kit import source_of, splits_of

INDEX_LIMIT = 1 << 32


def outcome(text):
    """Return the records by id, the refusals by id, and the findings."""
    with source_of(text) as source:
        found = source.describe()
        chunks = [chunk for split in splits_of(source) for chunk in source.read(split, None, 100)]
    records = {row["id"]: row for chunk in chunks for row in chunk.batch.to_pylist()}
    refused = {one.id: one for chunk in chunks for one in chunk.rejected}
    return records, refused, found


def findings(found):
    return [(finding.severity, finding.code) for finding in found.findings]


def sparse_file(dataset, column, **settings):
    return dataset(
        {"id": [str(n) for n in range(len(column))], "values": pa.array([[1.0]] * len(column), pa.list_(pa.float32())), "sparse_values": column}, **settings
    )


def struct_of(rows, index=None, weight=None):
    return pa.array(rows, pa.struct([("indices", pa.list_(index or pa.uint32())), ("values", pa.list_(weight or pa.float32()))]))


@pytest.mark.parametrize("index", [pa.int8(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()])
@pytest.mark.parametrize("weight", [pa.float16(), pa.float32(), pa.float64(), pa.int64()])
def test_sparse_structs_of_every_number_type_are_read_exactly(dataset, index, weight):
    make = np.float16 if weight == pa.float16() else float if pa.types.is_floating(weight) else int
    column = struct_of([{"indices": [5, 1], "values": [make(2), make(-4)]}, None, {"indices": [], "values": []}], index, weight)
    records, refused, _ = outcome(sparse_file(dataset, column))
    assert not refused
    assert [records[name]["sparse_values"] for name in "012"] == [{"indices": [5, 1], "values": [2.0, -4.0]}, None, {"indices": [], "values": []}]


@pytest.mark.parametrize("index", [pa.int32(), pa.int64(), pa.uint64()])
def test_sparse_maps_are_converted(dataset, index):
    column = pa.array([[(7, 2.0), (1, -0.5)], None, []], pa.map_(index, pa.float64()))
    records, refused, _ = outcome(sparse_file(dataset, column))
    assert not refused
    assert [records[name]["sparse_values"] for name in "012"] == [{"indices": [7, 1], "values": [2.0, -0.5]}, None, {"indices": [], "values": []}]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"idx": [1], "val": [2.0]}, None]),
        pa.array([{"indices": [1], "weights": [2.0]}, None]),
        pa.array([{"indices": [1], "values": [2.0], "scale": 3.0}, None]),
        pa.array([{"indices": ["1"], "values": [2.0]}, None]),
        pa.array([{"indices": 1, "values": 2.0}, None]),
        pa.array([[{"index": 1, "value": 2.0}], None]),
        pa.array([[("1", 2.0)], None], pa.map_(pa.string(), pa.float64())),
        pa.array(["{1:2.0}", None]),
        pa.array([[0.0, 2.0], None]),
    ],
    ids=lambda column: str(column.type),
)
def test_sparse_layouts_that_are_none_are_refused_by_their_type(dataset, column):
    records, refused, _ = outcome(sparse_file(dataset, column))
    assert (list(records), records["1"]["sparse_values"]) == (["1"], None)
    assert (refused["0"].code, refused["0"].field) == ("bad_sparse_values", "sparse_values")
    assert str(column.type)[:5] in refused["0"].message


@pytest.mark.parametrize("kinds", [(None, None), (pa.int64(), pa.float64())])
@pytest.mark.parametrize(
    "value",
    [
        {"indices": None, "values": None},
        {"indices": [1], "values": None},
        {"indices": None, "values": [1.0]},
        {"indices": [1, 2], "values": [1.0]},
        {"indices": [1, None], "values": [1.0, 2.0]},
        {"indices": [1, 2], "values": [1.0, None]},
    ],
)
def test_sparse_rows_that_are_not_whole_are_refused(dataset, value, kinds):
    good = {"indices": [1], "values": [1.0]}
    records, refused, _ = outcome(sparse_file(dataset, struct_of([good, value, None, good], *kinds)))
    assert [records[name]["sparse_values"] for name in "023"] == [good, None, good]
    assert [(one.id, one.code) for one in refused.values()] == [("1", "bad_sparse_values")]
    assert json.loads(refused["1"].raw)["sparse_values"] == value


def test_a_sparse_map_with_a_null_weight_is_refused(dataset):
    records, refused, _ = outcome(sparse_file(dataset, pa.array([[(1, None)], [(1, 1.0)]], pa.map_(pa.int64(), pa.float32()))))
    assert (list(records), refused["0"].code) == (["1"], "bad_sparse_values")


@pytest.mark.parametrize("index", [-1, INDEX_LIMIT, 2**60])
def test_sparse_indices_outside_32_bits_are_refused(dataset, index):
    for column in (struct_of([{"indices": [index], "values": [1.0]}], pa.int64()), pa.array([[(index, 1.0)]], pa.map_(pa.int64(), pa.float32()))):
        records, refused, _ = outcome(sparse_file(dataset, column))
        assert (records, refused["0"].code) == ({}, "bad_sparse_values")
        assert str(index) in refused["0"].message
    records, _, _ = outcome(sparse_file(dataset, struct_of([{"indices": [INDEX_LIMIT - 1], "values": [1.0]}], pa.int64())))
    assert records["0"]["sparse_values"]["indices"] == [INDEX_LIMIT - 1]


def test_sparse_weights_that_are_no_float32_in_the_sample_are_lossy_and_rounded(dataset):
    for column in (struct_of([{"indices": [1], "values": [0.1]}], pa.int64(), pa.float64()), pa.array([[(1, 0.1)]], pa.map_(pa.int64(), pa.float64()))):
        records, refused, found = outcome(sparse_file(dataset, column))
        assert findings(found) == [("lossy", "sparse_values_rounded")]
        assert (refused, records["0"]["sparse_values"]["values"]) == ({}, [float(np.float32(0.1))])


def test_sparse_weights_that_are_no_float32_beyond_the_sample_are_refused_unless_agreed(dataset):
    column = struct_of(
        [{"indices": [1], "values": [0.5]}] * 1_200 + [{"indices": [1], "values": [0.1]}, {"indices": [1], "values": [1e300]}], None, pa.float64()
    )
    text = sparse_file(dataset, column)
    _, refused, found = outcome(text)
    assert findings(found) == [("info", "sparse_values_converted")]
    assert [(one.id, one.code, one.field) for one in refused.values()] == [
        ("1200", "not_float32", "sparse_values"),
        ("1201", "out_of_range", "sparse_values"),
    ]
    records, refused, found = outcome(f"{text}?round=true")
    assert findings(found) == [("lossy", "sparse_values_rounded")]
    assert (list(refused), records["1200"]["sparse_values"]["values"]) == (["1201"], [float(np.float32(0.1))])


def test_agreeing_to_rounded_vectors_is_not_agreeing_to_rounded_weights(dataset):
    weights = struct_of([{"indices": [1], "values": [0.5]}] * 1_200 + [{"indices": [1], "values": [0.1]}], None, pa.float64())
    text = dataset({"id": [str(n) for n in range(1_201)], "values": [[0.1]] * 1_201, "sparse_values": weights})
    records, refused, found = outcome(text)
    assert findings(found) == [("lossy", "values_rounded"), ("info", "sparse_values_converted")]
    assert (len(records), refused["1200"].field) == (1_200, "sparse_values")


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ([2**53 + 1, 0], pa.int64()),
        ([0, 2**60 + 1], pa.int64()),
        ([2**63 - 1, 0], pa.int64()),
        ([-(2**53) - 1, 0], pa.int64()),
        ([2**64 - 1, 0], pa.uint64()),
        ([2**31 - 1, 0], pa.int32()),
        ([2**32 - 1, 0], pa.uint32()),
        ([2**24 + 1, 0], pa.int32()),
    ],
)
def test_whole_numbers_that_are_no_float32(dataset, numbers, kind):
    exact = [2**24, 2**30] if kind.bit_width == 32 else [2**62, 2**24 + 2]
    column = pa.array([exact] * 1_000 + [numbers, exact], pa.list_(kind))
    text = dataset({"id": [str(n) for n in range(1_002)], "values": column})
    records, refused, found = outcome(text)
    assert findings(found) == [("info", "values_converted")]
    assert [(one.id, one.code) for one in refused.values()] == [("1000", "not_float32")]
    assert records["1001"]["values"] == exact
    records, refused, _ = outcome(f"{text}?round=true")
    assert (refused, records["1000"]["values"]) == ({}, np.array(numbers, np.float32).tolist())


def test_the_lowest_whole_numbers_are_exact(dataset):
    records, refused, found = outcome(dataset({"id": ["a"], "values": pa.array([[-(2**63), 2**62]], pa.list_(pa.int64()))}))
    assert (refused, records["a"]["values"]) == ({}, [-(2.0**63), 2.0**62])
    assert findings(found) == [("info", "values_converted")]


def test_whole_numbers_that_are_no_float32_in_the_sample_are_lossy(dataset):
    _, _, found = outcome(dataset({"id": ["a"], "values": pa.array([[2**53 + 1]], pa.list_(pa.int64()))}))
    assert findings(found) == [("lossy", "values_rounded")]


@pytest.mark.parametrize("missing", [None, []])
def test_the_dimension_comes_from_the_first_rows_that_have_a_vector(dataset, missing):
    vectors = [missing] * 1_200 + [[1.0, 2.0]] + [[1.0, 2.0, 3.0, 4.0, 5.0]] * 50
    text = dataset({"id": [str(n) for n in range(1_251)], "values": pa.array(vectors, pa.list_(pa.float32()))}, row_group_size=100)
    records, refused, found = outcome(text)
    assert (found.dimension, len(records)) == (5, 50)
    assert {one.code for one in refused.values()} == {"missing_values" if missing is None else "wrong_dimension", "wrong_dimension"}


def test_the_dimension_comes_from_a_later_file_and_so_does_what_rounding_changes(dataset, tmp_path):
    none = pa.array([None, None], pa.list_(pa.float64()))
    dataset({"id": ["a", "b"], "values": none, "x": [1, 2]}, "set/1.parquet")
    dataset({"id": ["e"], "values": pa.nulls(1)}, "set/2.parquet")
    dataset({"id": ["c"], "values": pa.array([[0.1, 0.2]], pa.list_(pa.float64()))}, "set/3.parquet")
    records, refused, found = outcome(f"parquet:{tmp_path / 'set'}")
    assert (found.dimension, findings(found), found.fields["x"]) == (2, [("lossy", "values_rounded")], "int64")
    assert list(records) == ["c"]
    assert {name: one.code for name, one in refused.items()} == dict.fromkeys("abe", "missing_values")


def test_a_dataset_without_any_vector(dataset):
    records, refused, found = outcome(dataset({"id": ["a"], "values": pa.array([None], pa.list_(pa.float32()))}))
    assert (found.dimension, records, refused["a"].code) == (0, {}, "missing_values")
    records, refused, found = outcome(dataset({"id": ["a"], "values": pa.nulls(1)}))
    assert (found.dimension, records, refused["a"].code) == (0, {}, "missing_values")


def test_a_file_without_vectors_among_files_with_them(dataset, tmp_path):
    dataset({"id": ["a"], "values": pa.array([[1.0, 2.0]], pa.list_(pa.float32()))}, "set/1.parquet")
    dataset({"id": ["b"], "sparse_values": struct_of([{"indices": [1], "values": [1.0]}])}, "set/2.parquet")
    records, refused, _ = outcome(f"parquet:{tmp_path / 'set'}")
    assert (list(records), refused["b"].code) == (["a"], "missing_values")


def test_rounding_beyond_the_sample_by_option(dataset):
    text = dataset({"id": [str(n) for n in range(1_500)], "values": [[0.5]] * 1_400 + [[0.1]] * 100})
    records, refused, found = outcome(text)
    assert (len(records), len(refused), findings(found)) == (1_400, 100, [("info", "values_converted")])
    assert "round=true" in found.findings[0].fix
    records, refused, found = outcome(f"{text}?round=true")
    assert (len(records), refused, findings(found)) == (1_500, {}, [("lossy", "values_rounded")])
    assert records["1499"]["values"] == [float(np.float32(0.1))]


def test_rounding_refused_by_option(dataset):
    text = dataset({"id": ["a", "b"], "values": [[0.1], [0.5]]}, options="?round=false")
    records, refused, found = outcome(text)
    assert (list(records), refused["a"].code, findings(found)) == (["b"], "not_float32", [("info", "values_converted")])


def test_rounding_of_what_is_exact_is_no_loss(dataset):
    _, _, found = outcome(dataset({"id": ["a"], "values": pa.array([[0.5]], pa.list_(pa.float32()))}, options="?round=true"))
    assert found.findings == ()


def test_rounding_is_yes_or_no(dataset):
    with pytest.raises(ConfigError, match="round=maybe"):
        outcome(dataset({"id": ["a"], "values": [[0.5]]}, options="?round=maybe"))


def test_each_file_is_told_by_its_own_type(dataset, tmp_path):
    dataset({"id": ["a"], "values": pa.array([[0.5]], pa.list_(pa.float32()))}, "set/1.parquet")
    dataset({"id": ["b"], "embedding": pa.array([[0.1]], pa.list_(pa.float64()))}, "set/2.parquet")
    records, refused, found = outcome(f"parquet:{tmp_path / 'set'}")
    assert (list(records), list(refused), findings(found)) == (["a"], ["b"], [("info", "values_converted")])


@pytest.mark.parametrize("pandas", [True, False])
def test_nanoseconds_are_kept(dataset, pandas, monkeypatch):
    if not pandas:
        monkeypatch.setitem(sys.modules, "pandas", None)
    moments = [1_752_182_043_250_000_001, 1_752_182_043_250_000_000, -1, None]
    kind = pa.timestamp("ns", "Europe/Berlin")
    columns = {
        "plain": pa.array(moments, pa.timestamp("ns")),
        "zoned": pa.array(moments, kind),
        "listed": pa.array([[m] for m in moments], pa.list_(pa.timestamp("ns"))),
        "inner": pa.array([{"a": m} for m in moments], pa.struct([("a", pa.timestamp("ns"))])),
        "map": pa.array([[("k", m)] for m in moments], pa.map_(pa.string(), pa.timestamp("ns"))),
        "time": pa.array([1_001, 1_000, 2, None], pa.time64("ns")),
    }
    records, refused, _ = outcome(dataset({"id": list("abcd"), "values": pa.array([[1.0]] * 4, pa.list_(pa.float32())), **columns}))
    assert not refused
    found = {name: json.loads(row["metadata"]) for name, row in records.items()}
    exact = "2025-07-10T21:14:03.250000001"
    zoned = "2025-07-10T23:14:03.250000001+02:00"
    assert found["a"] == {"plain": exact, "zoned": zoned, "listed": [exact], "inner": {"a": exact}, "map": {"k": exact}, "time": "00:00:00.000001001"}
    assert (found["b"]["plain"], found["b"]["zoned"], found["b"]["time"]) == (
        "2025-07-10T21:14:03.250000",
        "2025-07-10T23:14:03.250000+02:00",
        "00:00:00.000001",
    )
    assert (found["c"]["plain"], found["c"]["zoned"]) == ("1969-12-31T23:59:59.999999999", "1970-01-01T00:59:59.999999999+01:00")
    assert found["c"]["time"] == "00:00:00.000000002"
    assert found["d"] == {"listed": [None], "inner": {}, "map": {}}


@pytest.mark.parametrize("kind", [pa.string(), pa.binary()])
@pytest.mark.parametrize("other", [{}, {"year": [1, 1, 1, 1]}])
def test_json_with_a_key_twice_is_refused(dataset, kind, other):
    texts = ['{"a":1,"a":2}', '{"a":{"b:":1},"b":[{"a":1},{"a":"x:y"}]}', '{"a":[{"b" : 1, "b": 2}]}', '{"\\u003a":1,"a":":"}']
    if kind == pa.binary():
        texts = [text.encode() for text in texts]
    text = dataset({"id": list("abcd"), "values": pa.array([[1.0]] * 4, pa.list_(pa.float32())), "metadata": pa.array(texts, kind), **other})
    records, refused, _ = outcome(text)
    assert list(records) == ["b", "d"]
    assert {name: one.code for name, one in refused.items()} == {"a": "bad_metadata", "c": "bad_metadata"}
    assert "'a' twice" in refused["a"].message
