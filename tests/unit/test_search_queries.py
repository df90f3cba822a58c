"""What is asked: a sample that is the same again and leaves no namespace out, and files of queries, each fault named."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.errors import ConfigError
from migrator.verify.search import queries
from migrator.verify.search.queries import read_queries
from migrator.verify.search.sample import Sampler, quotas
from tests.unit.batches import numbered


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 10_000), max_size=12), st.integers(1, 300))
def test_quotas_are_in_proportion_and_leave_nobody_out(counts, samples):
    found = quotas(counts, samples)
    held = {name: count for name, count in counts.items() if count}
    assert sum(found.values()) <= max(samples, 0)
    assert all(0 < found[name] <= held[name] for name in found)
    if len(held) * 3 <= samples:
        assert all(found[name] >= min(3, count) for name, count in held.items())
        assert sum(found.values()) == min(samples, sum(held.values()))
    elif len(held) <= samples:
        assert set(found) == set(held)
    else:
        assert len(found) == samples


def test_large_namespaces_give_more():
    assert quotas({"big": 9_000, "small": 1_000, "tiny": 2, "empty": 0}, 100) == {"big": 89, "small": 9, "tiny": 2}


def sampled(batches, wanted):
    sampler = Sampler(wanted)
    for batch in batches:
        sampler.add(batch.column("id"), batch.column("namespace"))
    return sampler.chosen()


def test_the_sample_depends_on_the_ids_alone():
    one = numbered(500, namespace="a")
    parts = [one.slice(300), numbered(40, namespace="b"), one.slice(0, 300)]
    first, again = sampled([one, numbered(40, namespace="b")], {"a": 20, "b": 3}), sampled(parts, {"a": 20, "b": 3})
    assert first == again
    assert {name: len(ids) for name, ids in first.items()} == {"a": 20, "b": 3}
    assert len({int(name[1:]) // 50 for name in first["a"]}) > 5  # from all over
    assert sampled([one], {"a": 10})["a"] == first["a"][:10]


def test_an_id_that_is_there_twice_is_asked_for_once():
    assert len(set(sampled([numbered(5), numbered(5)], {"": 10})[""])) == 5


def test_integer_ids_are_sampled_by_their_text():
    sampler = Sampler({"": 2})
    sampler.add(pa.array([1, 2, 3], pa.int64()), pa.array([""] * 3))
    assert set(sampler.chosen()[""]) <= {"1", "2", "3"}


VECTORS = [[1.0, 2.0, 3.0], [4.0, 5.0, 0.5]]


def written(tmp_path, name, content):
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, content)
    elif name.endswith(".parquet"):
        pq.write_table(content, path)
    else:
        path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.npy", np.array(VECTORS, np.float64)),
        ("q.npy", np.array(VECTORS, np.float32)),
        ("q.json", json.dumps(VECTORS)),
        ("q.json", json.dumps([{"values": vector} for vector in VECTORS])),
        ("q.jsonl", "\n".join(json.dumps({"vector": vector, "id": None}) for vector in VECTORS) + "\n\n"),
        ("q.jsonl", "\n".join(map(json.dumps, VECTORS))),
        ("q.parquet", pa.table({"n": [1, 2], "emb": VECTORS})),
        ("q.parquet", pa.table({"embedding": pa.array(VECTORS, pa.list_(pa.float32(), 3)), "tags": [["x"], ["y"]]})),
    ],
)
def test_every_kind_of_file(tmp_path, name, content):
    found = read_queries(written(tmp_path, name, content), 3)
    assert [query.vector.tolist() for query in found] == VECTORS
    assert [query.name for query in found] == ["query 1", "query 2"]
    assert {(query.namespace, query.filter) for query in found} == {(None, None)}


def test_one_vector_alone(tmp_path):
    assert len(read_queries(written(tmp_path, "q.json", "[1, 2, 3]"), 3)) == 1
    assert len(read_queries(written(tmp_path, "q.npy", np.array([1, 2, 3])), 3)) == 1


def test_names_namespaces_and_filters(tmp_path):
    told = [{"query": "peace", "vector": [1, 2, 3], "namespace": "a", "filter": {"year": {"$gte": 1900}}, "top10": []}, {"id": 7, "values": [1, 2, 3]}]
    first, second = read_queries(written(tmp_path, "q.json", json.dumps(told)), 3)
    assert (first.name, first.namespace, first.filter) == ("peace", "a", {"year": {"$gte": 1900}})
    assert (second.name, second.namespace, second.filter) == ("7", None, None)
    table = pa.table({"id": ["x"], "values": [[1.0, 2.0, 3.0]], "namespace": ["b"], "filter": ['{"n": 1}']})
    (found,) = read_queries(written(tmp_path, "q.parquet", table), 3)
    assert (found.name, found.namespace, found.filter) == ("x", "b", {"n": 1})


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("q.json", "[[1, 2]]", "query 1 has 2 components, the collection 3"),
        ("q.json", "[[1,2,3],[1,2,3,4]]", "query 2 has 4 components"),
        ("q.npy", np.array([[1, 2, 3], [1, np.nan, 3]]), "query 2 has the component nan"),
        ("q.npy", np.array([[1, 1e300, 3]]), "query 1 has the component 1e+300"),
        ("q.npy", np.array(["a"]), "no matrix of numbers"),
        ("q.npy", np.zeros((2, 2, 2)), "no matrix of numbers"),
        ("q.json", "[]", "holds no query"),
        ("q.jsonl", "", "holds no query"),
        ("q.json", '[{"id": "a"}]', "query 1 has no vector"),
        ("q.json", '[{"values": []}]', "query 1 has no vector"),
        ("q.json", '[{"values": "abc"}]', "query 1 is no list of numbers"),
        ("q.json", "[[1, 2, 3], [[1], 2, 3]]", "query 2 is no list of numbers"),
        ("q.json", '[{"values": [1,2,3], "sparse_values": {"indices": [1], "values": [1]}}]', "query 1 has sparse_values"),
        ("q.json", '[{"values": [1,2,3], "filter": {"n": {"$near": 1}}}]', "query 1: the filter is wrong"),
        ("q.json", '[{"values": [1,2,3], "namespace": 7}]', "query 1 has a namespace that is no text"),
        ("q.json", "{", "cannot be read"),
        ("q.jsonl", "[1,2,3]\nnot json\n", "cannot be read"),
        ("q.parquet", pa.table({"n": [1]}), "no column of vectors, only n"),
        ("q.csv", "1,2,3", "has the ending '.csv'"),
    ],
)
def test_each_fault_is_named(tmp_path, name, content, said):
    with pytest.raises(ConfigError) as caught:
        read_queries(written(tmp_path, name, content), 3)
    assert said in caught.value.message
    assert name in caught.value.message
    assert caught.value.code == "bad_queries"


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"q\.npy cannot be read: No such file"):
        read_queries(tmp_path / "q.npy", 3)


@pytest.mark.parametrize("values", [["1", "2", "3"], [True, False, True], [None, 1.0, 2.0]])
def test_what_only_looks_like_numbers_is_none(tmp_path, values):
    with pytest.raises(ConfigError, match="query 1 is no list of numbers"):
        read_queries(written(tmp_path, "a.json", json.dumps([values])), 3)


def test_an_empty_matrix_file_is_named(tmp_path):
    (tmp_path / "a.npy").touch()
    with pytest.raises(ConfigError, match=r"a\.npy cannot be read"):
        read_queries(tmp_path / "a.npy", 3)


def test_damaged_files_are_named(tmp_path):
    for name in ("q.npy", "q.parquet"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(ConfigError, match=f"{name} cannot be read"):
            read_queries(tmp_path / name, 3)


def test_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(queries, "MOST_QUERIES", 5)
    with pytest.raises(ConfigError, match="more than 5 queries"):
        read_queries(written(tmp_path, "q.npy", np.ones((6, 3))), 3)
