"""The quick look at a record's metadata lets nothing through that the slow one refuses, and refuses nothing the slow one lets through."""

from __future__ import annotations

import contextlib
import math

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from migrator.local_pinecone.engine import ApiError, Metadata
from migrator.pinecone_protocol.struct import struct_to_dict

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
NUMBERS = st.floats() | st.integers(-5, 5).map(float)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
VALUES = SCALARS | st.lists(TEXT, max_size=80) | st.lists(SCALARS, max_size=3) | st.lists(st.lists(TEXT, max_size=2), max_size=2)
FIELDS = st.dictionaries(TEXT, VALUES | st.dictionaries(TEXT, SCALARS, max_size=2), max_size=4)


def wire(fields: dict) -> bytes:
    message = struct_pb2.Struct()
    message.update(fields)
    return message.SerializeToString()


def allowed(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, (str, bool)) or (isinstance(value, float) and math.isfinite(value))


@given(FIELDS)
def test_metadata_is_taken_exactly_when_it_is_what_the_service_takes(fields: dict) -> None:
    taken = None
    with contextlib.suppress(ApiError):
        taken = Metadata.from_struct(wire(fields))
    assert (taken is not None) == all(map(allowed, fields.values()))
    if taken is not None:
        assert taken.fields == struct_to_dict(wire(fields)) == fields


def test_a_long_list_of_strings_is_taken() -> None:
    fields = {"tags": [f"tag {number}" for number in range(500)], "": [], "one": "x"}
    assert Metadata.from_struct(wire(fields)).fields == fields


def one_by_one(structs: list[bytes]) -> list[dict | None] | str:
    try:
        return [Metadata.from_struct(struct).fields if struct else None for struct in structs]
    except ApiError as error:
        return error.message


@given(st.lists(FIELDS | st.just({}), max_size=6), st.binary(max_size=3), st.integers(0, 40))
def test_many_at_once_are_judged_as_each_alone(several: list[dict], torn: bytes, cut: int) -> None:
    """Also when one is cut short so that, laid end to end with the next, it would read as something whole."""
    structs = [wire(fields) for fields in several]
    for broken in (structs, [*structs, torn], [struct[: len(struct) - cut] if place == 0 else struct for place, struct in enumerate(structs)]):
        try:
            found = [one and one.fields for one in Metadata.from_structs(broken)]
        except ApiError as error:
            found = error.message
        assert found == one_by_one(broken)


def test_many_at_once_are_each_held_to_the_size() -> None:
    with pytest.raises(ApiError, match="exceeds the limit of 40960"):
        Metadata.from_structs([wire({"a": 1}), wire({"text": "x" * 41_000})])
