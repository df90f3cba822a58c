"""Whole copies between indexes of the local service: what the tools before this one get wrong, and what goes wrong on the way."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import unquote

import numpy as np
import pytest
from pinecone.errors import ApiError

from migrator.connectors import connector
from migrator.connectors.pinecone import encode
from migrator.connectors.pinecone.grpc_plane import GrpcPlane
from migrator.connectors.pinecone.rest_plane import RestPlane
from migrator.endpoints import parse
from migrator.errors import ConfigError, PermanentError, TransientError
from migrator.model import Collection, Plan, Selection
from migrator.protocols import Deletable, Droppable, KeyScanner, Scalable, Searchable, Stampable, Switchable
from migrator.service import PlanOptions
from tests.pinecone.conftest import KEY, rows

TRANSPORTS = ["grpc", "rest"]


def opened(text):
    endpoint = parse(text)
    return connector(endpoint.connector).open_source(endpoint)


def as_expected(records):
    return {
        row["id"]: (
            np.array(row["values"], np.float32).tobytes(),
            dict(zip(row["sparse_values"]["indices"], row["sparse_values"]["values"], strict=True)) if row.get("sparse_values") else None,
            row["metadata"] or None,
        )
        for row in records
    }


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_everything_arrives(account, copy, transport):
    account.create("a", metric="dotproduct")
    sparse = rows(150, sparse_values={"indices": [3, 70_000], "values": [0.5, 0.25]})
    account.fill("a", rows(120), "plain")
    account.fill("a", sparse, "with-sparse")
    result = copy(f"pinecone:a?transport={transport}", f"pinecone:b?transport={transport}")
    assert (result["verdict"], result["counts"]["copied"]) == ("proven", 270)
    assert account.read("b", "plain") == as_expected(rows(120))
    assert account.read("b", "with-sparse") == as_expected(sparse)


def test_what_the_target_is_made_of_comes_from_the_source(account, copy):
    account.create("a", 5, "euclidean")
    account.fill("a", rows(3, dimension=5))
    copy(target="pinecone:b?cloud=gcp&region=europe-west4&deletion_protection=yes&tags=team:search")
    made = account.client.indexes.describe("b")
    field = made.schema.fields["_values"]
    assert (field.dimension, field.metric, made.deployment.cloud, made.deployment.region) == (5, "euclidean", "gcp", "europe-west4")
    assert (made.deletion_protection, made.tags) == ("enabled", {"team": "search"})


def test_an_api_that_knows_no_schema_is_asked_without(account, copy, monkeypatch):
    account.create("a", 5, "euclidean")
    account.fill("a", rows(3, dimension=5))

    def refused(self, **_):
        raise ApiError("deployment_type 'managed' is not supported on this API version", 400)

    monkeypatch.setattr("pinecone.client.indexes.Indexes.create", refused)
    assert copy(target="pinecone:b?tags=team:search&region=eu-west-1")["verdict"] == "proven"
    made = account.client.indexes.describe("b")
    assert (made.schema.fields["_values"].metric, made.deployment.region, made.tags) == ("euclidean", "eu-west-1", {"team": "search"})


def test_1536_dimensions_beyond_two_megabytes(account, copy):
    account.create("a", 1536)
    values = np.random.default_rng(3).standard_normal((700, 1536), dtype=np.float32)
    for start in range(0, 700, 50):  # 40 KB a record as the SDK sends it
        account.fill("a", [{"id": f"r{n}", "values": values[n].tolist(), "metadata": {"t": "x" * 900}} for n in range(start, start + 50)])
    assert copy()["verdict"] == "proven"
    assert account.namespaces("b") == {"": 700}


def test_an_empty_first_namespace_ends_nothing(account, copy):
    account.create("a")
    account.fill("a", rows(5), "aaa")
    account.fill("a", rows(7), "bbb")
    with account.client.index(name="a") as index:
        index.delete(delete_all=True, namespace="aaa")
    result = copy()
    assert (result["verdict"], result["counts"]["copied"]) == ("proven", 7)


def test_chinese_namespaces_can_be_read_and_told_apart(account, copy):
    account.create("a")
    account.settings.ascii_namespaces = False  # as data from before that rule
    for name in ("日本", "中国", ""):
        account.fill("a", rows(4), name)
    account.settings.ascii_namespaces = True
    result = copy()
    assert (result["verdict"], result["counts"]["copied"]) == ("proven", 12)
    assert len(account.namespaces("b")) == 3


def test_chinese_routing_values_are_told_apart(account, copy):
    account.create("a")
    for start, shop in ((0, {"shop": "日本"}), (10, {"shop": "中国"}), (20, {"shop": "en"}), (30, {})):
        account.fill("a", rows(4, start=start, metadata=shop))
    result = copy(namespace_from="shop")
    assert (result["verdict"], result["counts"]["copied"]) == ("proven", 16)
    assert sorted(unquote(name) for name in account.namespaces("b")) == ["", "en", "中国", "日本"]


def test_numbers_keep_their_kind(account, copy):
    account.create("a")
    metadata = {"i": 7, "f": 1.5, "neg": -3, "big": 2**53, "zero": 0, "yes": True, "no": False, "list": ["a", "b"], "none": [], "text": "7", "": "empty key"}
    account.fill("a", [{"id": "x", "values": [1, 2, 3], "metadata": metadata}])
    assert copy()["verdict"] == "proven"
    assert account.read("b")["x"][2] == metadata
    assert isinstance(account.read("b")["x"][2]["yes"], bool)


def test_a_record_written_again_loses_what_it_no_longer_has(account, copy):
    account.create("a", metric="dotproduct")
    account.create("b", metric="dotproduct")
    account.fill("b", [{"id": "x", "values": [9, 9, 9], "metadata": {"old": 1}, "sparse_values": {"indices": [1], "values": [1.0]}}])
    account.fill("a", [{"id": "x", "values": [1, 2, 3]}])
    assert copy(on_conflict="upsert")["verdict"] == "proven"
    assert account.read("b")["x"][1:] == (None, None)


def test_reads_that_lag_are_waited_for(account, copy):
    account.create("a")
    account.fill("a", rows(300))
    account.settings.freshness_lag = 0.4
    account.create("b")
    assert copy()["verdict"] == "proven"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_finish_waits_for_what_another_process_wrote(account, transport):
    account.create("a")
    account.settings.freshness_lag = 0.4
    account.fill("a", rows(20))
    endpoint = parse(f"pinecone:a?transport={transport}")
    with closing(connector("pinecone").open_target(endpoint)) as target:
        target.prepare(Collection("a", 3, "cosine", namespaces={"": 20}), Plan(endpoint, endpoint))
        target.finish()
        assert len(account.read("a")) == 20


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_rate_limits_slow_down_but_lose_nothing(account, copy, transport, monkeypatch):
    account.create("a")
    account.fill("a", rows(900))
    monkeypatch.setattr(encode, "REQUEST_BYTES", 4_000)
    monkeypatch.setattr("migrator.connectors.pinecone.target.packed", lambda items: encode.packed(items, most_records=20))
    account.settings.rate_limits = True
    account.settings.rates.namespace_upserts = 25
    refused = []
    plane = GrpcPlane if transport == "grpc" else RestPlane
    upsert = plane.upsert

    def counting(self, namespace, items):
        try:
            return upsert(self, namespace, items)
        except Exception as error:
            refused.append(error)
            raise

    monkeypatch.setattr(plane, "upsert", counting)
    result = copy(f"pinecone:a?transport={transport}", f"pinecone:b?transport={transport}")
    assert (result["verdict"], result["counts"]["copied"]) == ("proven", 900)
    # the SDK tries again by itself before we hear of it
    assert {error.code for error in refused} == ({"rate_limited"} if transport == "grpc" else set())


def test_records_that_vanish_are_counted(account, copy, monkeypatch):
    account.create("a")
    account.fill("a", rows(200))
    fetch, gone = GrpcPlane.fetch, []

    def deleting(self, namespace, ids):
        if len(ids) > 100 and not gone:
            gone.extend(["r5", "r77", "r150"])
            with account.client.index(name="a") as index:
                index.delete(ids=gone)
        return fetch(self, namespace, ids)

    monkeypatch.setattr(GrpcPlane, "fetch", deleting)
    result = copy()
    assert (result["counts"], result["verdict"]) == ({"scanned": 200, "copied": 197, "rejected": 0, "vanished": 3, "duplicate": 0}, "proven")


def test_records_that_come_meanwhile_keep_a_run_from_being_proven(account, copy, monkeypatch):
    account.create("a")
    account.fill("a", rows(50))
    upsert, done = GrpcPlane.upsert, []

    def adding(self, namespace, items):
        if not done:
            done.append(account.fill("a", rows(5, start=900)))
        return upsert(self, namespace, items)

    monkeypatch.setattr(GrpcPlane, "upsert", adding)
    result = copy()
    assert result["verdict"] == "differs"
    assert {(found["id"], found["class"]) for found in result["differences"]} == {(f"r{n}", "missing") for n in range(900, 905)}
    assert {"source_written", "scan_incomplete"} <= {finding["code"] for finding in result["findings"]}


def test_tampering_is_named(account, service, copy):
    account.create("a")
    account.fill("a", rows(300))
    result = copy()
    with account.client.index(name="b") as index:
        index.update(id="r42", set_metadata={"n": -1})
        index.delete(ids=["r7"])
    service.start_verify(result["run"])
    service.wait(result["run"], 60)
    found = {(row["id"], row["class"]) for row in service.result(result["run"])["differences"]}
    assert found == {("r42", "changed"), ("r7", "missing")}


def test_a_record_pinecone_refuses_is_rejected_and_the_others_go_on(account, copy, monkeypatch):
    account.create("a")
    account.fill("a", rows(30))
    upsert = GrpcPlane.upsert

    def refusing(self, namespace, items):
        if any(name == "r13" for name, *_ in items):
            raise PermanentError("metadata of r13 is not to my taste", code="bad_request")
        return upsert(self, namespace, items)

    monkeypatch.setattr(GrpcPlane, "upsert", refusing)
    result = copy()
    assert [(row["id"], row["code"], row["field"]) for row in result["rejected"]] == [("r13", "refused_by_pinecone", "metadata")]
    assert (result["verdict"], result["counts"]["copied"]) == ("incomplete", 29)


def test_a_key_revoked_midway_fails_the_run_and_a_new_key_finishes_it(account, service, monkeypatch):
    account.create("a")
    account.fill("a", rows(400))
    upsert, calls = GrpcPlane.upsert, []

    def revoking(self, namespace, items):
        calls.append(1)
        if len(calls) == 2:
            account.settings.api_keys = {"another"}
        return upsert(self, namespace, items)

    monkeypatch.setattr(GrpcPlane, "upsert", revoking)
    run = service.start(service.plan("pinecone:a", "pinecone:b", PlanOptions(batch=50)))
    status = service.wait(run, 60)
    assert (status["status"], status["error"]["code"]) == ("failed", "unauthorized")
    monkeypatch.setenv("PINECONE_API_KEY", "another")
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven"
    assert KEY not in str(status)


def test_a_wrong_key_is_said_to_be_one(account, service):
    account.create("a")
    account.settings.api_keys = {"another"}
    with pytest.raises(PermanentError) as caught:
        service.inspect("pinecone:a")
    assert (caught.value.code, KEY in caught.value.message) == ("unauthorized", False)


def test_a_missing_index_is_named_with_those_there_are(account, service):
    account.create("a")
    with pytest.raises(ConfigError, match="no index nothing") as caught:
        service.inspect("pinecone:nothing")
    assert (caught.value.code, caught.value.fix) == ("not_found", "this key's project has: a")


def test_a_document_index_is_refused(account, service):
    fields = {"title": {"type": "string", "full_text_search": {}}, "year": {"type": "float", "filterable": True}}
    account.client.indexes.create(name="docs", schema={"fields": fields}, deployment={"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"})
    with pytest.raises(ConfigError) as caught:
        service.inspect("pinecone:docs")
    assert caught.value.code == "document_index"


@pytest.mark.parametrize(("dimension", "metric"), [(4, "cosine"), (3, "euclidean")])
def test_a_target_that_does_not_fit_blocks_the_plan(account, service, dimension, metric):
    account.create("a")
    account.fill("a", rows(5))
    account.create("b", dimension, metric)
    plan = service.plan("pinecone:a", "pinecone:b")
    assert [finding.code for finding in plan.findings if finding.severity == "blocking"] == ["dimension_differs" if dimension == 4 else "metric_differs"]


def test_without_grpc_it_is_rest(account, copy, monkeypatch):
    account.create("a")
    account.fill("a", rows(20))

    def unreachable(self, filter_=None):
        raise TransientError("no HTTP/2 here")

    monkeypatch.setattr(GrpcPlane, "stats", unreachable)
    with closing(opened("pinecone:a")) as source:
        assert source._connection.plane.transport == "REST"
    assert copy()["verdict"] == "proven"


def test_it_implements_what_it_can(account):
    account.create("a")
    with closing(opened("pinecone:a")) as source:
        assert isinstance(source, (KeyScanner, Searchable))
        assert isinstance(source, Stampable)
        assert isinstance(source, Switchable)
        assert isinstance(source, Scalable)
        assert isinstance(source, Droppable)
    with closing(connector("pinecone").open_target(parse("pinecone:a"))) as target:
        assert isinstance(target, Deletable)


def test_stamps_touch_nothing_else_and_come_off_again(account):
    account.create("a", metric="dotproduct")
    records = [*rows(40, sparse_values={"indices": [1], "values": [0.5]}), {"id": "bare", "values": [1, 2, 3], "metadata": {}}]
    account.fill("a", records, "n")
    before = account.read("a", "n")
    mark = {"migrated": True, "migrated_at": "2026-01-31T12:00:00Z"}
    with closing(opened("pinecone:a")) as source:
        source.stamp([*before, "no such record"], "n", mark)
        stamped = account.read("a", "n")
        assert all(stamped[name] == (*before[name][:2], {**(before[name][2] or {}), **mark}) for name in before)
        source.unstamp([*before, "no such record"], "n", list(mark))
        source.unstamp(["r1"], "n", list(mark))
    assert account.read("a", "n") == before


def test_the_new_address(account):
    account.create("a")
    with closing(opened("pinecone:a")) as source:
        found = source.address()
    assert found.environment == {"PINECONE_INDEX": "a", "PINECONE_INDEX_HOST": account.client.indexes.describe("a").host}
    assert set(found.snippets) == {"Python", "Node"}
    compile(found.snippets["Python"], "snippet", "exec")
    assert KEY not in str(found)


def test_scaling_and_dropping(account):
    account.create("a")
    account.create("p", pod=True)
    with closing(opened("pinecone:a")) as source, closing(opened("pinecone:p")) as pods:
        assert "scaled" in source.scale({"node_type": "b1", "shards": "2", "replicas": "1"})
        assert account.client.indexes.describe("a").read_capacity.dedicated.manual.shards == 2
        assert "scaled" in pods.scale({"replicas": "2"})
        assert account.client.indexes.describe("p").deployment.replicas == 2
        with pytest.raises(ConfigError, match="pod_type"):
            source.scale({"pod_type": "p2"})
        account.client.indexes.configure("a", deletion_protection="enabled")
        with pytest.raises(PermanentError) as caught:
            source.drop()
        assert caught.value.code == "deletion_protected"
        account.client.indexes.configure("a", deletion_protection="disabled")
        source.drop()
        source.drop()
    assert not account.client.indexes.exists("a")


def test_a_large_namespace_is_split_by_ids_that_need_no_listing_to_be_right(account, monkeypatch):
    monkeypatch.setattr("migrator.connectors.pinecone.source.SPLIT_RECORDS", 100)
    account.create("a")
    account.fill("a", rows(500))
    with closing(opened("pinecone:a")) as source:
        splits = list(source.splits(Selection(), 4))
        assert len(splits) == 4
        ids = [[name for chunk in source.read(split, None, 30) for name in chunk.batch.column("id").to_pylist()] for split in splits]
        assert [name for some in ids for name in some] == sorted(row["id"] for row in rows(500))
        assert all(some for some in ids)


def test_a_sparse_index(account, copy):
    deployment = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
    account.client.indexes.create(name="s", schema={"fields": {"_sparse_values": {"type": "sparse_vector"}}}, deployment=deployment)
    account.fill("s", [{"id": f"r{n}", "sparse_values": {"indices": [n, n + 7], "values": [0.5, 1.5]}, "metadata": {"n": n}} for n in range(50)])
    result = copy("pinecone:s", "pinecone:t")
    assert (result["verdict"], result["counts"]["copied"]) == ("proven", 50)
    assert account.read("t") == account.read("s")
