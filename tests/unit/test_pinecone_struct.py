"""Metadata between Struct bytes and JSON: the same as protobuf's own converters, whatever the fields, and never wrong about broken bytes."""

from __future__ import annotations

import json
import math

import pytest
from google.protobuf import json_format, struct_pb2
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from migrator.pinecone_protocol.struct import dict_to_struct, json_to_struct, struct_to_dict, struct_to_json

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=10
)
FIELDS = st.dictionaries(TEXT, VALUES, max_size=8)


def by_protobuf(fields: dict) -> bytes:
    message = struct_pb2.Struct()
    message.update(fields)
    return message.SerializeToString(deterministic=True)


def equal(one: object, other: object) -> bool:
    """Return whether two JSON values are the same, the sign of zero included."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def floats(value: object) -> object:
    """Return a JSON value as a Struct holds it: every number a float."""
    if isinstance(value, dict):
        return {name: floats(item) for name, item in value.items()}
    if isinstance(value, list):
        return [floats(item) for item in value]
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


@given(FIELDS)
def test_what_we_write_protobuf_reads(fields: dict) -> None:
    assert struct_pb2.Struct.FromString(dict_to_struct(fields)) == struct_pb2.Struct.FromString(by_protobuf(fields))


@given(FIELDS)
def test_what_protobuf_writes_we_read(fields: dict) -> None:
    wire = by_protobuf(fields)
    assert equal(floats(struct_to_dict(wire)), json_format.MessageToDict(struct_pb2.Struct.FromString(wire)))


@given(TEXT, VALUES)
def test_a_field_has_the_very_bytes_of_protobuf(name: str, value: object) -> None:
    if not any(isinstance(part, dict) and len(part) > 1 for part in parts(value)):  # the order of several fields is an encoder's own
        assert dict_to_struct({name: value}) == by_protobuf({name: value})


def parts(value: object) -> list[object]:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value, *(part for item in inner for part in parts(item))]


@given(FIELDS)
def test_json_text_survives_both_ways(fields: dict) -> None:
    text = struct_to_json(dict_to_struct(fields))
    assert struct_to_json(json_to_struct(text)) == text
    assert list(json.loads(text)) == sorted(fields)


@given(FIELDS, st.data())
def test_broken_bytes_are_refused_or_read_as_protobuf_reads_them(fields: dict, data: st.DataObject) -> None:
    wire = bytearray(dict_to_struct(fields))
    for _ in range(data.draw(st.integers(1, 3))):
        if wire:
            wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    broken = bytes(wire[: data.draw(st.integers(0, len(wire)))])
    try:
        expected = struct_pb2.Struct.FromString(broken)
    except DecodeError:
        with pytest.raises(ValueError):
            struct_to_dict(broken)
        return
    try:
        found = struct_to_dict(broken)
    except ValueError:
        assert "NaN" in str(expected) or "inf" in str(expected) or "nan" in str(expected)
        return
    rebuilt = struct_pb2.Struct.FromString(dict_to_struct(found))
    assert equal(floats(found), json_format.MessageToDict(rebuilt))
    assert set(found) == set(expected.fields)


@pytest.mark.parametrize(
    ("number", "text"),
    [(1.0, "1"), (-0.0, "-0.0"), (0.0, "0"), (2.0**53, "9007199254740992"), (2.0**53 + 2, "9007199254740994.0"), (1e300, "1e+300"), (0.1, "0.1"), (-3.0, "-3")],
)
def test_numbers_are_printed_as_the_integers_they_are(number: float, text: str) -> None:
    assert struct_to_json(dict_to_struct({"n": number})) == f'{{"n":{text}}}'


@pytest.mark.parametrize("fields", [{"n": math.nan}, {"n": math.inf}, {"n": 10**400}, {"n": {1, 2}}, {"n": b"x"}, {1: "x"}, {"n": "\ud800"}, {"\ud800": 1}])
def test_what_a_struct_cannot_hold_is_refused(fields: dict) -> None:
    with pytest.raises(ValueError):
        dict_to_struct(fields)


def test_not_a_number_is_refused_on_reading() -> None:
    wire = struct_pb2.Struct(fields={"n": struct_pb2.Value(number_value=math.nan)}).SerializeToString()
    with pytest.raises(ValueError, match="nan is not a JSON number"):
        struct_to_json(wire)


def test_a_value_without_a_kind_is_null() -> None:
    assert struct_to_dict(struct_pb2.Struct(fields={"n": struct_pb2.Value()}).SerializeToString()) == {"n": None}


def test_text_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a JSON object, not list"):
        json_to_struct("[1]")


def test_nesting_protobuf_would_refuse_is_refused() -> None:
    value: object = 1
    for _ in range(60):
        value = {"a": [value]}
    with pytest.raises(ValueError, match="nested too deeply"):
        dict_to_struct({"a": value})
    value = 1
    for _ in range(29):
        value = {"a": value}
    struct_pb2.Struct.FromString(dict_to_struct({"a": value}))
