"""Parquet as others write it: which column is what, which files belong, and what happens to rows that are no records."""

from __future__ import annotations

import datetime as dt
import decimal
import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migrator import endpoints
from migrator.connectors import connector, parquet
from migrator.errors import ConfigError, PermanentError, UnreadableSourceError
from migrator.model import Selection
from tests.contract.kit import read_all, source_of, splits_of
from tests.unit.batches import numbered

VECTORS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def plain(text):
    """Return (id, values, metadata, namespace) of every record."""
    with source_of(text) as source:
        return [(row["id"], row["values"].tolist(), row["metadata"], row["namespace"]) for row in read_all(source)]


def refused(text, size=10):
    """Return the ids read and (code, field, id) of the rows refused."""
    with source_of(text) as source:
        chunks = [chunk for split in splits_of(source) for chunk in source.read(split, None, size)]
    ids = [name for chunk in chunks for name in chunk.batch.column("id").to_pylist()]
    return ids, [(one.code, one.field, one.id) for chunk in chunks for one in chunk.rejected]


@pytest.mark.parametrize("name", ["values", "vector", "embedding", "embeddings", "emb", "vectors"])
def test_names_of_the_vector_column(dataset, name):
    assert plain(dataset({"id": ["a", "b"], name: pa.array(VECTORS, pa.list_(pa.float32()))})) == [("a", VECTORS[0], None, ""), ("b", VECTORS[1], None, "")]


def test_columns_by_option(dataset):
    columns = {"key": ["a", "b"], "v": pa.array(VECTORS, pa.list_(pa.float32())), "m": ['{"x":1}', None], "ns": ["n", None], "s": [None, None]}
    assert plain(dataset(columns, options="?id=key&values=v&metadata=m&namespace=ns")) == [("a", VECTORS[0], {"x": 1}, "n"), ("b", VECTORS[1], None, "")]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.list_(pa.float32(), 3), pa.large_list(pa.float32()), pa.list_(pa.float16()), pa.list_(pa.uint8()), pa.list_(pa.int16())]
)
def test_exact_element_types_need_no_finding(dataset, kind):
    array = (
        pa.array([[1, 2, 3], [4, 5, 6]], pa.list_(pa.float32())).cast(kind)
        if kind.value_type != pa.float16()
        else pa.array([np.array(row, np.float16) for row in VECTORS], kind)
    )
    text = dataset({"id": ["a", "b"], "values": array})
    assert [row[1] for row in plain(text)] == VECTORS
    with source_of(text) as source:
        assert source.describe().findings == ()
        assert source.describe().dimension == 3


def test_float64_that_is_exact_is_told_and_later_ones_that_are_not_are_refused(dataset):
    vectors = [[0.5, 1.0, float(n)] for n in range(1_500)]
    vectors[1_200] = [0.1, 0.2, 0.3]
    text = dataset({"id": [str(n) for n in range(1_500)], "values": vectors})
    with source_of(text) as source:
        assert [(finding.severity, finding.code) for finding in source.describe().findings] == [("info", "values_converted")]
    ids, rejected = refused(text, 100)
    assert (len(ids), rejected) == (1_499, [("not_float32", "values", "1200")])


def test_float64_that_is_not_exact_is_lossy_and_rounded(dataset):
    text = dataset({"id": ["a", "b"], "values": [[0.1, 0.2, 0.3], [1e300, 0, 0]]})
    with source_of(text) as source:
        assert [(finding.severity, finding.code) for finding in source.describe().findings] == [("lossy", "values_rounded")]
        assert not source.describe().lossless
    ids, rejected = refused(text)
    assert (ids, rejected) == (["a"], [("out_of_range", "values", "b")])
    with source_of(text) as source:
        (chunk,) = source.read(splits_of(source)[0], None, 10)
        assert chunk.batch.column("values").to_pylist() == [np.array([0.1, 0.2, 0.3], np.float32).tolist()]


@pytest.mark.parametrize(
    ("ids", "id_type"),
    [
        (pa.array([-5, 2**63 - 1]), "int64"),
        (pa.array([5, 7], pa.uint8()), "int64"),
        (pa.array([5, 2**64 - 1], pa.uint64()), "string"),
        (pa.array(["x", "y"], pa.large_string()), "string"),
        (pa.array(["x", "y"]).dictionary_encode(), "string"),
    ],
)
def test_id_types(dataset, ids, id_type):
    text = dataset({"id": ids, "values": VECTORS})
    with source_of(text) as source:
        assert source.describe().id_type == id_type
        assert [row["id"] for row in read_all(source)] == [str(value) for value in ids.to_pylist()]
        assert [str(name) for split in splits_of(source) for batch in source.keys(split) for name in batch.column("id").to_pylist()] == [
            str(value) for value in ids.to_pylist()
        ]


def test_rows_that_are_no_records_are_refused_by_name(dataset):
    columns = {
        "id": ["ok", None, "short", "none", "hole", "nan", "list", "last"],
        "values": pa.array([[1, 2, 3], [1, 2, 3], [1, 2], None, [1, None, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]], pa.list_(pa.float32())),
        "metadata": ['{"a":1}', None, None, None, None, '{"a":NaN}', "[1]", '{"b":null}'],
    }
    text = dataset(columns)
    ids, rejected = refused(text)
    assert ids == ["ok", "last"]
    assert rejected == [
        ("missing_id", "id", ""),
        ("wrong_dimension", "values", "short"),
        ("missing_values", "values", "none"),
        ("missing_values", "values", "hole"),
        ("bad_metadata", "metadata", "nan"),
        ("bad_metadata", "metadata", "list"),
    ]
    with source_of(text) as source:
        (chunk,) = source.read(splits_of(source)[0], None, 100)
        assert (chunk.scanned, chunk.rows.tolist(), chunk.start) == (8, [0, 7], 0)
        assert json.loads(chunk.rejected[1].raw)["values"] == [1.0, 2.0]
        assert chunk.batch.column("metadata").to_pylist() == ['{"a":1}', '{"b":null}']
        positions = [(one.start, None if one.rows is None else one.rows.tolist()) for one in source.read(splits_of(source)[0], None, 3)]
        assert positions == [(0, [0]), (3, []), (6, [7])]
        assert [key for batch in source.keys(splits_of(source)[0]) for key in batch.column("id").to_pylist()] == columns["id"]


def test_text_that_is_not_utf8(dataset):
    raw = pa.array([b"ok", b"\xff\xfe", b"fine"], pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    text = dataset({"id": broken, "values": [[1.0, 2.0]] * 3, "metadata": [None, None, "{}"], "note": pa.array(["x", "y", "z"])})
    ids, rejected = refused(text)
    assert (ids, [one[0] for one in rejected]) == (["ok", "fine"], ["bad_text"])
    text = dataset({"id": ["1", "2", "3"], "values": [[1.0, 2.0]] * 3, "note": broken})
    ids, rejected = refused(text)
    assert (ids, [one[0] for one in rejected]) == (["1", "3"], ["bad_metadata"])


def test_other_columns_become_metadata(dataset):
    moment = dt.datetime(2025, 7, 10, 21, 14, 3, 250_000, tzinfo=dt.UTC)
    columns = {
        "id": ["a"],
        "values": [[1.0, 2.0]],
        "metadata": ['{"kept":[1,"x"]}'],
        "title": ["naïve"],
        "year": pa.array([2025], pa.int16()),
        "big": pa.array([2**64 - 1], pa.uint64()),
        "score": [0.5],
        "flag": [True],
        "day": [dt.date(2025, 7, 10)],
        "moment": pa.array([moment], pa.timestamp("us", "UTC")),
        "price": [decimal.Decimal("1.10")],
        "raw": [b"\x00\xff"],
        "tags": [["x", "y"]],
        "nested": [{"a": {"b": [1, None]}, "none": None}],
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())),
        "missing": pa.array([None], pa.string()),
        "took": pa.array([5], pa.duration("s")),
    }
    text = dataset(columns)
    ((_, _, metadata, _),) = plain(text)
    assert metadata == {
        "kept": [1, "x"],
        "title": "naïve",
        "year": 2025,
        "big": 2**64 - 1,
        "score": 0.5,
        "flag": True,
        "day": "2025-07-10",
        "moment": "2025-07-10T21:14:03.250000+00:00",
        "price": "1.10",
        "raw": "AP8=",
        "tags": ["x", "y"],
        "nested": {"a": {"b": [1, None]}},
        "map": {"k": 1},
    }
    with source_of(text) as source:
        found = source.describe()
    told = [(finding.severity, finding.code) for finding in found.findings]
    assert told == [("info", "values_converted"), ("lossy", "column_left_out"), ("info", "binary_as_base64")]
    assert {"title", "year", "kept"} <= found.fields.keys()


def test_metadata_as_struct_and_as_map(dataset):
    struct = dataset({"id": ["a", "b"], "values": VECTORS, "metadata": [{"x": 1, "y": None}, None]}, "struct.parquet")
    assert [row[2] for row in plain(struct)] == [{"x": 1}, None]
    pairs = pa.array([[("x", "1")], [("x", "1"), ("x", "2")]], pa.map_(pa.string(), pa.string()))
    ids, rejected = refused(dataset({"id": ["a", "b"], "values": VECTORS, "metadata": pairs}, "map.parquet"))
    assert (ids, rejected) == (["a"], [("bad_metadata", "metadata", "b")])


def test_a_column_and_a_metadata_field_that_contradict_each_other(dataset):
    text = dataset({"id": ["a", "b"], "values": VECTORS, "metadata": ['{"year":1}', '{"year":2}'], "year": [1, 3]})
    assert refused(text) == (["a"], [("bad_metadata", "metadata", "b")])


def test_sparse_values_of_other_types(dataset):
    sparse = pa.array([{"indices": [5, 1], "values": [0.5, -1.0]}, {"indices": [-1], "values": [1.0]}, None])
    text = dataset({"id": ["a", "b", "c"], "values": [[1.0, 2.0]] * 3, "sparse_values": sparse})
    assert refused(text) == (["a", "c"], [("bad_sparse_values", "sparse_values", "b")])
    with source_of(text) as source:
        assert source.describe().sparse
        (chunk,) = source.read(splits_of(source)[0], None, 10)
        assert chunk.batch.column("sparse_values").to_pylist() == [{"indices": [5, 1], "values": [0.5, -1.0]}, None]


def test_sparse_values_only(dataset):
    sparse = pa.array([{"indices": [5], "values": [0.5]}], pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))]))
    with source_of(dataset({"id": ["a"], "sparse_values": sparse})) as source:
        assert (source.describe().dimension, source.describe().sparse) == (0, True)
        assert [(row["id"], row["sparse_values"]) for row in read_all(source)] == [("a", {"indices": [5], "values": [0.5]})]


def test_dimension_is_the_most_common_length(dataset):
    text = dataset({"id": list("abcd"), "values": pa.array([[1, 2], [1, 2, 3], [1, 2, 3], None], pa.list_(pa.float32()))})
    with source_of(text) as source:
        assert source.describe().dimension == 3


def test_namespaces_from_a_column(dataset):
    columns = {"id": list("abcde"), "values": [[1.0, 2.0]] * 5, "namespace": ["x", None, "__default__", "y", "x"]}
    text = dataset(columns, row_group_size=2)
    with source_of(text) as source:
        assert source.describe().namespaces == {"": 2, "x": 2, "y": 1}
        assert [row["id"] for row in read_all(source, 3, namespaces=("x",))] == ["a", "e"]
        (split,) = source.splits(Selection(("x", "y")), 1)
        first, *_ = source.read(split, None, 2)
        rest = [name for chunk in source.read(split, first.cursor, 2) for name in chunk.batch.column("id").to_pylist()]
        assert first.batch.column("id").to_pylist() + rest == ["a", "d", "e"]
        assert [row["id"] for batch in source.keys(split) for row in batch.to_pylist()] == ["a", "d", "e"]
        assert source.fetch(["a", "b"], "x").column("id").to_pylist() == ["a"]


def test_namespaces_from_folders(dataset, tmp_path):
    for name in (
        "__default__/1.parquet",
        "a%2Fb/1.parquet",
        "日本/deep/1.parquet",
        "top.parquet",
        "_staging/x.parquet",
        ".hidden/x.parquet",
        "_SUCCESS.parquet",
    ):
        dataset({"id": [name], "values": [[1.0, 2.0]]}, f"set/{name}")
    (tmp_path / "set" / "notes.txt").write_text("not data")
    found = {row[0]: row[3] for row in plain(f"parquet:{tmp_path / 'set'}")}
    assert found == {"__default__/1.parquet": "", "a%2Fb/1.parquet": "a/b", "日本/deep/1.parquet": "日本/deep", "top.parquet": ""}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("set/*.parquet", {"1", "2"}),
        ("set/**/*.parquet", {"1", "2", "3", "4"}),
        ("set/?.parquet", {"1", "2"}),
        ("set/[13].parquet", {"1"}),
        ("set/[!1].parquet", {"2"}),
        ("set/sub/*", {"3"}),
        ("set/1.parquet,set/sub/3.parquet", {"1", "3"}),
        ("set/1.parquet,set/sub", {"1", "3"}),
    ],
)
def test_patterns_and_several_files(dataset, tmp_path, pattern, expected):
    for name in ("1", "2", "sub/3", "sub/deep/4"):
        dataset({"id": [name[-1]], "values": [[1.0, 2.0]]}, f"set/{name}.parquet")
    if pattern == "set/1.parquet,set/sub":
        expected = {"1", "3", "4"}
    text = "parquet:" + ",".join(str(tmp_path / part) for part in pattern.split(","))
    assert {row[0] for row in plain(text)} == expected
    with source_of(text) as source:
        assert [split.id for split in splits_of(source, 2)] == [split.id for split in splits_of(source, 2)]


def test_a_relative_path(dataset, tmp_path, monkeypatch):
    dataset({"id": ["a"], "values": [[1.0, 2.0]]}, "here.parquet")
    monkeypatch.chdir(tmp_path)
    for text in ("parquet:here.parquet", "parquet:.", "parquet:*.parquet", "parquet:./here.parquet"):
        assert [row[0] for row in plain(text)] == ["a"]


def test_files_of_different_columns(dataset, tmp_path):
    dataset({"id": ["a"], "values": [[1.0, 2.0]], "x": [1]}, "set/1.parquet")
    dataset({"id": [7], "embedding": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2)), "y": [2]}, "set/2.parquet")
    text = f"parquet:{tmp_path / 'set'}"
    assert [(row[0], row[2]) for row in plain(text)] == [("a", {"x": 1}), ("7", {"y": 2})]
    with source_of(text) as source:
        assert source.describe().id_type == "string"


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({"key": ["a"], "values": [[1.0]]}, "'id'"),
        ({"id": ["a"], "vals": [[1.0]]}, "'values'"),
        ({"id": [1.5], "values": [[1.0]]}, "text or whole numbers"),
        ({"id": ["a"], "values": ["x"]}, "lists of numbers"),
        ({"id": ["a"], "embedding": [[1.0]], "emb": [[1.0]]}, "either"),
    ],
)
def test_columns_that_do_not_fit(dataset, columns, word):
    with pytest.raises(ConfigError, match=word) as caught:
        plain(dataset(columns))
    assert caught.value.fix


@pytest.mark.parametrize("options", ["?metric=hamming", "?values=nope", "?endpoint=http://127.0.0.1:1"])
def test_wrong_options(dataset, options):
    with pytest.raises(ConfigError):
        plain(dataset({"id": ["a"], "values": [[1.0]]}, options=options))


@pytest.mark.parametrize("name", ["nothing", "nothing/*.parquet", "empty", "there.parquet,nothing.parquet"])
def test_nothing_there(dataset, tmp_path, name):
    (tmp_path / "empty").mkdir()
    dataset({"id": ["a"], "values": [[1.0]]}, "there.parquet")
    with pytest.raises(PermanentError) as caught:
        plain("parquet:" + ",".join(str(tmp_path / part) for part in name.split(",")))
    assert (caught.value.code, bool(caught.value.fix)) == ("not_found", True)


def test_manifest_is_held_against_the_files(export):
    folder = export([numbered(5), numbered(5, namespace="a", start=5)])
    path = next(folder.glob("a/*.parquet"))
    good = path.read_bytes()
    for content in (good[:-1], good + b"x", None):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(UnreadableSourceError, match=path.name):
            plain(f"parquet:{folder}")
    path.write_bytes(good)
    pq.write_table(pa.table({"id": ["extra"], "values": [[1.0, 2.0, 3.0]]}), folder / "a" / "extra.parquet")
    with source_of(f"parquet:{folder}") as source:
        assert [finding.code for finding in source.describe().findings if "extra.parquet" in finding.message] == ["unlisted_file"]
        assert source.describe().count == 11


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format":2}', '{"format":1}', '{"format":1,"files":[{"path":"../x"}]}'])
def test_a_manifest_that_is_none(export, content):
    folder = export([numbered(5)])
    (folder / "manifest.json").write_text(content)
    with pytest.raises(UnreadableSourceError, match=r"manifest\.json"):
        plain(f"parquet:{folder}")


def test_examine_finds_a_file_changed_in_place(export):
    folder = export([numbered(50), numbered(50, start=50)])
    endpoint = endpoints.parse(f"parquet:{folder}")
    assert [step.status for step in parquet.examine(endpoint)] == ["ok"] * 4
    path = max(folder.glob("__default__/*.parquet"))
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    *_, last = parquet.examine(endpoint)
    assert (last.name, last.status, path.name in last.detail) == ("checksums", "failed", True)


def test_examine_stops_at_what_is_missing(tmp_path):
    (step,) = connector("parquet").examine(endpoints.parse(f"parquet:{tmp_path / 'nothing'}"))
    assert (step.name, step.status, bool(step.fix)) == ("files", "failed", True)


def test_files_are_listed_with_their_checksums(export):
    folder = export([numbered(5)])
    file, last = parquet.files(endpoints.parse(f"parquet:{folder}"))
    content = (folder / "manifest.json").read_bytes()
    manifest = json.loads(content)["files"][0]
    assert (file.name, file.sha256, file.bytes) == (manifest["path"], manifest["sha256"], manifest["bytes"])
    assert (last.name, last.sha256, last.bytes) == ("manifest.json", hashlib.sha256(content).hexdigest(), len(content))


def test_version_changes_with_the_files(dataset):
    text = dataset({"id": ["a"], "values": [[1.0]]})
    with source_of(text) as source:
        before = source.describe().version
    dataset({"id": ["b"], "values": [[1.0]]})
    with source_of(text) as source:
        assert source.describe().version != before


def test_values_are_not_copied_where_the_file_allows_it(dataset):
    vectors = np.random.default_rng(1).standard_normal((1000, 64), dtype=np.float32)
    text = dataset({"id": [str(n) for n in range(1000)], "values": pa.array(list(vectors), pa.list_(pa.float32()))})
    with source_of(text) as source:
        (chunk,) = source.read(splits_of(source)[0], None, 1000)
        before = pa.total_allocated_bytes()
        matrix = chunk.batch.column("values").flatten().to_numpy(zero_copy_only=True)
        assert pa.total_allocated_bytes() == before
    assert np.array_equal(matrix.reshape(1000, 64), vectors)


def test_chunks_join_small_files(dataset, tmp_path):
    for number in range(7):
        dataset({"id": [f"{number}-{row}" for row in range(3)], "values": [[1.0, 2.0]] * 3}, f"set/{number}.parquet")
    with source_of(f"parquet:{tmp_path / 'set'}") as source:
        assert [chunk.scanned for chunk in source.read(splits_of(source)[0], None, 10)] == [10, 10, 1]
