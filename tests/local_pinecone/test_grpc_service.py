"""The gRPC side: every method, every legal encoding, refusals with Pinecone's codes, and what REST wrote."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import numpy as np
import pytest

from migrator.local_pinecone.engine import Metadata
from migrator.local_pinecone.engine.records import Record
from migrator.local_pinecone.grpc_messages import encoded_entries, fill
from migrator.pinecone_protocol import limits, messages
from migrator.pinecone_protocol.messages import MESSAGES as M
from migrator.pinecone_protocol.struct import dict_to_struct, struct_to_dict
from tests.local_pinecone.conftest import PODS, Caller, make_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.local_pinecone.server import Server


def packed(*numbers: float) -> bytes:
    return np.array(numbers, np.float32).tobytes()


def vector(name: str, numbers: Sequence[float] = (1, 2, 3), metadata: dict | None = None, sparse: dict[int, float] | None = None) -> Any:
    made = M["Vector"](id=name, values=packed(*numbers))
    if metadata is not None:
        made.metadata = dict_to_struct(metadata)
    if sparse is not None:
        made.sparse_values.indices.extend(sparse)
        made.sparse_values.values = packed(*sparse.values())
    return made


def refused(caller: Caller, method: str, **fields: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        caller(method, **fields)
    return caught.value


def fetched(caller: Caller, *ids: str, namespace: str = "") -> dict[str, Any]:
    return {one.key: one.value for one in caller("Fetch", ids=ids, namespace=namespace).vectors}


def test_what_is_upserted_is_fetched_bit_for_bit(caller: Caller) -> None:
    metadata = {"name": "第一", "year": 1999, "exact": 0.1, "ok": True, "tags": ["a", "b"]}
    numbers = [1e-45, -0.0, 3.4028235e38]
    answer = caller("Upsert", vectors=[vector("a", numbers, metadata, {7: 0.5, 4294967295: -1.0}), vector("b")], namespace="n")
    assert answer.upserted_count == 2
    written = int(caller.headers["x-pinecone-request-lsn"])
    found = fetched(caller, "a", "b", "missing", namespace="n")
    assert int(caller.headers["x-pinecone-max-indexed-lsn"]) >= written
    assert list(found) == ["a", "b"]
    assert found["a"].id == "a"
    assert found["a"].values == packed(*numbers)
    assert struct_to_dict(found["a"].metadata) == metadata
    assert list(found["a"].sparse_values.indices) == [7, 4294967295]
    assert found["a"].sparse_values.values == packed(0.5, -1.0)
    assert not found["b"].HasField("metadata")
    assert not found["b"].HasField("sparse_values")


def test_floats_that_are_not_packed_in_one_piece_arrive_whole(caller: Caller) -> None:
    unpacked = b"\x0a\x01u" + b"".join(b"\x15" + struct.pack("<f", number) for number in (1, 2, 3))
    pieces = b"\x0a\x01p\x12\x08" + packed(1, 2) + b"\x12\x04" + packed(3)
    sparse = b"\x0a\x01s\x12\x0c" + packed(1, 2, 3) + b"\x22\x0e" + b"\x08\x05\x08\x06" + b"".join(b"\x15" + struct.pack("<f", number) for number in (8, 9))
    for one in (unpacked, pieces, sparse):
        caller.send("Upsert", b"\x0a" + bytes([len(one)]) + one)
    found = fetched(caller, "u", "p", "s")
    assert {found[name].values for name in "ups"} == {packed(1, 2, 3)}
    assert list(found["s"].sparse_values.indices) == [5, 6]
    assert found["s"].sparse_values.values == packed(8, 9)
    query = M["QueryRequest"](top_k=1, include_values=True).SerializeToString() + b"".join(b"\x3d" + struct.pack("<f", number) for number in (1, 2, 3))
    assert M["QueryResponse"].FromString(caller.send("Query", query)).matches[0].score == pytest.approx(1)
    caller.send("Update", b"\x0a\x01u" + b"".join(b"\x15" + struct.pack("<f", number) for number in (4, 5, 6)))
    assert fetched(caller, "u")["u"].values == packed(4, 5, 6)


def test_list_and_fetch_by_metadata_go_page_by_page(caller: Caller) -> None:
    caller("Upsert", vectors=[vector(f"{number:03}", metadata={"even": number % 2 == 0}) for number in range(250)])
    ids, token = [], None
    while token is None or token:
        page = caller("List", pagination_token=token)
        ids += [one.id for one in page.vectors]
        token = page.pagination.next
    assert ids == [f"{number:03}" for number in range(250)]
    assert [one.id for one in caller("List", prefix="01", limit=3).vectors] == ["010", "011", "012"]
    found, token = [], None
    while token is None or token:
        page = caller("FetchByMetadata", filter=dict_to_struct({"even": {"$eq": True}}), limit=50, pagination_token=token)
        found += [one.key for one in page.vectors]
        token = page.pagination.next
    assert found == ids[::2]


def test_query_scores_filters_and_includes(caller: Caller) -> None:
    caller("Upsert", vectors=[vector("x", (1, 0, 0), {"k": 1}), vector("y", (0, 1, 0), {"k": 2}), vector("z", (1, 1, 0), {"k": 3})])
    answer = caller("Query", top_k=2, vector=packed(2, 0, 0), include_values=True, include_metadata=True)
    assert [(one.id, one.score) for one in answer.matches] == [("x", pytest.approx(1)), ("z", pytest.approx(2**-0.5))]
    assert answer.matches[0].values == packed(1, 0, 0)
    assert struct_to_dict(answer.matches[0].metadata) == {"k": 1}
    assert answer.usage.read_units >= 1
    bare = caller("Query", top_k=9, id="x", filter=dict_to_struct({"k": {"$gte": 2}}))
    assert [one.id for one in bare.matches] == ["z", "y"]
    assert not bare.matches[0].values
    assert not bare.matches[0].HasField("metadata")


def test_update_delete_and_stats(caller: Caller) -> None:
    caller("Upsert", vectors=[vector("a", metadata={"k": 1}), vector("b", metadata={"k": 2})])
    assert not caller("Update", id="a", set_metadata=dict_to_struct({"new": "x"})).HasField("matched_records")
    assert struct_to_dict(fetched(caller, "a")["a"].metadata) == {"k": 1, "new": "x"}
    assert fetched(caller, "a")["a"].values == packed(1, 2, 3)
    dry = caller("Update", filter=dict_to_struct({"k": {"$gte": 1}}), set_metadata=dict_to_struct({"seen": True}), dry_run=True)
    assert dry.matched_records == 2
    assert "seen" not in struct_to_dict(fetched(caller, "a")["a"].metadata)
    caller("Upsert", vectors=[vector("c")], namespace="n")
    stats = caller("DescribeIndexStats")
    assert {one.key: one.value.vector_count for one in stats.namespaces} == {"__default__": 2, "n": 1}
    assert (stats.dimension, stats.total_vector_count, stats.metric, stats.vector_type) == (3, 3, "cosine", "dense")
    caller("Delete", ids=["a"])
    caller("Delete", delete_all=True, namespace="n")
    assert caller("DescribeIndexStats").total_vector_count == 1


def test_the_namespaces_api(caller: Caller) -> None:
    schema = M["MetadataSchema"]()
    schema.fields.add(key="genre").value.filterable = True
    made = caller("CreateNamespace", name="n", schema=schema)
    assert (made.name, made.record_count, made.schema.fields[0].key) == ("n", 0, "genre")
    caller("Upsert", vectors=[vector("a")], namespace="n")
    caller("Upsert", vectors=[vector("a")], namespace="m")
    assert caller("DescribeNamespace", namespace="n").record_count == 1
    listed = caller("ListNamespaces", limit=1)
    assert [one.name for one in listed.namespaces] == ["m"]
    listed = caller("ListNamespaces", limit=1, pagination_token=listed.pagination.next)
    assert [one.name for one in listed.namespaces] == ["n"]
    caller("DeleteNamespace", namespace="n")
    assert refused(caller, "DescribeNamespace", namespace="n").code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("method", "fields", "code", "words"),
    [
        ("Upsert", {"vectors": [vector("a", (1, 2))]}, "INVALID_ARGUMENT", "dimension 2 does not match"),
        ("Upsert", {"vectors": [M["Vector"](id="a", values=b"\0\0\0")]}, "INVALID_ARGUMENT", ""),
        ("Upsert", {"vectors": [vector("a", (1, float("nan"), 2))]}, "INVALID_ARGUMENT", ""),
        ("Upsert", {"vectors": [vector("")]}, "INVALID_ARGUMENT", ""),
        ("Upsert", {"vectors": [M["Vector"](id="a", values=packed(1, 2, 3), metadata=b"\xff")]}, "INVALID_ARGUMENT", "metadata"),
        ("Upsert", {"vectors": [vector("a", metadata={"deep": {"er": 1}})]}, "INVALID_ARGUMENT", "Metadata value"),
        ("Upsert", {"vectors": [vector(str(number)) for number in range(1001)]}, "INVALID_ARGUMENT", "1000"),
        ("Upsert", {"vectors": [vector(f"{number}", metadata={"text": "x" * 30_000}) for number in range(80)]}, "OUT_OF_RANGE", "message length too large"),
        ("Fetch", {"ids": [str(number) for number in range(1001)]}, "INVALID_ARGUMENT", "1000"),
        ("Query", {"vector": packed(1, 2, 3), "top_k": 10_001}, "INVALID_ARGUMENT", ""),
        ("Query", {"vector": packed(1, 2, 3), "top_k": 1, "filter": b""}, "INVALID_ARGUMENT", ""),
        ("Query", {"top_k": 1, "queries": [M["QueryVector"]()]}, "INVALID_ARGUMENT", "deprecated"),
        ("DescribeIndexStats", {"filter": dict_to_struct({"k": {"$eq": 1}})}, "INVALID_ARGUMENT", ""),
    ],
)
def test_what_is_wrong_is_refused_by_its_code(caller: Caller, method: str, fields: dict, code: str, words: str) -> None:
    error = refused(caller, method, **fields)
    assert error.code().name == code, error.details()
    assert words in error.details()


def test_a_request_that_is_no_message_is_refused(caller: Caller) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        caller.send("Upsert", b"\xff\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_keys_are_checked(server: Server) -> None:
    url = make_index(server, "a")
    server.engine.settings.api_keys = {"right"}
    assert refused(Caller(url, "wrong"), "DescribeIndexStats").code() is grpc.StatusCode.UNAUTHENTICATED
    assert refused(Caller(url, None), "DescribeIndexStats").code() is grpc.StatusCode.UNAUTHENTICATED
    assert Caller(url, "right")("DescribeIndexStats").total_vector_count == 0


def test_too_many_requests_are_told_when_to_come_back(server: Server, caller: Caller) -> None:
    server.engine.settings.clock = lambda: 1000.0  # time stands still: the allowance is never refilled
    server.engine.settings.rate_limits = True
    for _ in range(limits.UPSERTS_A_SECOND):
        caller("Upsert", vectors=[vector("a")])
    with pytest.raises(grpc.RpcError) as caught:
        caller("Upsert", vectors=[vector("a")])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    told = dict(caught.value.trailing_metadata())
    assert float(told["retry-after"]) > 0
    assert int(told["grpc-retry-pushback-ms"]) > 0


def test_pods_do_not_list(server: Server) -> None:
    caller = Caller(make_index(server, "p", deployment=PODS))
    caller("Upsert", vectors=[vector("a", metadata={"k": 1}), vector("b", metadata={"k": 2})])
    assert refused(caller, "List").code() is grpc.StatusCode.INVALID_ARGUMENT
    stats = caller("DescribeIndexStats", filter=dict_to_struct({"k": {"$eq": 1}}))
    assert [one.value.vector_count for one in stats.namespaces] == [1]


def test_a_sparse_index(server: Server) -> None:
    caller = Caller(make_index(server, "s", kind="sparse"))
    caller("Upsert", vectors=[vector("a", (), sparse={1: 1.0, 9: 2.0}), vector("b", (), sparse={2: 1.0})])
    found = caller("Query", top_k=5, sparse_vector=M["SparseValues"](indices=[9], values=packed(3)), include_values=True)
    assert [(one.id, one.score) for one in found.matches] == [("a", 6.0)]
    assert not caller("DescribeIndexStats").HasField("dimension")


def test_an_index_that_is_gone_is_not_found(server: Server, caller: Caller) -> None:
    server.engine.delete("a")
    assert refused(caller, "DescribeIndexStats").code() is grpc.StatusCode.NOT_FOUND


def test_two_indexes_have_a_port_each(server: Server) -> None:
    one, two = Caller(make_index(server, "one")), Caller(make_index(server, "two", dimension=4))
    one("Upsert", vectors=[vector("a")])
    assert two("DescribeIndexStats").dimension == 4
    assert two("DescribeIndexStats").total_vector_count == 0


def test_rest_and_grpc_see_the_same_records(server: Server, caller: Caller) -> None:
    record = {"id": "r", "values": [1, 2, 3], "metadata": {"k": 1}, "sparseValues": {"indices": [1], "values": [0.5]}}
    with httpx.Client(base_url=server.host_of("a"), headers={"Api-Key": "k"}) as rest:
        assert rest.post("/vectors/upsert", json={"vectors": [record]}).json() == {"upsertedCount": 1}
        caller("Upsert", vectors=[vector("g", metadata={"k": 2})], namespace="__default__")
        shown = rest.get("/vectors/fetch", params={"ids": ["r", "g"]}).json()["vectors"]
    found = fetched(caller, "r", "g")
    assert struct_to_dict(found["r"].metadata) == {"k": 1} == shown["r"]["metadata"]
    assert found["r"].values == packed(1, 2, 3)
    assert list(found["r"].sparse_values.indices) == [1]
    assert shown["g"] == {"id": "g", "values": [1.0, 2.0, 3.0], "metadata": {"k": 2}}


def test_an_unknown_method_is_unimplemented(caller: Caller) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        caller.channel.unary_unary(messages.path("Nothing"))(b"", metadata=[("api-key", "k")], timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_what_is_fetched_is_encoded_as_protobuf_would() -> None:
    sparse = (np.array([1, 70_000], np.uint32), np.array([0.5, 2], np.float32))
    records = [
        Record("a" * 300, np.arange(3, dtype=np.float32), sparse, Metadata.from_json_object({"k": 1})),
        Record("b", None, (np.array([7], np.uint32), np.array([1], np.float32))),
        Record("c", np.arange(3000, dtype=np.float32), None, Metadata.from_json_object({"long": "x" * 20_000})),
    ]
    expected = M["FetchResponse"]()
    for record in records:
        fill(expected.vectors.add(key=record.id).value, record)
    assert b"".join(encoded_entries(records)) == expected.SerializeToString()


def test_a_compressed_call_is_read(server: Server) -> None:
    host = make_index(server, "zipped").removeprefix("http://")
    body = M["UpsertRequest"](vectors=[vector("a")], namespace="n").SerializeToString()
    for method in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        with grpc.insecure_channel(host, compression=method) as channel:
            answer = channel.unary_unary(messages.path("Upsert"))(body, metadata=(("api-key", "k"),), timeout=30)
            assert M["UpsertResponse"].FromString(answer).upserted_count == 1


def test_what_is_no_method_or_no_message_is_refused(server: Server) -> None:
    host = make_index(server, "refusing").removeprefix("http://")
    with grpc.insecure_channel(host) as channel:
        for path, body, code in (
            ("/VectorService/Nothing", b"", grpc.StatusCode.UNIMPLEMENTED),
            (messages.path("Fetch"), b"\xff", grpc.StatusCode.INVALID_ARGUMENT),
            (messages.path("Fetch"), bytes((64 << 20) + 1), grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(path)(body, metadata=(("api-key", "k"),), timeout=30)
            assert caught.value.code() == code


def test_a_refusal_in_other_letters_is_read_as_it_was_written(caller: Caller) -> None:
    refusal = refused(caller, "Upsert", vectors=[vector("a", metadata={"100 %\n第一": [["nested"]]})])
    assert "100 %\n第一" in refusal.details()


def test_a_small_message_that_grows_without_end_is_refused(server: Server) -> None:
    host = make_index(server, "bombed").removeprefix("http://")
    with grpc.insecure_channel(host, compression=grpc.Compression.Gzip) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(messages.path("Fetch"))(bytes(200 << 20), metadata=(("api-key", "k"),), timeout=60)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "longer than" in caught.value.details()
