"""Requests: below Pinecone's limits by their measured size, and with the bytes its own proto would have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.connectors.pinecone.decode import decode_fetched
from migrator.connectors.pinecone.encode import REQUEST_BYTES, by_namespace, encode_vectors, packed
from migrator.connectors.pinecone.refusals import send_or_reject
from migrator.digest import hash_rows
from migrator.errors import PermanentError, TransientError
from migrator.pinecone_protocol import limits
from migrator.pinecone_protocol.messages import MESSAGES, typed
from migrator.records import make_batch
from tests.unit.batches import batch_of, numbered


def request_of(items, namespace="n"):
    return b"".join(piece for _, pieces, _ in items for piece in pieces) + MESSAGES["UpsertRequest"](namespace=namespace).SerializeToString()


def wide(records, dimension, metadata=None):
    values = np.random.default_rng(1).standard_normal((records, dimension), dtype=np.float32)
    return make_batch([f"r{n}" for n in range(records)], values, metadata=[metadata] * records)


@pytest.mark.parametrize("dimension", [768, 1536, 3072, 20_000])
def test_requests_stay_below_two_megabytes(dimension):
    items = encode_vectors(wide(700, dimension, '{"text":"' + "x" * 2_000 + '"}'))
    runs = list(packed(items))
    assert [item for run in runs for item in run] == items
    assert all(len(request_of(run, "n" * 512)) < 2_000_000 + 1_000 < limits.UPSERT_BYTES for run in runs)
    assert len(runs) <= 2 * sum(size for *_, size in items) / REQUEST_BYTES + 1


def test_requests_have_at_most_a_thousand_records():
    assert [len(run) for run in packed(encode_vectors(numbered(2_500)))] == [1_000, 1_000, 500]


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 60), st.integers(1, 5))
def test_packing_loses_nothing(sizes, most_bytes, most_records):
    items = [(str(n), n, size) for n, size in enumerate(sizes)]
    runs = list(packed(items, most_bytes=most_bytes, most_records=most_records))
    assert [item for run in runs for item in run] == items
    assert all(run and len(run) <= most_records and (len(run) == 1 or sum(size for *_, size in run) <= most_bytes) for run in runs)


def test_the_bytes_are_those_of_the_proto():
    batch = batch_of(
        [
            {"id": "a", "values": [1, 2, 3], "metadata": {"n": 1, "t": "日本", "l": ["x"]}, "sparse_values": {"indices": [1, 70_000], "values": [0.5, 1]}},
            {"id": "b", "values": [4, 5, 6]},
        ]
    )
    found = typed("UpsertRequest").FromString(request_of(encode_vectors(batch)))
    assert [(vector.id, list(vector.values)) for vector in found.vectors] == [("a", [1, 2, 3]), ("b", [4, 5, 6])]
    assert dict(found.vectors[0].metadata) == {"n": 1, "t": "日本", "l": ["x"]}
    assert list(found.vectors[0].sparse_values.indices) == [1, 70_000]
    assert list(found.vectors[0].sparse_values.values) == [0.5, 1]
    assert not found.vectors[1].HasField("metadata")
    assert not found.vectors[1].HasField("sparse_values")
    assert found.namespace == "n"


def fetched(batch):
    response = MESSAGES["FetchResponse"]()
    for name, pieces, _ in reversed(encode_vectors(batch)):
        vector = MESSAGES["UpsertRequest"].FromString(b"".join(pieces)).vectors[0]
        response.vectors.add(key=name, value=vector)
    return response.SerializeToString()


def test_what_was_encoded_is_decoded_the_same_in_the_order_asked_for():
    batch = batch_of(
        [
            {"id": "a", "values": [-0.0, 1e-45, 3], "metadata": {"n": 1, "f": 1.5, "yes": True, "none": []}},
            {"id": "b", "values": [4, 5, 6], "sparse_values": {"indices": [7], "values": [0.1]}, "namespace": ""},
            {"id": "c", "values": [7, 8, 9]},
        ]
    )
    found = decode_fetched(fetched(batch), ["a", "gone", "b", "c"], "", 3)
    assert found.batch.column("id").to_pylist() == ["a", "b", "c"]
    assert hash_rows(found.batch).rows.tolist() == hash_rows(batch).rows.tolist()
    assert found.rejected == ()


def test_unpacked_floats_are_read_too():
    # tag 0x15 is field 2 as a single float: legal, and what a simple encoder writes
    vector = b"\n\x01a" + b"".join(b"\x15" + np.float32(x).tobytes() for x in (1, 2, 3))
    entry = b"\n\x01a\x12" + bytes([len(vector)]) + vector
    found = decode_fetched(b"\n" + bytes([len(entry)]) + entry, ["a"], "", 3)
    assert found.batch.column("values").to_pylist() == [[1, 2, 3]]


def test_a_vector_of_another_length_is_rejected_not_dropped():
    found = decode_fetched(fetched(numbered(2)), ["r0", "r1"], "n", 4)
    assert len(found.batch) == 0
    assert [(record.namespace, record.id, record.code) for record in found.rejected] == [("n", "r0", "wrong_dimension"), ("n", "r1", "wrong_dimension")]


def test_rows_go_by_namespace_and_the_default_has_two_names():
    batch = batch_of([{"id": str(n), "namespace": name} for n, name in enumerate(["b", "", "日本", "b"])])
    assert {name: rows.column("id").to_pylist() for name, rows in by_namespace(batch)} == {"": ["1"], "b": ["0", "3"], "日本": ["2"]}
    only = batch_of([{"id": "a", "namespace": "__default__"}])
    assert [name for name, _ in by_namespace(only)] == [""]


@given(st.sets(st.integers(0, 39), max_size=6), st.integers(1, 40))
def test_exactly_the_refused_records_are_named(bad, count):
    items = [(str(n), n, 1) for n in range(count)]
    written = []

    def send(some):
        if any(n in bad for _, n, _ in some):
            raise PermanentError("metadata is wrong", code="bad_request")
        written.extend(n for _, n, _ in some)

    rejected = send_or_reject("ns", items, send)
    assert {int(record.id) for record in rejected} == {n for n in bad if n < count}
    assert sorted(written) == [n for n in range(count) if n not in bad]
    assert all((record.namespace, record.field) == ("ns", "metadata") for record in rejected)


def test_what_refuses_everything_is_no_record_s_fault():
    def send(some):
        raise PermanentError("the index is being deleted", code="bad_request")

    with pytest.raises(PermanentError, match="being deleted"):
        send_or_reject("", [(str(n), n, 1) for n in range(100)], send)


@pytest.mark.parametrize("error", [PermanentError("key", code="unauthorized"), TransientError("busy")])
def test_other_errors_pass_as_they_are(error):
    def send(some):
        raise error

    with pytest.raises(type(error)) as caught:
        send_or_reject("", [("a", 1, 1), ("b", 2, 1)], send)
    assert caught.value is error
