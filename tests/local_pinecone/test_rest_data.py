"""The data plane over REST: with the official SDK, and by hand where the SDK would not send it."""

from __future__ import annotations

import threading

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pinecone import Pinecone, SparseValues, Vector
from pinecone.errors import ApiError as SdkError

from migrator.local_pinecone.engine import Rates, Settings
from migrator.local_pinecone.server import running
from tests.local_pinecone.making import PODS, Clock, definition, sparse_definition


@pytest.fixture
def server():
    with running(Settings(clock=Clock())) as started:
        yield started


@pytest.fixture
def client(server):
    with Pinecone(api_key="k", host=server.url) as made:
        yield made


@pytest.fixture
def index(server, client):
    """Return the SDK's client of a new index of three dimensions under the dot product."""
    server.engine.create(definition(dimension=3, metric="dotproduct"))
    with client.index("a") as made:
        yield made


@pytest.fixture
def ask(server, index):
    """Return a function that sends one request by hand and returns the response."""
    with httpx.Client(base_url=server.engine.host_of("a"), headers={"Api-Key": "k", "X-Pinecone-Api-Version": "2025-10"}) as sender:
        yield lambda method, path, body=None, **options: sender.request(method, path, json=body, **options)


def upsert(index, *vectors, **options):
    return index.upsert(vectors=list(vectors), show_progress=False, **options)


def test_records_go_in_and_come_out_as_they_were(index):
    sparse = SparseValues(indices=[7, 4_000_000_000], values=[0.5, 0.1])
    metadata = {"text": "日本", "number": 2019, "half": 0.5, "flag": True, "tags": ["a", "b"]}
    wrote = upsert(index, Vector(id="a", values=[0.1, 1e-8, 3], sparse_values=sparse, metadata=metadata), ("b", [1, 2, 3]), namespace="n")
    assert (wrote.upserted_count, wrote.response_info.lsn_committed) == (2, 1)
    read = index.fetch(ids=["a", "b", "none"], namespace="n")
    assert sorted(read.vectors) == ["a", "b"]
    found = read.vectors["a"]
    assert np.float32(found.values).tolist() == np.float32([0.1, 1e-8, 3]).tolist()
    assert (found.sparse_values.indices, np.float32(found.sparse_values.values).tolist()) == ([7, 4_000_000_000], np.float32([0.5, 0.1]).tolist())
    assert (found.metadata, read.vectors["b"].metadata, read.vectors["b"].sparse_values) == (metadata, None, None)
    assert (read.namespace, read.usage.read_units, read.response_info.lsn_reconciled) == ("n", 1, 1)


def test_a_query_answers_with_what_it_was_asked_for(index):
    upsert(index, ("a", [1, 0, 0], {"x": 1}), ("b", [2, 0, 0], {"x": 2}), ("c", [3, 0, 0]))
    plain = index.query(vector=[1, 0, 0], top_k=2)
    assert [(one.id, one.score, one.values, one.metadata) for one in plain.matches] == [("c", 3.0, [], None), ("b", 2.0, [], None)]
    rich = index.query(id="a", top_k=2, filter={"x": {"$gt": 0}}, include_values=True, include_metadata=True)
    assert [(one.id, one.values, one.metadata) for one in rich.matches] == [("b", [2, 0, 0], {"x": 2}), ("a", [1, 0, 0], {"x": 1})]
    upsert(index, Vector(id="d", values=[0, 0, 1], sparse_values=SparseValues(indices=[1], values=[9.0])))
    assert index.query(vector=[1, 0, 0], sparse_vector={"indices": [1], "values": [2.0]}, top_k=1).matches[0].score == 18.0


def test_list_stats_and_namespaces_agree(index):
    upsert(index, *[(f"v{number:03}", [1, 2, 3]) for number in range(150)], namespace="zz")
    upsert(index, ("z", [1, 2, 3]))
    assert [one.id for page in index.list(namespace="zz") for one in page.vectors] == [f"v{number:03}" for number in range(150)]
    assert [one.id for one in index.list_paginated(namespace="zz", prefix="v01", limit=3).vectors] == ["v010", "v011", "v012"]
    stats = index.describe_index_stats()
    assert {name: one.vector_count for name, one in stats.namespaces.items()} == {"zz": 150, "__default__": 1}
    assert (stats.total_vector_count, stats.dimension, stats.metric, stats.vector_type) == (151, 3, "dotproduct", "dense")
    assert index.create_namespace(name="new", schema={"fields": {"x": {"filterable": True}}}).record_count == 0
    listed = [one for page in index.list_namespaces() for one in page.namespaces]
    assert [(one.name, one.record_count) for one in listed] == [("__default__", 1), ("new", 0), ("zz", 150)]
    assert index.describe_namespace(name="zz").record_count == 150
    index.delete_namespace(name="zz")
    with pytest.raises(SdkError, match="not found"):
        index.describe_namespace(name="zz")


def test_updates_and_deletes(index):
    upsert(index, *[(f"v{number}", [1, 2, number + 1], {"n": number}) for number in range(5)])
    index.update(id="v1", values=[7, 7, 7], sparse_values={"indices": [1], "values": [1.0]}, set_metadata={"m": True})
    found = index.fetch(ids=["v1"]).vectors["v1"]
    assert (found.values, found.sparse_values.indices, found.metadata) == ([7, 7, 7], [1], {"n": 1, "m": True})
    assert index.update(filter={"n": {"$gte": 3}}, set_metadata={"m": False}, dry_run=True).matched_records == 2
    assert index.update(filter={"n": {"$gte": 3}}, set_metadata={"m": False}).matched_records == 2
    pages = index.fetch_by_metadata(filter={"m": {"$exists": True}}, limit=2)
    assert (list(pages.vectors), bool(pages.pagination.next)) == (["v1", "v3"], True)
    index.delete(ids=["v1"])
    index.delete(filter={"n": 3})
    assert [one.id for one in index.list_paginated().vectors] == ["v0", "v2", "v4"]
    index.delete(delete_all=True)
    assert index.describe_index_stats().total_vector_count == 0
    with pytest.raises(SdkError) as caught:
        index.delete(ids=["a"], namespace="nowhere")
    assert caught.value.status_code == 404


@pytest.mark.parametrize(
    ("vector", "words"),
    [
        ({"id": "a", "values": [1, 2]}, "Vector dimension 2 does not match the dimension of the index 3"),
        ({"id": "a", "values": [1, None, 3]}, "list of numbers"),
        ({"id": "a", "values": [1, "2", 3]}, "list of numbers"),
        ({"id": "a", "values": [True, False, True]}, "list of numbers"),
        ({"id": "a", "values": [[1, 2, 3]]}, "list of numbers"),
        ({"id": "a", "values": [1, [2], 3]}, "list of numbers"),
        ({"id": "a", "values": [1, 2, 1e39]}, "finite"),
        ({"id": "a", "values": "abc"}, "list of numbers"),
        ({"values": [1, 2, 3]}, "empty"),
        ({"id": 5, "values": [1, 2, 3]}, "string"),
        ({"id": "a", "values": [0, 0, 0]}, "non-zero"),
        ({"id": "a", "values": [1, 2, 3], "metadata": {"x": None}}, "got 'null' for field 'x'"),
        ({"id": "a", "values": [1, 2, 3], "metadata": {"x": [1]}}, "got '[1]' for field 'x'"),
        ({"id": "a", "values": [1, 2, 3], "metadata": {"x": {"y": 1}}}, "field 'x'"),
        ({"id": "a", "values": [1, 2, 3], "metadata": [1]}, "object"),
        ({"id": "a", "values": [1, 2, 3], "metadata": {"x": "y" * 50_000}}, "metadata size is 50008 bytes, which exceeds the limit of 40960 bytes per vector"),
        ({"id": "a", "values": [1, 2, 3], "sparseValues": {"indices": [-1], "values": [1]}}, "indices"),
        ({"id": "a", "values": [1, 2, 3], "sparseValues": {"indices": [1.5], "values": [1]}}, "indices"),
        ({"id": "a", "values": [1, 2, 3], "sparseValues": {"indices": [2**32], "values": [1]}}, "indices"),
        ({"id": "a", "values": [1, 2, 3], "sparseValues": {"indices": [], "values": []}}, "at least one value"),
        ({"id": "a", "values": [1, 2, 3], "sparseValues": 5}, "object"),
        ("a", "object"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_vector_that_is_none_is_refused_in_the_services_form(ask, vector, words):
    answer = ask("POST", "/vectors/upsert", {"vectors": [{"id": "good", "values": [1, 2, 3]}, vector]})
    assert answer.status_code == 400
    assert answer.json() == {"code": 3, "message": answer.json()["message"], "details": []}
    assert words in answer.json()["message"]
    assert ask("POST", "/describe_index_stats", {}).json()["totalVectorCount"] == 0


def test_a_body_is_held_to_two_megabytes_and_must_be_json(ask):
    answer = ask("POST", "/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 2, 3], "metadata": {"x": "y" * 2**21}}]})
    assert (answer.status_code, answer.json()["code"]) == (400, 11)
    assert "the limit is: 2097152 bytes" in answer.json()["message"]
    assert ask("POST", "/query", content=b"{").status_code == 400
    assert ask("POST", "/query", content=b"[]").status_code == 400
    for body in (
        {"topK": "5", "id": "a"},
        {"topK": 1.5, "id": "a"},
        {"id": "a"},
        {"topK": 1, "id": 5},
        {"topK": 1, "id": "a", "filter": {}},
        {"topK": 1, "queries": [1]},
    ):
        assert ask("POST", "/query", body).status_code == 400
    for body in ({"ids": "a"}, {"deleteAll": "yes"}, {"filter": []}, {}):
        assert ask("POST", "/vectors/delete", body).status_code == 400
    for path in ("/vectors/list?limit=101", "/vectors/list?limit=x", "/vectors/list?paginationToken=x", "/vectors/fetch", "/namespaces?limit=0"):
        assert ask("GET", path).status_code == 400
    assert ask("GET", "/nothing").json() == {"code": 5, "message": "Not found", "details": []}
    assert ask("POST", "/records/namespaces/n/search", {}).json()["code"] == 12


def test_names_are_taken_in_the_protos_spelling_too(ask):
    ask("POST", "/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 2, 3], "sparse_values": {"indices": [1], "values": [2]}}]})
    found = ask("POST", "/query", {"top_k": 1, "id": "a", "include_values": True}).json()["matches"]
    assert found == [{"id": "a", "score": 14.0, "values": [1.0, 2.0, 3.0], "sparseValues": {"indices": [1], "values": [2.0]}}]


def test_a_thousand_ids_fit_into_the_address(index):
    ids = [f"{number:0>55}" for number in range(1000)]
    for start in range(0, 1000, 500):
        upsert(index, *[(id_, [1, 2, 3]) for id_ in ids[start : start + 500]])
    assert len(index.fetch(ids=ids).vectors) == 1000


def test_a_write_under_lag_is_seen_when_its_number_is(index, server):
    server.engine.settings.freshness_lag = 5
    written = upsert(index, ("a", [1, 2, 3])).response_info.lsn_committed
    assert not index.fetch(ids=["a"]).response_info.is_reconciled(written)
    assert (index.fetch(ids=["a"]).vectors, index.describe_index_stats().total_vector_count) == ({}, 0)
    server.engine.settings.clock.now += 5
    assert index.fetch(ids=["a"]).response_info.is_reconciled(written)


def test_beyond_the_rate_limit_the_client_is_told_to_wait(ask, server):
    server.engine.settings.rate_limits = True
    server.engine.settings.rates = Rates(index_lists=1, index_fetches=0.1)
    assert ask("GET", "/vectors/list").status_code == 200
    refused = ask("GET", "/vectors/list")
    assert (refused.status_code, refused.headers["retry-after"], refused.json()["code"]) == (429, "1", 8)
    assert (ask("GET", "/vectors/fetch?ids=a").status_code, ask("GET", "/vectors/fetch?ids=a").headers["retry-after"]) == (200, "10")


def test_a_pod_index_and_a_sparse_one_say_what_they_do_not_do(server, client):
    server.engine.create(definition("p", deployment=PODS))
    pods = client.index("p")
    upsert(pods, ("a", [1, 2], {"x": 1}))
    with pytest.raises(SdkError) as caught:
        pods.list_paginated()
    assert (caught.value.status_code, "pod-based" in str(caught.value)) == (400, True)
    assert pods.describe_index_stats(filter={"x": 2}).namespaces["__default__"].vector_count == 0
    server.engine.create(sparse_definition())
    sparse = client.index("s")
    upsert(sparse, {"id": "a", "sparse_values": {"indices": [1], "values": [2.0]}})
    assert sparse.query(sparse_vector={"indices": [1], "values": [2.0]}, top_k=1).matches[0].score == 4.0
    assert sparse.describe_index_stats().vector_type == "sparse"


def test_an_index_that_is_gone_is_not_found_and_keys_are_checked(ask, server):
    server.engine.settings.api_keys = {"other"}
    assert ask("POST", "/describe_index_stats", {}).status_code == 401
    server.engine.settings.api_keys = None
    server.engine.delete("a")
    assert ask("POST", "/describe_index_stats", {}).json()["code"] == 5


def test_an_import_runs_and_is_polled(index, tmp_path, server):
    (tmp_path / "n").mkdir()
    table = pa.table({"id": ["a"], "values": pa.array([[1.0, 2.0, 3.0]], pa.list_(pa.float32())), "metadata": ['{"x": 1}']})
    pq.write_table(table, tmp_path / "n" / "a.parquet")
    started = index.start_import(uri=str(tmp_path), error_mode="abort")
    engine = server.engine
    assert engine.imports.get(engine.index("a"), started.id).finished.wait(60)
    done = index.describe_import(started.id)
    assert (done.status, done.records_imported, done.percent_complete) == ("Completed", 1, 100.0)
    assert index.fetch(ids=["a"], namespace="n").vectors["a"].metadata == {"x": 1}
    index.start_import(uri=str(tmp_path / "no"))
    assert [one.id for one in index.list_imports(limit=1)] == ["102", "101"]
    index.cancel_import("102")
    with pytest.raises(SdkError, match="not found"):
        index.describe_import("999")


def test_many_clients_at_once_lose_nothing(index):
    def write(number):
        for turn in range(20):
            upsert(index, (f"{number}-{turn}", [1, 2, 3]), ("shared", [1, number + 1, 3]), namespace="n")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert index.describe_index_stats().total_vector_count == 81
    assert index.fetch(ids=["shared"], namespace="n").response_info.lsn_reconciled == 80
