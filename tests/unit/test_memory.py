"""The memory store's faults: each happens at its write, and leaves behind exactly what it says."""

from __future__ import annotations

import numpy as np
import pytest

from migrator import endpoints, records
from migrator.connectors import memory
from migrator.errors import ConfigError, PermanentError, RateLimitedError, RejectedRecordsError, TransientError
from migrator.model import Collection, Endpoint, Plan, Selection


@pytest.fixture
def batch():
    return records.make_batch(["a", "b", "c", "d"], np.eye(4, dtype=np.float32))


@pytest.fixture
def target(request, batch):
    name = request.node.name
    yield lambda options="": _prepared(f"memory:{name}?{options}")
    memory.COLLECTIONS.pop(name, None)


def _prepared(text: str) -> memory.MemoryStore:
    store = memory.open_target(endpoints.parse(text))
    store.prepare(Collection("source", 4, "cosine"), Plan(Endpoint("memory", "x"), Endpoint("memory", "y")))
    return store


def _count(store: memory.MemoryStore) -> int:
    return store.describe().count


@pytest.mark.parametrize(
    ("option", "error", "left"),
    [
        ("fail_at", TransientError, 0),
        ("half_at", TransientError, 2),
        ("lose_ack_at", TransientError, 4),
        ("limit_at", RateLimitedError, 0),
        ("refuse_at", PermanentError, 0),
    ],
)
def test_fault_at_its_write_only(target, batch, option, error, left):
    store = target(f"{option}=2")
    store.write(batch.slice(0, 0), "s.0")
    with pytest.raises(error) as caught:
        store.write(batch, "s.1")
    assert type(caught.value) is error
    assert _count(store) == left
    store.write(batch, "s.1")
    assert _count(store) == 4


def test_refused_record_is_named_and_the_others_are_written(target, batch):
    store = target("refuse_id=b")
    with pytest.raises(RejectedRecordsError) as caught:
        store.write(batch, "s.0")
    assert [rejected.id for rejected in caught.value.rejected] == ["b"]
    assert sorted(records.to_dicts(store.fetch(list("abcd"), ""))[i]["id"] for i in range(3)) == ["a", "c", "d"]


def test_duplicates_seeded_are_read_twice(batch):
    memory.COLLECTIONS["twice"] = table = memory.Table(4)
    try:
        table.append(batch)
        table.append(batch.slice(1, 1))
        source = memory.open_source(endpoints.parse("memory:twice"))
        assert not source.describe().unique_ids
        assert [
            row["id"] for split in source.splits(Selection(), 2) for chunk in source.read(split, None, 10) for row in records.to_dicts(chunk.batch)
        ] == list("abcdb")
    finally:
        del memory.COLLECTIONS["twice"]


def test_nearest_first_for_each_metric(batch):
    for metric, best in (("cosine", 1.0), ("dotproduct", 2.0), ("euclidean", 1.0)):
        memory.COLLECTIONS["near"] = table = memory.Table(4, metric)
        table.append(batch)
        ((first, *_),) = memory.open_source(endpoints.parse("memory:near")).search([[0, 2, 0, 0]], 2, None)
        assert first == ("b", best), metric
    del memory.COLLECTIONS["near"]


def test_a_name_is_needed():
    with pytest.raises(ConfigError):
        memory.open_target(endpoints.parse("memory:"))


def test_examine_says_which_collection_is_missing():
    (step,) = memory.examine(endpoints.parse("memory:nowhere"))
    assert (step.status, "nowhere" in step.detail) == ("failed", True)
