"""Repeated ids, against a dictionary."""

from __future__ import annotations

import threading
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import duplicates, endpoints, retry
from migrator.connectors import memory
from migrator.errors import TransientError
from migrator.model import Endpoint, Mapping, Plan, Selection
from migrator.routing import usable
from migrator.transform import compile_transform
from tests.unit.batches import batch_of

records = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "c", "ä", "日", "1", "11"]),
        "namespace": st.sampled_from(["", "x", "y"]),
        "metadata": st.none() | st.fixed_dictionaries({"n": st.integers(0, 2), "to": st.sampled_from(["", "x", "z"])}),
    }
)
selections = st.sampled_from([Selection(), Selection(("x",)), Selection(("", "y")), Selection(None, {"n": {"$gt": 0}}), Selection(("x",), {"n": 1})])
mappings = st.sampled_from([Mapping(), Mapping("one"), Mapping(None, "to"), Mapping("rest", "to")])


def store(found) -> memory.MemoryStore:
    memory.COLLECTIONS["repeated"] = table = memory.Table(3)
    table.append(batch_of(found))
    return memory.open_source(endpoints.parse("memory:repeated"))


@pytest.fixture(autouse=True)
def tidy():
    yield
    memory.COLLECTIONS.pop("repeated", None)


def find(source, splits, transform, folder, **options):
    options = {"last": False, "ids_only": False, "stop": threading.Event(), "poll": lambda: None, "patiently": lambda _doing, action: action(), **options}
    return duplicates.find(source, splits, transform, duplicates.Scan(folder, **options))


@given(st.lists(records, max_size=25), selections, mappings, st.booleans(), st.booleans(), st.integers(1, 4))
def test_the_same_as_a_dictionary(tmp_path_factory, found, selection, mapping, last, ids_only, count):
    transform = compile_transform(Plan(Endpoint("a", "b"), Endpoint("c", "d"), selection, mapping))
    source = store(found)
    splits = list(source.splits(selection, count))
    folder = tmp_path_factory.mktemp("keys")
    repeats = find(source, splits, transform, folder / "work", last=last, ids_only=ids_only)
    assert list(folder.iterdir()) == []
    places = defaultdict(list)
    for position, split in enumerate(splits):
        for row, record in enumerate(
            r for r in found[split.state["first"] : split.state["last"]] if selection.namespaces is None or r["namespace"] in selection.namespaces
        ):
            if selection.filter is not None and not transform.matches(record["metadata"] or {}):
                continue
            namespace = record["namespace"] if mapping.target_namespace is None else mapping.target_namespace
            if mapping.namespace_from:
                named, _ = usable((record["metadata"] or {}).get("to"))
                namespace = namespace if named is None else named
            places[record["id"] if ids_only else (namespace, record["id"])].append((position, row))
    expected = {name: (max if last else min)(where) for name, where in places.items() if len(where) > 1}
    assert sorted((int(w["split"]), int(w["row"])) for w in repeats.winners) == sorted(expected.values())
    assert (np.diff(repeats.winners["low"].astype(object)) >= 0).all()
    for name, winner in expected.items():
        space, text = ("", name) if ids_only else name
        rows, winners = repeats.locate(batch_of([{"id": text, "namespace": space}, {"id": "never", "namespace": space}]))
        assert (rows.tolist(), [(int(w["split"]), int(w["row"])) for w in winners]) == ([0], [winner])


def test_what_was_kept_is_found_again(tmp_path):
    source = store([{"id": "a"}, {"id": "b"}, {"id": "a"}])
    repeats = find(source, list(source.splits(Selection(), 1)), compile_transform(Plan(Endpoint("a", "b"), Endpoint("c", "d"))), tmp_path / "keys")
    repeats.save(tmp_path / "repeats.npy")
    loaded = duplicates.Repeats.load(tmp_path / "repeats.npy", ids_only=False)
    assert (loaded.winners == repeats.winners).all()
    assert len(loaded.winners) == 1


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x10\x00{'descr': ((((  ", b"PK\x03\x04nonsense", b"garbage" * 50])
def test_what_is_damaged_counts_as_not_there(tmp_path, content):
    if content is not None:
        (tmp_path / "repeats.npy").write_bytes(content)
    assert duplicates.Repeats.load(tmp_path / "repeats.npy", ids_only=False) is None


def test_an_array_of_something_else_counts_as_not_there(tmp_path):
    np.save(tmp_path / "repeats.npy", np.arange(5))
    assert duplicates.Repeats.load(tmp_path / "repeats.npy", ids_only=False) is None


def test_a_stop_leaves_no_files(tmp_path):
    stop = threading.Event()
    stop.set()
    source = store([{"id": "a"}, {"id": "a"}])
    find(source, list(source.splits(Selection(), 1)), compile_transform(Plan(Endpoint("a", "b"), Endpoint("c", "d"))), tmp_path / "keys", stop=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_scan_that_fails_midway_counts_no_occurrence_twice(tmp_path):
    source = store([{"id": name} for name in "abcabd"])
    failures = iter([True, False])

    class Shaky(memory.MemoryStore):
        def keys(self, split):
            for batch in super().keys(split):
                yield batch.slice(0, 3)
                if next(failures):
                    raise TransientError("gone", fix="wait")
                yield batch.slice(3)

    source.__class__ = Shaky
    patiently = lambda _doing, action: retry.call(action, stop=threading.Event())  # noqa: E731
    plan = Plan(Endpoint("a", "b"), Endpoint("c", "d"))
    repeats = find(source, list(source.splits(Selection(), 1)), compile_transform(plan), tmp_path / "keys", patiently=patiently)
    assert sorted(repeats.winners["row"].tolist()) == [0, 1]
