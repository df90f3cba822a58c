"""An index against a dictionary, under random writes and reads; and its metadata and scores against slow, plain versions."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from google.protobuf import struct_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from migrator.local_pinecone.engine import ApiError, Metadata
from migrator.local_pinecone.engine.operations import copy_of
from tests.local_pinecone.making import Clock, Settings, index, put, record

keys = st.sampled_from([f"{letter}{number}" for letter in "abB" for number in range(6)])
spaces = st.sampled_from(["", "n", "m"])
vectors = st.lists(st.sampled_from([-2.0, 0.5, 1.0, 3.0]), min_size=3, max_size=3)
sparse = st.none() | st.dictionaries(st.integers(0, 2**32 - 1), st.sampled_from([0.5, -1.0]), min_size=1, max_size=3)
fields = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.sampled_from([1, 2.5, True, "t", ["a", "b"]]), max_size=3)
records = st.builds(lambda id_, values, weights, metadata: (id_, values, weights, metadata), keys, vectors, sparse, fields)


class IndexIsADictionary(RuleBasedStateMachine):
    """Writes become visible when the clock goes on; the model is told of them then."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.index = index(Settings(clock=self.clock, freshness_lag=1), dimension=3)
        self.model: dict[str, dict] = {}

    def settle(self):
        self.clock.now += 2

    @rule(space=spaces, rows=st.lists(records, min_size=1, max_size=8))
    def upsert(self, space, rows):
        put(self.index, *[record(id_, values, weights, **metadata) for id_, values, weights, metadata in rows], namespace=space)
        self.settle()
        self.model.setdefault(space, {}).update({id_: [values, weights, metadata] for id_, values, weights, metadata in rows})

    @rule(space=spaces, id_=keys, values=st.none() | vectors, weights=sparse, metadata=fields)
    def update(self, space, id_, values, weights, metadata):
        parts = record(id_, values, weights, **metadata)
        self.index.update(space, id=id_, values=parts.values, sparse=parts.sparse, set_metadata=parts.metadata)
        self.settle()
        known = self.model.get(space, {}).get(id_)
        if known is not None:
            self.model[space][id_] = [values or known[0], weights or known[1], {**known[2], **metadata}]

    @rule(space=spaces, ids=st.lists(keys, min_size=1, max_size=6))
    def delete(self, space, ids):
        if space in self.model:
            self.index.delete(space, ids=ids)
            self.settle()
            for id_ in ids:
                self.model[space].pop(id_, None)

    @rule(space=spaces)
    def delete_all(self, space):
        if space in self.model:
            self.index.delete(space, delete_all=True)
            self.settle()
            self.model[space] = {}

    @rule(space=spaces)
    def drop(self, space):
        if space in self.model:
            self.index.delete_namespace(space)
            self.settle()
            del self.model[space]

    @rule(space=spaces, prefix=st.sampled_from(["", "a", "B", "b1", "c"]), size=st.integers(1, 5))
    def list_pages(self, space, prefix, size):
        found, token = [], None
        while True:
            page = self.index.list(space, prefix, size, token).value
            found += page.ids
            token = page.next_token
            if token is None:
                break
        assert found == sorted(id_ for id_ in self.model.get(space, {}) if id_.startswith(prefix))

    @invariant()
    def the_same_records_are_there(self):
        assert dict(self.index.stats().namespaces) == {space: len(rows) for space, rows in self.model.items()}
        for space, rows in self.model.items():
            for state in (self.index.state, copy_of(self.index.state)):
                found = {one.id: one for one in state.tables[space].records(list(rows))}
                assert {id_: shown(one) for id_, one in found.items()} == rows


def shown(one):
    weights = None if one.sparse is None else dict(zip(one.sparse[0].tolist(), one.sparse[1].tolist(), strict=True))
    return [one.values.tolist(), weights, {} if one.metadata is None else one.metadata.fields]


TestIndexIsADictionary = IndexIsADictionary.TestCase
TestIndexIsADictionary.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def allowed(value):
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (bool, str)) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_a_struct_is_taken_exactly_when_its_values_are_metadata(value):
    struct = struct_pb2.Struct()
    for name, one in value.items():
        assign(struct.fields[name], one)
    try:
        taken = Metadata.from_struct(struct.SerializeToString())
    except ApiError:
        taken = None
    assert (taken and taken.fields) == (value if all(map(allowed, value.values())) else None)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_struct_with_a_number_that_is_none_is_refused_at_once(number):
    struct = struct_pb2.Struct()
    assign(struct.fields["x"], number)
    with pytest.raises(ApiError):
        Metadata.from_struct(struct.SerializeToString())


def assign(target, value):
    if value is None:
        target.null_value = 0
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, float):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, list):
        target.list_value.SetInParent()
        for item in value:
            assign(target.list_value.values.add(), item)
    else:
        target.struct_value.SetInParent()
        for name, item in value.items():
            assign(target.struct_value.fields[name], item)


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=3),
        min_size=1,
        max_size=4,
    )
)
def test_metadata_is_the_same_by_either_way(value):
    by_json = Metadata.from_json_object(value)
    by_struct = Metadata.from_struct(by_json.struct)
    assert by_struct.fields == by_json.fields
    assert by_struct.size == by_json.size


@pytest.mark.parametrize(("text", "size"), [("x", 1), ("é", 2), ("\n", 2)])
@pytest.mark.parametrize("take", [lambda text: Metadata.from_json_object({"a": text}), lambda text: Metadata.from_struct(struct_of(text))])
def test_metadata_ends_at_forty_kilobytes(take, text, size):
    fits = (40 * 1024 - len('{"a":""}')) // size
    take(text * fits)
    with pytest.raises(ApiError, match="exceeds the limit of 40960 bytes per vector"):
        take(text * (fits + 1))


def struct_of(text):
    struct = struct_pb2.Struct()
    struct.fields["a"].string_value = text
    return struct.SerializeToString()


def test_the_best_are_the_best_over_many_blocks_with_holes():
    generator = np.random.default_rng(7)
    rows = generator.standard_normal((20_000, 3)).astype(np.float32)
    for metric in ("cosine", "dotproduct", "euclidean"):
        target = index(metric=metric, dimension=3)
        for start in range(0, len(rows), 1000):
            put(target, *[record(str(number), rows[number].tolist()) for number in range(start, start + 1000)])
        gone = random.Random(7).sample(range(20_000), 900)
        target.delete("", ids=[str(number) for number in gone])
        query = generator.standard_normal(3).astype(np.float32)
        wide = rows.astype(np.float64)
        exact = {
            "cosine": wide @ query / np.linalg.norm(wide, axis=1) / np.linalg.norm(query),
            "dotproduct": wide @ query,
            "euclidean": ((wide - query) ** 2).sum(axis=1),
        }[metric]
        live = np.setdiff1d(np.arange(20_000), gone)
        order = live[np.argsort(exact[live] if metric == "euclidean" else -exact[live])][:50]
        found = target.query("", 50, vector=query).value
        np.testing.assert_allclose([one.score for one in found], exact[order], rtol=2e-6, atol=1e-6)
