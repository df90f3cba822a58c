"""What is written can be read back exactly, by us and by pymilvus, on Lite and on a real server."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from migrator.connectors import milvus
from migrator.endpoints import parse
from migrator.errors import PlanError, RejectedRecordsError
from migrator.model import Collection, Mapping, Plan, Selection
from migrator.records import canonical_metadata, make_batch, to_dicts
from tests.parameters import rest_slow

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.contract.milvus_harness import MilvusLiteHarness, MilvusServerHarness

DIMENSION = 8
ALL = Selection()
PLAN = Plan(parse("memory:a"), parse("memory:b"))
IDS = ["a'b", 'a"b', "a\\b", "a\nb\r", "ü日本", "x%_", "\u0001c", "", "tab\t", "nul\x00x", "😀", "\u007f", "-5", "\u2028", "k"]
METADATA: list[dict[str, Any] | None] = [
    None,
    {"a": None},
    {"a": {"b": [1, {"c": None}]}},
    {"": 1, "a.b": 1, "$x": 1, "a b": 1, "a'b": 1, 'a"b': 1},
    {"$meta": 3, "_seq": 3, "_partition": 4, "_seq_": 5},
    {"日本": "ü\x00\n"},
    {"i": 1, "f": 1.0},
    {"big": 2**63 - 1, "neg": -(2**63)},
    {"b": True, "n": False},
    {"l": [1, "a", None, 1.5], "e": {}, "el": []},
    {"f": 1e308, "g": 5e-324, "h": 0.1, "i": -0.0, "j": 1e22},
    {"id": 1, "id_": 2, "vector": 3, "namespace": "x", "id__": 9, "vector_": [1]},
    {"s": "x" * 60_000},
    {"pad": 'a"id":b'},
    {"nested": {"id": 1, "$meta": 2}},
]


def batch_of(namespaces: Iterable[str] = ("",), seed: int = 0) -> pa.RecordBatch:
    names = list(namespaces)
    values = np.random.default_rng(seed).normal(size=(len(IDS), DIMENSION)).astype(np.float32)
    values[1] = 0
    values[2, 0] = 1e-45
    return make_batch(
        IDS,
        values,
        metadata=[canonical_metadata(value) for value in METADATA],
        namespace=pa.array([names[row % len(names)] for row in range(len(IDS))]),
    )


def collection_for(batch: pa.RecordBatch, **changes: Any) -> Collection:
    counts: dict[str, int] = {}
    for name in batch.column("namespace").to_pylist():
        counts[name] = counts.get(name, 0) + 1
    return Collection("source", batch.schema.field("values").type.list_size, **({"metric": "cosine", "namespaces": counts} | changes))


def write(endpoint: str, *batches: pa.RecordBatch, plan: Plan = PLAN, finish: bool | None = None, **changes: Any) -> None:
    """Write ``batches``. A server finishes only where that is what the test is about: it takes seconds, and rows can be read before."""
    with closing(milvus.open_target(parse(endpoint))) as target:
        target.prepare(collection_for(batches[0], **changes), plan)
        for number, batch in enumerate(batches):
            target.write(batch, f"s.{number}")
        if finish or (finish is None and ".db" in endpoint):
            target.finish()


def read(endpoint: str, *, splits: int = 3, records: int = 4, selection: Selection = ALL) -> list[dict[str, Any]]:
    with closing(milvus.open_source(parse(endpoint))) as source:
        rows = []
        for split in source.splits(selection, splits):
            chunks = list(source.read(split, None, records))
            assert all(not chunk.rejected for chunk in chunks)
            assert split.records in {None, sum(len(chunk.batch) for chunk in chunks)}
            keys = [name for batch in source.keys(split) for name in batch.column("id").to_pylist()]
            got = [row for chunk in chunks for row in to_dicts(chunk.batch)]
            assert [str(key) for key in keys] == [row["id"] for row in got]
            assert [chunk.start for chunk in chunks] == list(np.cumsum([0, *(len(chunk.batch) for chunk in chunks)])[:-1])
            rows += got
        return rows


def by_id(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["namespace"], row["id"]): row for row in rows}


@pytest.mark.parametrize("mode", rest_slow(["", "&namespace_mode=partition", "&namespace_mode=collection"], 2))
@pytest.mark.parametrize("store", ["engine", "grpc", pytest.param("server", marks=[pytest.mark.server, pytest.mark.slow])], indirect=True)
def test_comes_back_exactly(store: MilvusLiteHarness | MilvusServerHarness, mode: str) -> None:
    batch = batch_of(["", "en", "d e"])
    endpoint = store.new_target() + mode
    write(endpoint, batch, finish=not mode)
    wanted = by_id(to_dicts(batch))
    assert by_id(read(endpoint)) == wanted
    around = {(row["namespace"], row["id"]): row for row in store.read_back(endpoint)}
    assert around.keys() == wanted.keys()
    for key, row in around.items():
        assert row["metadata"] == wanted[key]["metadata"]
        assert np.array_equal(row["values"], np.array(wanted[key]["values"], np.float32))
    with closing(milvus.open_source(parse(endpoint))) as source:
        collection = source.describe()
        assert collection.namespaces == {"": 5, "en": 5, "d e": 5}
        assert (collection.dimension, collection.metric, collection.id_type) == (DIMENSION, "cosine", "string")
        assert not collection.findings
        fetched = source.fetch([*IDS, "absent"], "en")
        assert by_id(to_dicts(fetched)) == {key: row for key, row in wanted.items() if key[0] == "en"}
        assert len(source.fetch(["absent"], "en")) == len(source.fetch(IDS, "nowhere")) == 0
    assert by_id(read(endpoint, selection=Selection(("en", "absent")))) == {key: row for key, row in wanted.items() if key[0] == "en"}


def test_writing_again_replaces_whole_records(store: MilvusLiteHarness | MilvusServerHarness) -> None:
    endpoint = store.new_target()
    first, second = batch_of(["a", "b"]), batch_of(["a", "b"], seed=1)
    second = second.set_column(3, second.schema.field(3), pa.array([canonical_metadata({"only": 1})] * len(second), pa.string()))
    write(endpoint, first, first, second)
    assert by_id(read(endpoint)) == by_id(to_dicts(second))


def test_namespace_field_only_where_namespaces_are(lite: MilvusLiteHarness) -> None:
    plain, named, routed = (lite.new_target() for _ in range(3))
    write(plain, batch_of())
    write(named, batch_of(["x"]))
    write(routed, batch_of(), plan=PLAN.with_(mapping=Mapping(namespace_from="a")))
    with lite.client() as client:
        fields = [{field["name"] for field in client.describe_collection(_name(endpoint))["fields"]} for endpoint in (plain, named, routed)]
    assert fields == [{"id", "vector"}, {"id", "vector", "namespace"}, {"id", "vector", "namespace"}]


def _name(endpoint: str) -> str:
    return parse(endpoint).resource


def test_resume_after_every_chunk(store: MilvusLiteHarness | MilvusServerHarness) -> None:
    endpoint = store.new_target()
    write(endpoint, batch_of(["a", "b"]))
    with closing(milvus.open_source(parse(endpoint))) as source:
        for split in source.splits(Selection(), 2):
            whole = [row["id"] for chunk in source.read(split, None, 3) for row in to_dicts(chunk.batch)]
            for chunk in source.read(split, None, 3):
                rest = list(source.read(split, chunk.cursor, 2))
                assert [row["id"] for later in rest for row in to_dicts(later.batch)] == whole[chunk.start + len(chunk.batch) :]
                assert not rest or rest[0].start == chunk.start + len(chunk.batch)


def test_integer_keys(store: MilvusLiteHarness | MilvusServerHarness) -> None:
    endpoint = store.new_target()
    ids = ["-9223372036854775808", "-9223372036854775807", "-5", "0", "7", "9223372036854775806"]
    values = np.random.default_rng(0).normal(size=(len(ids), DIMENSION)).astype(np.float32)
    write(endpoint, make_batch(ids, values), id_type="int64", metric="euclidean")
    assert [row["id"] for row in read(endpoint, splits=2, records=1)] == ids
    with closing(milvus.open_source(parse(endpoint))) as source:
        assert source.describe().id_type == "int64"
        assert sorted(source.fetch([ids[0], "7", "x", "07", "99999999999999999999"], "").column("id").to_pylist()) == [ids[0], "7"]
    with closing(milvus.open_target(parse(endpoint))) as target:
        target.delete([ids[0], "7", "absent"], "")
    assert [row["id"] for row in read(endpoint)] == [ids[1], "-5", "0", ids[-1]]


@pytest.mark.parametrize("mode", rest_slow(["", "&namespace_mode=partition", "&namespace_mode=collection"]))
def test_delete_takes_only_its_namespace(store: MilvusLiteHarness | MilvusServerHarness, mode: str) -> None:
    endpoint = store.new_target() + mode
    batch = batch_of(["a", "b"])
    write(endpoint, batch)
    with closing(milvus.open_target(parse(endpoint))) as target:
        target.delete(IDS[:6], "a")
        target.delete([], "a")
        target.delete(IDS[:2], "absent")
    gone = {("a", name) for name in IDS[:6]}
    assert by_id(read(endpoint)).keys() == by_id(to_dicts(batch)).keys() - gone


def test_one_id_in_two_namespaces(store: MilvusLiteHarness | MilvusServerHarness) -> None:
    values = np.ones((2, DIMENSION), np.float32)
    batch = make_batch(["same", "same"], values, namespace=pa.array(["a", "b"]))
    separate = store.new_target() + "&namespace_mode=collection"
    write(separate, batch)
    assert by_id(read(separate)).keys() == {("a", "same"), ("b", "same")}
    with pytest.raises(RejectedRecordsError) as caught:
        write(store.new_target(), batch)
    assert [(record.namespace, record.code) for record in caught.value.rejected] == [("b", "duplicate_id")]
    assert milvus.capabilities().ids_unique_across_namespaces
    assert not milvus.capabilities(parse(separate)).ids_unique_across_namespaces


def test_search_gives_the_stores_scores(store: MilvusLiteHarness | MilvusServerHarness) -> None:
    values = np.eye(3, DIMENSION, dtype=np.float32) * np.array([[1], [2], [3]], np.float32)
    every = [("euclidean", [0.0, 5.0, 10.0]), ("cosine", [1.0, 0.0, 0.0]), ("dotproduct", [1.0, 0.0, 0.0])]
    for metric, scores in every[:1] if store.name == "milvus-server" else every:
        endpoint = store.new_target()
        write(endpoint, make_batch(["a", "b", "c"], values, namespace=pa.array(["x", "y", "y"])), metric=metric)
        with closing(milvus.open_source(parse(endpoint))) as source:
            (hits,) = source.search([values[0].tolist()], 3, None)
            assert hits[0][0] == "a"
            assert [score for _, score in hits] == pytest.approx(scores, abs=1e-5)
            assert {name for name, _ in source.search([values[0].tolist()], 3, "y")[0]} == {"b", "c"}
            assert source.search([values[0].tolist()], 1, None) == [hits[:1]]


def test_sparse_vectors_on_lite(lite: MilvusLiteHarness) -> None:
    sparse = [{"indices": [7, 1, 4_000_000_000], "values": [0.5, 2.0, 1.0]}, None, {"indices": [3], "values": [1.0]}]
    batch = make_batch(["a", "b", "c"], np.ones((3, DIMENSION), np.float32), sparse_values=sparse)
    endpoint = lite.new_target()
    write(endpoint, batch, sparse=True)
    rows = {row["id"]: row["sparse_values"] for row in read(endpoint)}
    assert rows == {"a": {"indices": [1, 7, 4_000_000_000], "values": [2.0, 0.5, 1.0]}, "b": None, "c": {"indices": [3], "values": [1.0]}}
    assert {row["id"]: row["sparse_values"] for row in lite.read_back(endpoint)} == rows
    with lite.client() as client:
        client.load_collection(_name(endpoint))
        (hits,) = client.search(_name(endpoint), [{3: 1.0}], anns_field="sparse", limit=3)
    assert hits[0]["id"] == "c"


@pytest.mark.server
def test_server_without_sparse_vectors_says_so(milvus_server: Any) -> None:
    from tests.contract.milvus_harness import MilvusServerHarness  # noqa: PLC0415

    store = MilvusServerHarness(milvus_server)
    batch = batch_of()
    with pytest.raises(PlanError, match=r"sparse vectors, and Milvus 2\.3\.5 has none"):
        write(store.new_target(), batch, sparse=True)


@pytest.mark.parametrize("limit", [1, 2**27])
def test_lite_flushes_vectors_without_making_python_floats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    def slow(_memtable: Any, _rows: Any) -> None:
        raise AssertionError("every component became a Python float")

    monkeypatch.setattr("milvus_lite.storage.memtable.MemTable._build_data_table", slow)
    monkeypatch.setattr("milvus_lite.engine.collection.MEMTABLE_MEMORY_LIMIT", limit)  # a flush after every write, or one of all
    endpoint = f"milvus:flushed?uri={tmp_path}/a.db"
    older, newer = batch_of(["", "en"], seed=1), batch_of(["", "en"], seed=2)
    write(endpoint, older, newer.slice(3, 5))
    wanted = by_id(to_dicts(older)) | by_id(to_dicts(newer.slice(3, 5)))
    assert by_id(read(endpoint)) == wanted
