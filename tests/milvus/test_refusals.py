"""What cannot be stored, reached or read is refused with one clear error, and nothing is lost on the way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from pymilvus import DataType, MilvusClient
from pymilvus import exceptions as sdk
from pymilvus.grpc_gen import common_pb2

from migrator import errors
from migrator.connectors import milvus
from migrator.connectors.milvus import failures
from migrator.connectors.milvus.options import read_options
from migrator.endpoints import parse
from migrator.model import Collection
from migrator.records import canonical_metadata, make_batch
from tests.contract.milvus_harness import TOKEN_VARIABLE, MilvusLiteHarness, MilvusServerHarness
from tests.milvus.test_roundtrip import DIMENSION, PLAN, batch_of, by_id, collection_for, read, write

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from tests.servers import MilvusServer


def sdk_exceptions() -> list[type[sdk.MilvusException]]:
    return [kind for kind in vars(sdk).values() if isinstance(kind, type) and issubclass(kind, sdk.MilvusException)]


@pytest.mark.parametrize("kind", sdk_exceptions(), ids=lambda kind: kind.__name__)
def test_every_sdk_exception_is_mapped(kind: type[sdk.MilvusException]) -> None:
    assert kind is sdk.MilvusException or kind in failures._BY_CLASS, "say in failures.py what it means"
    ours = failures.translate(kind(message="boom\nTraceback"), what="do this", address="here")
    assert type(ours) is not errors.ConnectorError
    assert "boom" in ours.message
    assert "Traceback" not in ours.message
    assert ours.fix


@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
def test_every_grpc_code_is_mapped(code: grpc.StatusCode) -> None:
    class Failed(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return code

        def details(self) -> str:
            return "why"

    ours = failures.translate(Failed(), what="do this", address="here")
    again = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "CANCELLED", "INTERNAL", "UNKNOWN", "DATA_LOSS", "RESOURCE_EXHAUSTED"}
    assert isinstance(ours, errors.TransientError if code.name in again else errors.PermanentError)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        ({"code": 8, "reason": "rate limit exceeded[rate=10]"}, errors.RateLimitedError, "rate_limited"),
        ({"error_code": 49, "reason": "slow down"}, errors.RateLimitedError, "rate_limited"),
        ({"code": 65535, "reason": "request is rejected by grpc RateLimiter middleware, rate limit"}, errors.RateLimitedError, "rate_limited"),
        ({"code": 100, "reason": "collection not found[x]"}, errors.PermanentError, "not_found"),
        ({"code": 1401, "reason": "permission deny"}, errors.PermanentError, "not_permitted"),
        ({"code": 503, "reason": "channel not available"}, errors.TransientError, "store_unavailable"),
        ({"code": 65535, "reason": "node not ready"}, errors.TransientError, "store_unavailable"),
        ({"code": 1100, "reason": "timeout is no valid field"}, errors.TransientError, "store_unavailable"),
        ({"code": 1100, "reason": "the dim 7 is not 8"}, errors.PermanentError, "store_refused"),
    ],
)
def test_statuses(status: dict[str, Any], kind: type[errors.MigratorError], code: str) -> None:
    with pytest.raises(kind) as caught:
        failures.check(common_pb2.Status(**status), what="do this", address="here")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("milvus:x", "no uri"),
        ("milvus:?uri=./a.db", "names no collection"),
        ("milvus:1abc?uri=./a.db", "'1abc' is no name"),
        ("milvus:日本?uri=./a.db", "is no name"),
        (f"milvus:{'x' * 256}?uri=./a.db", "is no name"),
        ("milvus:x?uri=./a.sqlite", "neither an address nor a Milvus Lite file"),
        ("milvus:x?uri=./absent/a.db", "folder of ./absent/a.db does not exist"),
        ("milvus:x?uri=ftp://h", "is no address of a Milvus server"),
        ("milvus:x?uri=http://h:99999", "is no address"),
        ("milvus:x?uri=http://root:pw@h", "carries a sign-in"),
        ("milvus:x?uri=./a.db&colour=red", "no option 'colour'"),
        ("milvus:x?uri=./a.db&namespace_mode=rows", "namespace_mode=rows"),
        ("milvus:x?uri=./a.db&consistency=maybe", "consistency=maybe"),
        ("milvus:x?uri=./a.db&shards=17", "shards=17"),
        ("milvus:x?uri=./a.db&index_params=M16", "index_params of milvus is no JSON"),
        ("milvus:x?uri=./a.db&index_params=[1]", "no JSON object"),
        ("milvus:x?uri=./a.db&vector_field=a-b", "'a-b' is no name"),
        ("milvus:x?uri=./a.db&dynamic=perhaps", "neither true nor false"),
        ("milvus:x?uri=http://h&user=root", "belong together"),
        ("milvus:x?uri=http://h&token=env:A&user=root&password=env:B", "a token and a user"),
        ("milvus:x?uri=https://h&server_pem_path=absent.pem", "is no file"),
        ("milvus:x?uri=https://h&client_pem_path=pyproject.toml", "belong together"),
    ],
)
def test_bad_options(text: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MILVUS_URI", raising=False)
    with pytest.raises(errors.ConfigError) as caught:
        read_options(parse(text))
    assert words in caught.value.message
    assert caught.value.fix


def test_environment_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILVUS_URI", "https://milvus.example/shop")
    monkeypatch.setenv("MILVUS_TOKEN", "canary")
    settings = read_options(parse("milvus:x"))
    assert (settings.host, settings.port, settings.secure, settings.database, settings.token) == ("milvus.example", 443, True, "shop", "canary")
    assert "canary" not in repr(settings)


def test_a_shared_host_opens_no_local_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIGRATOR_HOSTED", "1")
    with pytest.raises(errors.ConfigError, match="no local Milvus Lite files"):
        milvus.open_target(parse(f"milvus:x?uri={tmp_path}/a.db"))
    assert not list(tmp_path.iterdir())


def test_reading_what_is_not_there_creates_nothing(lite: MilvusLiteHarness) -> None:
    endpoint = lite.new_target()
    for attempt in range(2):
        with pytest.raises(errors.ConfigError) as caught:
            milvus.open_source(parse(endpoint))
        assert caught.value.code == "not_found"
        assert lite.path.exists() == bool(attempt)
        if not attempt:
            write(lite.new_target(), batch_of())
    assert [step.status for step in milvus.examine(parse(endpoint))] == ["ok"] * 4


def rejected(endpoint: str, batch: pa.RecordBatch, **changes: Any) -> dict[str, tuple[str, str]]:
    with pytest.raises(errors.RejectedRecordsError) as caught:
        write(endpoint, batch, **changes)
    return {record.id: (record.code, record.field) for record in caught.value.rejected}


def test_records_lite_would_take_are_rejected_one_by_one(lite: MilvusLiteHarness) -> None:
    values = np.ones((7, DIMENSION), np.float32)
    values[1, 3], values[2, 0] = np.nan, np.inf
    ids = ["good", "nan", "inf", "ü" * 257, "meta", "big", "good2"]
    metadata = [None, None, None, None, {"s": "x" * 65_530}, {"deep": [{"n": 2**63}]}, {"n": 2**63 - 1}]
    endpoint = lite.new_target()
    batch = make_batch(ids, values, metadata=[canonical_metadata(value) for value in metadata])
    assert rejected(endpoint, batch) == {
        "nan": ("not_finite", "values"),
        "inf": ("not_finite", "values"),
        "ü" * 257: ("id_too_long", "id"),
        "meta": ("metadata_too_large", "metadata"),
        "big": ("integer_too_large", "metadata.deep"),
    }
    assert [row["id"] for row in read(endpoint)] == ["good", "good2"]


def test_integer_keys_take_no_text(lite: MilvusLiteHarness) -> None:
    ids = ["1", "01", "x", "9223372036854775808", "-9223372036854775808", "1.0", "+1", ""]
    assert rejected(lite.new_target(), make_batch(ids, np.ones((8, DIMENSION), np.float32)), id_type="int64").keys() == set(ids) - {"1", "-9223372036854775808"}


def test_typed_columns(store: MilvusLiteHarness | MilvusServerHarness) -> None:
    endpoint = store.new_target() + "&dynamic=false"
    fields = {"title": "string", "year": "int", "price": "float", "sold": "bool", "doc": "object"}
    full = {"title": "a", "year": 1, "price": 1.5, "sold": True, "doc": {}}
    good = [full, full | {"price": 0.1, "year": -5}, full | {"doc": {"a": [None, 1.0]}}]
    bad = [
        full | {"title": 3},
        full | {"year": 1.0},
        full | {"price": 1},
        full | {"doc": [1]},
        full | {"year": 2**70},
        full | {"more": 1},
        full | {"sold": None},
    ]
    if store.name == "milvus-lite":
        good.append({"title": "only"})
    else:
        bad.append({"title": "only"})
    ids = [f"g{row}" for row in range(len(good))] + [f"b{row}" for row in range(len(bad))]
    batch = make_batch(ids, np.ones((len(ids), DIMENSION), np.float32), metadata=[canonical_metadata(value) for value in good + bad])
    assert rejected(endpoint, batch, fields=fields).keys() == {name for name in ids if name[0] == "b"}
    assert {row["id"]: row["metadata"] for row in read(endpoint)} == {f"g{row}": value for row, value in enumerate(good)}
    with pytest.raises(errors.PlanError, match="no Milvus field holds values of metadata field 'tags', list"):
        write(store.new_target() + "&dynamic=false", batch, fields={"tags": "list"})


def test_existing_collections_must_fit(lite: MilvusLiteHarness) -> None:
    endpoint = lite.new_target()
    batch = batch_of()
    write(endpoint, batch)
    fits = collection_for(batch)
    misfits = {
        "8 dimensions, the source 4": Collection("s", 4, "cosine"),
        "metric COSINE, the source L2": Collection("s", DIMENSION, "euclidean"),
        "no sparse vector field": Collection("s", DIMENSION, "cosine", sparse=True),
        "no namespace field": Collection("s", DIMENSION, "cosine", namespaces={"a": 1}),
    }
    for words, collection in misfits.items():
        with closing(milvus.open_target(parse(endpoint))) as target, pytest.raises(errors.PlanError, match=words):
            target.prepare(collection, PLAN)
    with closing(milvus.open_target(parse(endpoint + "&vector_field=other"))) as target, pytest.raises(errors.PlanError) as caught:
        target.prepare(fits, PLAN)
    assert "vector_field= one of: vector" in caught.value.fix
    with closing(milvus.open_target(parse(endpoint))) as target:
        target.prepare(fits, PLAN)
        target.prepare(fits, PLAN)


def foreign(client: MilvusClient, name: str, *, auto_id: bool = False) -> None:
    schema = client.create_schema(enable_dynamic_field=True, auto_id=auto_id)
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("emb", DataType.FLOAT_VECTOR, dim=DIMENSION)
    schema.add_field("year", DataType.INT32)
    schema.add_field("score", DataType.FLOAT)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=8, max_length=20)
    schema.add_field("doc", DataType.JSON)
    client.create_collection(name, schema=schema)
    index = client.prepare_index_params()
    index.add_index("emb", index_type="FLAT", metric_type="IP")
    client.create_index(name, index)
    client.load_collection(name)


def test_foreign_collections(store: MilvusLiteHarness | MilvusServerHarness) -> None:
    endpoint = store.new_target()
    name = parse(endpoint).resource
    row = {"emb": [1.0] * DIMENSION, "year": 7, "score": 0.5, "tags": ["a", "ü"], "doc": {"a": [1, None]}, "extra": 1.0, "pk_": 3}
    with store.client() as client:
        foreign(client, name)
        client.insert(name, [{"pk": -3, **row}, {"pk": 5, **row, "year": -1}])
        client.flush(name)
    wanted = {key: value for key, value in row.items() if key != "emb"}
    rows = read(endpoint)
    assert [(each["id"], each["metadata"]) for each in rows] == [("-3", wanted), ("5", wanted | {"year": -1})]
    with closing(milvus.open_source(parse(endpoint))) as source:
        described = source.describe()
        assert (described.metric, described.id_type, described.namespaces) == ("dotproduct", "int64", {"": 2})
        tags = "array<varchar(20),8>" if store.name == "milvus-server" else "array<varchar,8>"
        assert described.fields == {"year": "int32", "score": "float", "tags": tags, "doc": "json"}
    good = {"year": 3, "score": 0.25, "tags": [], "doc": {"x": 1}, "more": "x"}
    bad = {"score": good | {"score": 0.1}, "year": good | {"year": 2**31}, "emb": good | {"emb": 1}, "doc": {"year": 1}}
    batch = make_batch(
        ["5", *map(str, range(10, 10 + len(bad)))],
        np.zeros((1 + len(bad), DIMENSION), np.float32),
        metadata=[canonical_metadata(value) for value in (good, *bad.values())],
    )
    found = rejected(endpoint, batch, id_type="int64", metric="dotproduct")
    assert {int(key): field for key, (_, field) in found.items()} == {10: "metadata.score", 11: "metadata.year", 12: "metadata.emb", 13: "metadata.score"}
    assert by_id(read(endpoint))["", "5"]["metadata"] == good


def test_keys_made_by_milvus_are_no_target(lite: MilvusLiteHarness) -> None:
    endpoint = lite.new_target()
    with lite.client() as client:
        foreign(client, parse(endpoint).resource, auto_id=True)
    with closing(milvus.open_target(parse(endpoint))) as target, pytest.raises(errors.PlanError, match="auto_id"):
        target.prepare(Collection("s", DIMENSION, "dotproduct", "int64"), PLAN)


CHILD = """
import sys
from migrator.connectors import milvus
from migrator.endpoints import parse
from tests.milvus.test_roundtrip import PLAN, batch_of, collection_for
target = milvus.open_target(parse(sys.argv[1]))
batch = batch_of(["a", "b"])
target.prepare(collection_for(batch), PLAN)
print("ready", flush=True)
target.write(batch, "s.0")
sys.stdin.read()
"""


def child(endpoint: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, endpoint], env=os.environ | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_what_was_written_survives_a_kill(lite: MilvusLiteHarness) -> None:
    endpoint = lite.new_target()
    with child(endpoint, MIGRATOR_FAILPOINT="milvus_written:1") as process:
        assert process.wait(timeout=60) == 137
    assert by_id(read(endpoint)).keys() == by_id(batch_of(["a", "b"]).to_pylist()).keys()


def test_killed_after_creating_the_collection(lite: MilvusLiteHarness) -> None:
    endpoint = lite.new_target()
    with child(endpoint, MIGRATOR_FAILPOINT="milvus_created:1") as process:
        assert process.wait(timeout=60) == 137
    batch = batch_of(["a", "b"])
    write(endpoint, batch)
    assert len(read(endpoint)) == len(batch)


def test_a_file_in_use_is_named(lite: MilvusLiteHarness) -> None:
    endpoint = lite.new_target()
    with child(endpoint) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(errors.ConnectorError) as caught:
            milvus.open_source(parse(endpoint))
        assert caught.value.code == "file_locked"
        assert str(lite.path) in caught.value.message
        process.communicate("")
        assert process.returncode == 0
    with closing(milvus.open_source(parse(endpoint))), closing(milvus.open_source(parse(endpoint))):
        pass
    with child(endpoint) as process:  # close() really lets go of the file
        output, problems = process.communicate("", timeout=60)
    assert (process.returncode, output) == (0, "ready\n"), problems


def test_writing_from_two_threads_loses_nothing(lite: MilvusLiteHarness) -> None:
    endpoint = lite.new_target()
    values = np.ones((50, DIMENSION), np.float32)
    batches = [make_batch([f"{number}-{row}" for row in range(50)], values) for number in range(20)]
    with closing(milvus.open_target(parse(endpoint))) as target:
        target.prepare(collection_for(batches[0]), PLAN)
        threads = [threading.Thread(target=lambda part=part: [target.write(batch, "p") for batch in batches[part::2]]) for part in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read(endpoint, records=100)) == 1000


def statuses(text: str) -> list[tuple[str, str]]:
    return [(step.name, step.status) for step in milvus.examine(parse(text))]


def test_a_dead_server_fails_at_the_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        (step,) = milvus.examine(parse(f"milvus:x?uri=http://127.0.0.1:{port}"))
        assert (step.name, step.status) == ("address", "failed")
        assert "nothing listens" in step.detail
        with pytest.raises(errors.TransientError):
            milvus.open_source(parse(f"milvus:x?uri=http://127.0.0.1:{port}&connect_timeout=2"))
    (step,) = milvus.examine(parse("milvus:x?uri=http://no-such-host.invalid"))
    assert "not known" in step.detail


def test_something_else_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"127.0.0.1:{silent.getsockname()[1]}"
        assert statuses(f"milvus:x?uri=http://{uri}&connect_timeout=1") == [("address", "ok"), ("sign-in", "failed")]
        assert statuses(f"milvus:x?uri=https://{uri}&connect_timeout=1") == [("address", "ok"), ("tls", "failed")]


@pytest.mark.server
def test_a_wrong_password_is_told_from_a_dead_server(milvus_server: MilvusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MilvusServerHarness(milvus_server)
    endpoint = store.new_target()
    assert statuses(endpoint) == [("address", "ok"), ("sign-in", "ok"), ("version", "ok"), ("read", "ok")]
    monkeypatch.setenv(TOKEN_VARIABLE, "root:canary")
    *_, step = milvus.examine(parse(endpoint))
    assert (step.name, step.status) == ("sign-in", "failed")
    assert "canary" not in step.detail
    with pytest.raises(errors.PermanentError) as caught:
        milvus.open_target(parse(endpoint))
    assert caught.value.code == "sign_in_refused"
    monkeypatch.setenv("MIGRATOR_TEST_PASSWORD", "Milvus")
    base = endpoint.partition("?")[0]
    assert statuses(f"{base}?uri={milvus_server.uri}&user=root&password=env:MIGRATOR_TEST_PASSWORD")[-1] == ("read", "ok")
    with pytest.raises(errors.PlanError, match="no database nowhere"):
        milvus.open_source(parse(f"{base}?uri={milvus_server.uri}/nowhere&user=root&password=env:MIGRATOR_TEST_PASSWORD"))


@pytest.mark.slow
@pytest.mark.server
def test_rows_a_server_hides_are_reported(milvus_server: MilvusServer) -> None:
    store = MilvusServerHarness(milvus_server)
    batch = make_batch(["a", "b"], np.ones((2, DIMENSION), np.float32))
    endpoint = store.seed([batch, batch.slice(0, 1)], metric="cosine")
    with closing(milvus.open_source(parse(endpoint))) as source:
        collection = source.describe()
    assert collection.count == len(read(endpoint)) == 2
    (finding,) = collection.findings
    assert (finding.severity, finding.code) == ("lossy", "duplicate_keys")


@pytest.mark.slow
@pytest.mark.server
def test_killed_between_delete_and_insert(milvus_server: MilvusServer) -> None:
    store = MilvusServerHarness(milvus_server)
    endpoint = store.new_target()
    batch = batch_of(["a", "b"])
    write(endpoint, batch)
    with child(endpoint, MIGRATOR_FAILPOINT="milvus_deleted:1") as process:
        assert process.wait(timeout=60) == 137
    assert read(endpoint) == []
    write(endpoint, batch)  # what a resumed run does with a part it has no checkpoint for
    assert by_id(read(endpoint)).keys() == by_id(batch.to_pylist()).keys()
