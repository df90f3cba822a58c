"""Bulk insert on the real server: what is staged arrives whole and is seen, failures say why, and a job is found again."""

from __future__ import annotations

import io
import json
import time
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from migrator.connectors import milvus
from migrator.connectors.milvus import bulk
from migrator.endpoints import parse
from migrator.errors import PermanentError, PlanError, TransientError
from migrator.model import Collection, LoadUnit, Plan
from tests.contract.milvus_harness import MilvusServerHarness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.connectors.milvus.target import MilvusTarget
    from tests.servers import MilvusServer

DIMENSION = 8
STAGED = Plan(parse("memory:a"), parse("memory:b"), route="staged")
IDS = ["a", "文字列🎉\"'\\\n", "c" * 20]
METADATA = ['{"t":"日本🎉\\"q\\"\\\\"}', "{}", '{"y":[1,2],"z":{"q":1.0}}']


class Bulk:
    """A server, and a bucket of which it reads its imports."""

    def __init__(self, server: MilvusServer) -> None:
        self.harness = MilvusServerHarness(server)
        self.storage = server.storage
        self.folder = f"staged/{uuid.uuid4().hex}"

    def target(self, endpoint: str) -> closing[MilvusTarget]:
        return closing(milvus.open_target(parse(endpoint)))

    def put(self, name: str, array: Any, *, cut: int = 0) -> str:
        file = io.BytesIO()
        np.save(file, np.asarray(array))
        key = f"{self.folder}/{name}.npy"
        self.storage.client().put_object(Bucket=self.storage.bucket, Key=key, Body=file.getvalue()[: -cut or None])  # type: ignore[attr-defined]
        return f"s3://{self.storage.bucket}/{key}"

    def rows(self, endpoint: str) -> dict[str, dict[str, Any]]:
        """Return what one query at Strong sees, by id. (The SDK's iterator cannot go on after an id with a quotation mark.)"""
        with self.harness.client() as client:
            name = endpoint.removeprefix("milvus:").partition("?")[0]
            found = client.query(name, filter='id != "absent"', output_fields=["*"], limit=100, consistency_level="Strong")
        return {row["id"]: dict(row) for row in found}

    def unit(self, part: str, ids: Sequence[Any], *, namespace: str = "", **columns: Any) -> LoadUnit:
        rows = {"id": np.array(ids), "vector": vectors(len(ids)), **columns}
        files = tuple(self.put(f"{part}/{name}", array) for name, array in rows.items() if array is not None)
        return LoadUnit(f"s3://{self.storage.bucket}/{self.folder}/{part}", namespace, files, len(ids))


@pytest.fixture
def store(milvus_server: MilvusServer) -> Bulk:
    return Bulk(milvus_server)


def vectors(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, DIMENSION)).astype(np.float32)


def source(*namespaces: str, **changes: Any) -> Collection:
    return Collection("source", DIMENSION, **({"metric": "euclidean", "namespaces": dict.fromkeys(namespaces or ("",), 3)} | changes))


def run(target: MilvusTarget, job: str) -> int:
    """Return the records of ``job`` when it is done."""
    for _ in range(600):
        progress = target.poll(job)
        assert progress.done == (progress.share == 1.0)
        if progress.done:
            return progress.records
        time.sleep(0.1)
    pytest.fail("the import did not end")


pytestmark = [pytest.mark.server, pytest.mark.slow]  # tests/journeys/test_dump_and_load.py goes the same way in `make test`


def test_what_is_imported_is_seen_when_finish_returns_and_is_exact(store: Bulk) -> None:
    endpoint = store.harness.new_target()
    with store.target(endpoint) as target:
        target.prepare(source(), STAGED)
        unit = store.unit("p", IDS, **{"$meta": np.array(METADATA)})
        assert run(target, target.load(unit)) == 3
        target.finish()
        rows = store.rows(endpoint)
        assert set(rows) == set(IDS)
        for name, vector, text in zip(IDS, vectors(3), METADATA, strict=True):
            assert np.array(rows[name].pop("vector"), np.float32).tobytes() == vector.tobytes()
            assert rows[name] == {"id": name} | json.loads(text)
        # the collection is loaded now: what comes next is not seen by itself
        assert run(target, target.load(store.unit("q", ["x", "y"], **{"$meta": np.array(["{}", "{}"])}))) == 2
        target.finish()
        assert set(store.rows(endpoint)) == {*IDS, "x", "y"}


@pytest.mark.parametrize("mode", ["partition", "collection", "partition_key"])
def test_namespaces(store: Bulk, mode: str) -> None:
    endpoint = f"{store.harness.new_target()}&namespace_mode={mode}"
    with store.target(endpoint) as target:
        target.prepare(source("", "n1", "日本"), STAGED)
        if mode == "partition_key":
            names = np.array(["", "n1", "日本"])
            columns = store.unit("all", ["0", "1", "2"], **{"$meta": np.array(["{}"] * 3)}).files
            units = [LoadUnit("all", "", (*columns, store.put("all/namespace", names)), 3)]
        else:
            metadata = {"$meta": np.array(["{}"])}
            units = [store.unit(f"p{number}", [str(number)], namespace=name, **metadata) for number, name in enumerate(("", "n1", "日本"))]
        jobs = [target.load(unit) for unit in units]
        assert [run(target, job) for job in jobs] == [unit.records for unit in units]
        target.finish()
    assert {row["id"]: row["namespace"] for row in store.harness.read_back(endpoint)} == {"0": "", "1": "n1", "2": "日本"}


def test_a_job_is_found_again_by_another_process_and_only_for_its_files(store: Bulk) -> None:
    endpoint = f"{store.harness.new_target()}&namespace_mode=partition"
    unit, other = store.unit("p", [1, 2]), store.unit("q", [1, 2])
    with store.target(endpoint) as target:
        assert target.loads(unit) == []  # not even the collection is there
        target.prepare(source("", "n1", id_type="int64"), STAGED)
        first = target.load(unit)
        run(target, first)
        second = target.load(unit)
        run(target, second)
    with store.target(endpoint) as target:
        assert target.loads(unit) == [second, first]
        assert target.loads(LoadUnit(unit.address, unit.namespace, unit.files[::-1], 2)) == [second, first]
        assert target.loads(other) == []
        assert target.loads(LoadUnit(unit.address, "n1", unit.files, 2)) == []  # in another partition they are not
        with pytest.raises(PermanentError) as caught:
            target.cancel(first)
        assert caught.value.code == "not_supported"
        assert "goes on" in caught.value.message


def test_what_the_server_forgot_is_looked_for_in_the_collection(store: Bulk) -> None:
    with store.target(f"{store.harness.new_target()}&namespace_mode=partition") as target:
        target.prepare(source("", "n1"), STAGED)
        unit = store.unit("p", ["a'b", "c"], **{"$meta": np.array(["{}", "{}"])})
        assert not target.holds(unit, ["a'b", "c"])  # loads the collection
        run(target, target.load(unit))
        assert target.holds(unit, ["absent", "a'b"])
        assert not target.holds(unit, ["absent"])
        assert not target.holds(LoadUnit("x", "n1", unit.files), ["c"])
        with pytest.raises(PermanentError, match="does not know import 12345") as caught:
            target.poll("12345")
        assert caught.value.code == "not_found"


@pytest.mark.parametrize(
    ("columns", "reason", "cure"),
    [
        ({"vector": np.zeros((3, 4), np.float32)}, "illegal dimension 4", "another dimension"),
        ({"id": np.array([1, 2, 3])}, "illegal data type Int64", "does not fit its field"),
        ({"vector": np.full((3, DIMENSION), np.nan, np.float32)}, "not a number", "NaN or an infinity"),
        ({"vector": None}, "no file corresponding to field", "needs its file"),
        ({"extra": np.array([1, 2, 3])}, "has no corresponding field", "no other may be there"),
        ({"vector": np.zeros((2, DIMENSION), np.float32)}, "row count", "do not belong together"),
        ({"vector": "cut"}, "unexpected EOF", "cut short"),
        ({"vector": "absent"}, "key does not exist", "minio.bucketName"),
    ],
    ids=["dimension", "type", "nan", "field-missing", "field-unknown", "rows", "cut", "absent"],
)
def test_a_failed_import_says_why_and_what_to_do(store: Bulk, columns: dict[str, Any], reason: str, cure: str) -> None:
    with store.target(store.harness.new_target()) as target:
        target.prepare(source(), STAGED)
        wanted = {"id": np.array(IDS), "vector": vectors(3), "$meta": np.array(METADATA)} | columns
        ways = {"cut": lambda: store.put("p/vector", vectors(3), cut=8), "absent": lambda: f"s3://other-bucket/{store.folder}/p/vector.npy"}
        files = [ways[array]() if isinstance(array, str) else store.put(f"p/{name}", array) for name, array in wanted.items() if array is not None]
        unit = LoadUnit("p", "", tuple(files), 3)
        job = target.load(unit)
        with pytest.raises(PermanentError) as caught:
            run(target, job)
        assert caught.value.code == "import_failed"
        assert reason in caught.value.message
        assert cure in caught.value.fix
        assert target.loads(unit) == [job]


def test_a_task_that_stands_still_is_not_watched_for_ever(store: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "STUCK_SECONDS", -1.0)
    with store.target(store.harness.new_target()) as target:
        target.prepare(source(id_type="int64"), STAGED)
        rows = 200_000
        unit = store.unit("p", np.arange(rows), vector=np.zeros((rows, DIMENSION), np.float32), **{"$meta": np.array(["{}"] * rows)})
        job = target.load(unit)
        with pytest.raises(TransientError, match=rf"bulk insert {job} (waits|stays)"):
            run(target, job)


@pytest.mark.parametrize(
    ("ids", "stored"),
    [
        (np.array([b"", b"yy"]), {"\0\0", "yy"}),  # 2.3.5 takes the padding of an empty text for the text
        (np.array([b"a\0b", b"yy"]), {"a", "yy"}),
        (np.array(["", "yy"]), {"", "yy"}),
        (np.array(["a\0b", "yy"]), {"ab", "yy"}),
    ],
    ids=["bytes-empty", "bytes-nul", "text-empty", "text-nul"],
)
def test_which_texts_of_fixed_width_arrive(store: Bulk, ids: np.ndarray, stored: set[str]) -> None:
    """What a writer of NumPy files must know: no NUL at all, and where a text is empty no ``S``, which else is a quarter of ``U``."""
    endpoint = store.harness.new_target()
    with store.target(endpoint) as target:
        target.prepare(source(), STAGED)
        run(target, target.load(store.unit("p", ids, **{"$meta": np.array(["{}", "{}"])})))
        target.finish()
    assert set(store.rows(endpoint)) == stored


def test_ids_that_an_import_would_not_check_are_limited_before(store: Bulk) -> None:
    name = f"short_{uuid.uuid4().hex[:8]}"
    endpoint = store.harness.endpoint(name)
    with store.target(f"{endpoint}&id_length=64") as target:
        target.prepare(source(), STAGED)
    with store.target(endpoint) as target, pytest.raises(PlanError) as caught:
        target.prepare(source(), STAGED)
    assert caught.value.code == "id_length_differs"
    assert "id_length=64" in caught.value.fix


def test_sparse_vectors_are_refused_before_anything_is_staged(store: Bulk) -> None:
    with store.target(store.harness.new_target()) as target, pytest.raises(PlanError, match=r"2\.3\.5 has none") as caught:
        target.prepare(source(sparse=True), STAGED)
    assert caught.value.code == "sparse_unsupported"
