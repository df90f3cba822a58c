"""The quick look at a record's metadata lets nothing through that the slow one refuses, and refuses nothing the slow one lets through."""

from __future__ import annotations

import contextlib
import math

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
