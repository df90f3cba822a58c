"""Bulk imports from Parquet: what comes in, what is refused, and that nothing is there before all of it is."""

from __future__ import annotations

import threading
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migrator.local_pinecone.engine import ApiError, Engine, Settings
from tests.local_pinecone.making import PODS, definition, ids, put, record

ROWS = {
    "id": pa.array(["a", "b"]),
    "values": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32())),
    "metadata": pa.array(['{"x": 1, "tags": ["é"]}', None]),
    "sparse_values": pa.array([None, {"indices": [7], "values": [0.5]}], pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])),
}


def write(folder, name="part.parquet", **columns):
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({**ROWS, **columns}), folder / name)


def finished(engine, index, uri, mode="continue"):
    started = engine.imports.start(index, str(uri), mode)
    assert started.finished.wait(60)
    return engine.imports.get(index, started.id)


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def target(engine):
    return engine.create(definition())


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_folders_become_namespaces(engine, target, tmp_path, scheme):
    write(tmp_path / "__default__")
    write(tmp_path / "zz", "1.parquet")
    write(tmp_path / "zz", "2.parquet", id=pa.array(["c", "d"]))
    done = finished(engine, target, f"{scheme}{tmp_path}/")
    assert (done.status, done.records_imported, done.percent_complete, done.error) == ("Completed", 6, 100.0, "")
    assert (ids(target), ids(target, "zz")) == (["a", "b"], ["a", "b", "c", "d"])
    found = target.fetch("", ["a", "b"]).value
    assert (found["a"].values.tolist(), found["a"].metadata.fields, found["a"].sparse) == ([1, 2], {"x": 1, "tags": ["é"]}, None)
    assert (found["b"].metadata, found["b"].sparse[0].tolist()) == (None, [7])


def test_fixed_size_lists_and_few_columns_will_do(engine, target, tmp_path):
    table = pa.table({"id": ["a"], "values": pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))})
    (tmp_path / "n").mkdir()
    pq.write_table(table, tmp_path / "n" / "a.parquet")
    assert finished(engine, target, tmp_path).status == "Completed"
    assert target.fetch("n", ["a"]).value["a"].values.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"values": pa.array([[1.0, 2.0], [3.0]], pa.list_(pa.float32()))}, "dimension 1"),
        ({"values": pa.array([[1.0, 2.0], None], pa.list_(pa.float32()))}, "dimension 0"),
        ({"metadata": pa.array([None, "{"])}, "unexpected end"),
        ({"metadata": pa.array([None, "[1]"])}, "object"),
        ({"metadata": pa.array([None, '{"a": null}'])}, "null"),
        ({"id": pa.array(["a", None])}, "string"),
        ({"id": pa.array(["a", "é"])}, "ASCII"),
    ],
)
def test_a_bad_record_is_left_out_or_ends_the_import(engine, tmp_path, columns, words):
    write(tmp_path / "n", **columns)
    lenient, strict = engine.create(definition("lenient")), engine.create(definition("strict"))
    done = finished(engine, lenient, tmp_path)
    assert (done.status, done.records_imported, ids(lenient, "n")) == ("Completed", 1, ["a"])
    failed = finished(engine, strict, tmp_path, "abort")
    assert failed.status == "Failed"
    assert words in failed.error
    assert dict(strict.stats().namespaces) == {}


def test_what_cannot_be_imported_fails_with_its_reason(engine, target, tmp_path):
    write(tmp_path / "extra" / "m", more=pa.array([1, 2]))
    write(tmp_path / "flat")
    write(tmp_path / "foreign" / "日本")
    write(tmp_path / "deep" / "a" / "b")
    write(tmp_path / "there" / "n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken" / "m").mkdir(parents=True)
    (tmp_path / "broken" / "m" / "a.parquet").write_bytes(b"PAR1 nothing")
    put(target, record("z", [1, 2]), namespace="n")
    for place, words in {
        "extra": "no others",
        "flat": "folder named after its namespace",
        "deep": "folder named after its namespace",
        "there": "exist already: n",
        "empty": "No Parquet files",
        "broken": "Unable to read",
        "nowhere": "Unable to read",
        "foreign": "ASCII",
    }.items():
        done = finished(engine, target, tmp_path / place)
        assert done.status == "Failed"
        assert words in done.error
    assert "Unsupported import location" in finished(engine, target, "gs://bucket/x").error


def test_what_is_no_import_is_refused_at_once(engine, target):
    pods = engine.create(definition("pods", deployment=PODS))
    for call in (
        lambda: engine.imports.start(pods, "s3://a/b"),
        lambda: engine.imports.start(target, ""),
        lambda: engine.imports.start(target, "s3://a/b", "sometimes"),
        lambda: engine.imports.get(target, "101"),
    ):
        with pytest.raises(ApiError):
            call()


def test_an_import_can_be_cancelled_and_followed(tmp_path):
    engine = Engine(Settings(import_delay=3600))
    target = engine.create(definition())
    write(tmp_path / "n")
    started = engine.imports.start(target, str(tmp_path))
    assert (started.status, [one.id for one in engine.imports.list(target)]) == ("Pending", [started.id])
    engine.imports.cancel(target, started.id)
    assert started.finished.wait(60)
    assert (started.status, dict(target.stats().namespaces)) == ("Cancelled", {})
    engine.imports.cancel(target, started.id)


def test_closing_waits_for_no_import(tmp_path):
    engine = Engine(Settings(import_delay=3600))
    engine.imports.start(engine.create(definition()), str(tmp_path))
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 60
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("import ")]


@pytest.mark.server
def test_a_bucket_is_read_too(s3_server, tmp_path):
    write(tmp_path / "n")
    s3_server.client().upload_file(str(tmp_path / "n" / "part.parquet"), s3_server.bucket, "bulk/n/part.parquet")
    options = {"endpoint_override": s3_server.endpoint, "access_key": s3_server.access_key, "secret_key": s3_server.secret_key}
    engine = Engine(Settings(s3_options=options))
    target = engine.create(definition())
    assert finished(engine, target, f"s3://{s3_server.bucket}/bulk").error == ""
    assert ids(target, "n") == ["a", "b"]
    wrong = Engine(Settings(s3_options={**options, "secret_key": "wrong"}))
    assert "Unable to read" in finished(wrong, wrong.create(definition()), f"s3://{s3_server.bucket}/bulk").error
