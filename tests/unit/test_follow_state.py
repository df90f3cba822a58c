"""The state between passes: sorted whatever the order of its parts, each record once, unsure where parts disagree, whole or not at all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator import duplicates
from migrator.connectors import memory
from migrator.endpoints import parse
from migrator.follow import state
from migrator.follow.journal import Journal, entries
from migrator.follow.state import SCHEMA, Builder, State, as_entries
from migrator.model import Chunk, Plan
from migrator.pipeline.prepare import Rules, prepare
from migrator.transform import compile_transform
from tests.unit.batches import batch_of, numbered

KEYS = [0, 1, 2**58 - 1, 2**58, 2**63, 2**64 - 1]
found = st.tuples(st.sampled_from(KEYS), st.sampled_from(KEYS[:3]), st.integers(0, 2), st.integers(0, 1), st.booleans())


def entry_batch(rows) -> pa.RecordBatch:
    columns = [np.array([row[n] for row in rows], np.uint64) for n in range(4)]
    flags = np.array([row[4] for row in rows], np.uint8)
    names = pa.array([f"{row[0]}.{row[1]}" for row in rows], pa.string())
    return pa.RecordBatch.from_arrays([*map(pa.array, columns), pa.array(flags), names, names], schema=SCHEMA)


def built(path, *batches) -> State:
    with Builder(path) as builder:
        builder.add(batches)
        builder.finish()
    return State(path)


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(st.lists(found, min_size=1, max_size=8), max_size=4), sought=st.lists(found, min_size=1, max_size=8))
def test_it_knows_what_it_was_told(tmp_path_factory, parts, sought):
    told: dict[tuple[int, int], set[tuple[int, int, bool]]] = {}
    for row in (row for part in parts for row in part):
        told.setdefault(row[:2], set()).add(row[2:])
    opened = built(tmp_path_factory.mktemp("state") / "state.arrow", *map(entry_batch, parts))
    assert len(opened) == len(told)
    keys = [pair for batch in opened for pair in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)]
    assert keys == sorted(told)
    known = opened.look_up(np.array([row[0] for row in sought], np.uint64), np.array([row[1] for row in sought], np.uint64))
    for place, row in enumerate(sought):
        said = told.get(row[:2])
        assert known.found[place] == (said is not None)
        if said is not None:
            agreed = len({one[:2] for one in said}) == 1 and all(one[2] for one in said)
            assert known.sure[place] == agreed
            if agreed:
                assert tuple(known.hashes[place]) == next(iter(said))[:2]


def test_a_state_that_was_never_written_is_empty(tmp_path):
    empty = State(tmp_path / "none")
    assert (len(empty), list(empty)) == (0, [])
    assert not empty.look_up(np.array([1], np.uint64), np.array([1], np.uint64)).found.any()
    assert len(built(tmp_path / "state.arrow")) == 0


def test_a_builder_that_is_stopped_leaves_the_old_state(tmp_path):
    path = tmp_path / "state.arrow"
    built(path, entry_batch([(1, 1, 1, 1, True)]))
    before = path.read_bytes()
    broken = (1 // n and entry_batch([(2, 2, 2, 2, True)]) for n in (1, 0))
    with pytest.raises(ZeroDivisionError), Builder(path) as builder:
        builder.add(broken)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["state.arrow"]


def test_an_opened_state_outlives_its_replacement(tmp_path):
    path = tmp_path / "state.arrow"
    old = built(path, entry_batch([(1, 1, 1, 1, True)]))
    new = built(path, *old, entry_batch([(2, 2, 2, 2, True)]))
    assert (len(old), len(new)) == (1, 2)
    assert old.look_up(np.array([1], np.uint64), np.array([1], np.uint64)).found.all()


def test_many_small_parts_are_spilled(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "_BUFFER_ROWS", 7)
    rows = [(int(key), 0, n, n, True) for n, key in enumerate(np.random.default_rng(0).integers(0, 2**64, 500, np.uint64))]
    opened = built(tmp_path / "state.arrow", *(entry_batch(rows[start : start + 3]) for start in range(0, len(rows), 3)))
    assert len(opened) == len({row[0] for row in rows})


@pytest.fixture
def prepared():
    plan = Plan(parse("memory:a"), parse("memory:b"))
    rules = Rules(compile_transform(plan), memory.capabilities(), "cosine", duplicates.none(), origins=True)
    return lambda batch: prepare(Chunk(batch, "c"), 0, rules)


def test_a_journal_gives_back_what_was_kept_and_replaces_a_part(tmp_path, prepared):
    journal = Journal(tmp_path / "journal")
    for count in (5, 3):
        one = prepared(numbered(count))
        journal.save("s.0", entries(one, np.full(count, 1, np.uint8), ids_only=False), durable=True)
    rows = journal.load("s.0")
    assert rows.column("id").to_pylist() == rows.column("source_id").to_pylist() == ["r0", "r1", "r2"]
    assert (list(journal.parts()), journal.load("s.1")) == (["s.0"], None)
    assert sum(len(batch) for batch in as_entries(rows, sure=True)) == 3
    journal.drop("s.0")
    journal.drop("s.0")
    assert not list(journal.parts())


def test_origins_are_those_of_the_rows_that_are_left(prepared):
    rows = [{"id": "a", "values": [1.0, 2.0, 3.0]}, {"id": "bad", "values": [float("nan")] * 3}, {"id": "c", "values": [1.0, 2.0, 3.0], "namespace": "n"}]
    one = prepared(batch_of(rows))
    assert one.origin.to_pylist() == [{"id": "a", "namespace": ""}, {"id": "c", "namespace": "n"}]
    assert one.without(np.array([False, True])).origin.column("id").to_pylist() == ["c"]
