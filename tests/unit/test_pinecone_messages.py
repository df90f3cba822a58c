"""The raw messages: byte for byte what a typed definition of the same proto writes, and right about every legal encoding of floats."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from migrator.pinecone_protocol import messages
from migrator.pinecone_protocol.names import to_inner, to_wire
from migrator.pinecone_protocol.struct import dict_to_struct

VECTOR = {
    "SparseValues": [("indices", 1, 13, 3, ""), ("values", 2, 2, 3, "")],
    "Vector": [
        ("id", 1, 9, 1, ""),
        ("values", 2, 2, 3, ""),
        ("metadata", 3, 11, 1, ".google.protobuf.Struct"),
        ("sparse_values", 4, 11, 1, ".public.SparseValues"),
    ],
    "UpsertRequest": [("vectors", 1, 11, 3, ".public.Vector"), ("namespace", 2, 9, 1, "")],
}
FLOATS = hnp.arrays(np.float32, st.integers(0, 20), elements=st.floats(width=32, allow_nan=False))
RECORDS = st.lists(
    st.tuples(
        st.text(st.characters(codec="ascii"), max_size=20),
        FLOATS,
        st.none() | st.dictionaries(st.just("field") | st.just("other"), st.text(max_size=5) | st.booleans() | st.integers(0, 99), max_size=1),
        st.none() | st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(width=32, allow_nan=False)), max_size=8),
    ),
    max_size=5,
)


def public() -> dict:
    """Return the classes of the public proto's upsert, declared here a second time and typed."""
    file = descriptor_pb2.FileDescriptorProto(name="public.proto", package="public", syntax="proto3", dependency=["google/protobuf/struct.proto"])
    for name, fields in VECTOR.items():
        message = file.message_type.add(name=name)
        for field, number, kind, label, of in fields:
            message.field.add(name=field, number=number, type=kind, label=label, **({"type_name": of} if of else {}))
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"public.{name}")) for name in VECTOR}


PUBLIC = public()


def raw_request(records: list) -> object:
    request = messages.MESSAGES["UpsertRequest"](namespace="ns")
    for name, values, metadata, sparse in records:
        vector = request.vectors.add(id=name, values=values.tobytes())
        if metadata is not None:
            vector.metadata = dict_to_struct(metadata)
        if sparse is not None:
            vector.sparse_values.SetInParent()
            vector.sparse_values.indices.extend(index for index, _ in sparse)
            vector.sparse_values.values = np.array([weight for _, weight in sparse], np.float32).tobytes()
    return request


def public_request(records: list) -> object:
    request = PUBLIC["UpsertRequest"](namespace="ns")
    for name, values, metadata, sparse in records:
        vector = request.vectors.add(id=name, values=values.tolist())
        if metadata is not None:
            vector.metadata.update(metadata)
        if sparse is not None:
            vector.sparse_values.SetInParent()
            vector.sparse_values.indices.extend(index for index, _ in sparse)
            vector.sparse_values.values.extend(weight for _, weight in sparse)
    return request


def has_empty_struct(records: list) -> bool:
    return any(metadata == {} for _, _, metadata, _ in records)


@given(RECORDS)
def test_raw_bytes_are_the_public_ones(records: list) -> None:
    expected = public_request(records)
    if not has_empty_struct(records):  # Struct.update({}) leaves the field unset
        assert raw_request(records).SerializeToString() == expected.SerializeToString()
    read = messages.MESSAGES["UpsertRequest"].FromString(expected.SerializeToString())
    for (name, values, metadata, sparse), vector in zip(records, read.vectors, strict=True):
        assert vector.id == name
        assert np.array_equal(messages.floats(vector.values), values)
        assert vector.HasField("metadata") == bool(metadata)
        assert vector.HasField("sparse_values") == (sparse is not None)
        if sparse is not None:
            assert list(vector.sparse_values.indices) == [index for index, _ in sparse]


@given(RECORDS)
def test_both_sets_write_the_same(records: list) -> None:
    wire = raw_request(records).SerializeToString()
    assert messages.typed("UpsertRequest").FromString(wire).SerializeToString() == wire
    assert messages.canonical(messages.MESSAGES["UpsertRequest"], wire).SerializeToString() == wire


@given(FLOATS, st.data())
def test_every_legal_encoding_of_floats_is_read(values: np.ndarray, data: st.DataObject) -> None:
    wire, rest = b"\x0a\x01a", values
    while len(rest):
        piece = rest[: data.draw(st.integers(1, len(rest)))]
        rest = rest[len(piece) :]
        if data.draw(st.booleans()):
            wire += b"\x12" + bytes([piece.nbytes]) + piece.tobytes()
        else:
            wire += b"".join(b"\x15" + struct.pack("<f", number) for number in piece)
    raw = messages.MESSAGES["Vector"].FromString(wire)
    if len(raw.values) != values.nbytes:  # what a reader checks
        raw = messages.canonical(messages.MESSAGES["Vector"], wire)
    assert messages.floats(raw.values).tobytes() == values.tobytes()


def test_an_empty_struct_is_not_none() -> None:
    kind = messages.MESSAGES["Vector"]
    assert kind.FromString(kind(id="a", metadata=b"").SerializeToString()).HasField("metadata")
    assert not kind.FromString(kind(id="a").SerializeToString()).HasField("metadata")


def test_a_map_of_the_proto_has_its_wire_form() -> None:
    answer = messages.MESSAGES["FetchResponse"](namespace="n")
    answer.vectors.add(key="a").value.id = "a"
    assert answer.SerializeToString() == b"\x0a\x08\x0a\x01a\x12\x03\x0a\x01a\x12\x01n"


def test_every_method_has_its_messages() -> None:
    assert len(messages.METHODS) == 12
    for request, response in messages.METHODS.values():
        assert request().SerializeToString() == response().SerializeToString() == b""
    assert messages.path("Upsert") == "/VectorService/Upsert"


def test_a_torn_vector_is_refused() -> None:
    with pytest.raises(ValueError, match="buffer size"):
        messages.floats(b"\0\0\0")


def test_the_default_namespace_has_two_spellings() -> None:
    assert [to_inner(name) for name in ("", "__default__", None, "a")] == ["", "", "", "a"]
    assert [to_wire(name) for name in ("", "a", "__default__")] == ["__default__", "a", "__default__"]
