"""Exact differences against dictionaries, also when they are too many for one piece."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator import digest
from migrator.connectors import memory
from migrator.endpoints import parse
from migrator.model import Selection
from migrator.verify import diff
from migrator.verify.fields import differing_fields
from migrator.verify.nearly import Nearly
from migrator.verify.sides import Side, Walk
from tests.unit.batches import batch_of, numbered

records = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "c", "d", "ä"]),
        "namespace": st.sampled_from(["", "x"]),
        "values": st.sampled_from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        "metadata": st.sampled_from([None, {"n": 1}]),
    }
)


def side(name: str, batch) -> Side:
    memory.COLLECTIONS[name] = table = memory.Table(3)
    table.append(batch)
    store = memory.open_source(parse(f"memory:{name}"))
    return Side(store, list(store.splits(Selection(), 3)), 7, lambda chunk, _: (chunk.batch, digest.hash_rows(chunk.batch)), store.fetch)


def walk() -> Walk:
    return Walk(threading.Event(), lambda *_: None, lambda _: None, lambda: None)


def differences(folder, left, right) -> list:
    try:
        ours, theirs = side("left", left), side("right", right)
        search = diff.Search(walk, folder / "spill", Nearly(0.0))
        return [found.difference for found in diff.differences(ours, theirs, walk().digest(ours), walk().digest(theirs), search)]
    finally:
        memory.COLLECTIONS.pop("left"), memory.COLLECTIONS.pop("right")
        assert not (folder / "spill").exists()


def naive(left, right) -> dict[tuple[str, str], str]:
    sides = [defaultdict(Counter), defaultdict(Counter)]
    for found, records_ in zip(sides, (left, right), strict=True):
        for record in records_:
            found[record["namespace"], record["id"]][repr((record["values"], record["metadata"]))] += 1
    answer = {}
    for name in {*sides[0], *sides[1]}:
        ours, theirs = sides[0][name], sides[1][name]
        if ours == theirs:
            continue
        doubled = max(ours.total(), theirs.total()) > 1
        answer[name] = "missing" if not theirs else "extra" if not ours else "duplicate" if doubled else "changed"
    return answer


@settings(max_examples=60)
@given(st.lists(records, max_size=8), st.lists(records, max_size=8))
def test_the_same_as_dictionaries(tmp_path_factory, left, right):
    found = differences(tmp_path_factory.mktemp("diff"), batch_of(left), batch_of(right))
    assert {(one.namespace, one.id): one.kind for one in found} == naive(left, right)
    assert len(found) == len(naive(left, right))


@pytest.mark.parametrize("rows", [50, 10_000])
def test_many_differences_spill_into_several_pieces(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(diff, "_PARTITION_ROWS", rows)
    left, right = numbered(2000), numbered(2000, start=700)
    found = differences(tmp_path, left, right)
    assert Counter(one.kind for one in found) == {"missing": 700, "extra": 700}
    assert {one.id for one in found} == {f"r{n}" for n in [*range(700), *range(2000, 2700)]}


def test_equal_sides_do_not_differ(tmp_path):
    assert differences(tmp_path, numbered(100), numbered(100).take(list(range(99, -1, -1)))) == []


PLAIN = {"values": [1.0, 2.0], "sparse_values": {"indices": [5, 1], "values": [0.5, 1.0]}, "metadata": {"a": 1, "b": [1, 2], "c": None}}


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({}, ()),
        ({"metadata": {"a": 1.0, "b": [1.0, 2], "c": None}}, ()),
        ({"sparse_values": {"indices": [1, 5], "values": [1.0, 0.5]}}, ()),
        ({"values": [1.0, 2.0000002]}, ("values",)),
        ({"values": [1.0, -2.0]}, ("values",)),
        ({"sparse_values": None}, ("sparse_values",)),
        ({"sparse_values": {"indices": [5, 1], "values": [0.5, 1.0000001]}}, ("sparse_values",)),
        ({"metadata": {"a": 1, "b": [2, 1], "c": None}}, ("metadata.b",)),
        ({"metadata": {"a": 1, "b": [1, 2]}}, ("metadata.c",)),
        ({"metadata": {"a": True, "b": [1, 2], "c": None}}, ("metadata.a",)),
        ({"metadata": None}, ("metadata.a", "metadata.b", "metadata.c")),
        (
            {"values": [0.0, 0.0], "metadata": {"z": 1}, "sparse_values": None},
            ("values", "sparse_values", "metadata.a", "metadata.b", "metadata.c", "metadata.z"),
        ),
    ],
)
def test_which_fields_differ(change, fields):
    assert differing_fields(PLAIN, {**PLAIN, **change}) == fields
    assert differing_fields({**PLAIN, **change}, PLAIN) == fields


def test_an_index_that_is_there_twice_has_its_weights_in_an_order():
    ours, theirs = ({**PLAIN, "sparse_values": {"indices": [1, 1], "values": weights}} for weights in ([0.5, 1.0], [1.0, 0.5]))
    assert differing_fields(ours, theirs) == ("sparse_values",)
