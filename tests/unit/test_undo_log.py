"""The undo log: entries come back in order, a torn end is cut off, damage is named, and of several entries the first one counts."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from migrator.digest import hash_rows
from migrator.errors import LedgerError
from migrator.follow.state import State
from migrator.follow.undo_log import NAMES, UndoLog, digests_of, entries, index, keys_of
from tests.unit.batches import batch_of, numbered


def names(*ids: str, namespace: str = "") -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([namespace] * len(ids), pa.string()), pa.array(ids, pa.string())], schema=NAMES)


def ids(path) -> list[list[str]]:
    return [entry.names.column("id").to_pylist() for entry in entries(path)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "undo.log"


def test_what_is_added_comes_back_in_order(path):
    whole = batch_of([{"id": "b", "values": [1.0, 2.0, 3.0], "sparse_values": {"indices": [4], "values": [0.5]}, "metadata": {"n": 1}}])
    with UndoLog(path) as log:
        log.append(names("a"), None)
        log.append(names("b"), whole)
        log.append(names("c"), digests_of(whole))
    with UndoLog(path) as log:  # by the next attempt
        log.append(names("d"), None)
    found = list(entries(path))
    assert ids(path) == [["a"], ["b"], ["c"], ["d"]]
    assert [entry.kept for entry in found] == [False, True, False, False]
    assert found[1].before.equals(whole)
    assert found[1].before_hashes().tolist() == found[2].before_hashes().tolist() == hash_rows(whole).rows.tolist()


def test_it_is_on_the_disk_before_append_returns(path, monkeypatch):
    calls = []
    original = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append(os.fstat(descriptor).st_size), original(descriptor)))
    with UndoLog(path) as log:
        calls.clear()
        log.append(names("a"), None)
        assert calls == [path.stat().st_size]


@pytest.mark.parametrize("torn", ["half a head", "half a frame", "zeros"])
def test_a_torn_end_is_cut_off_and_does_not_hide_what_follows(path, torn):
    with UndoLog(path) as log:
        log.append(names("a"), None)
        first = path.stat().st_size
        log.append(names("b"), None)
    whole = path.read_bytes()
    path.write_bytes({"half a head": whole[: first + 9], "half a frame": whole[:-7], "zeros": whole[:-40] + bytes(40)}[torn])
    assert ids(path) == [["a"]]
    with UndoLog(path) as log:
        log.append(names("c"), None)
    assert ids(path) == [["a"], ["c"]]


def test_damage_before_the_end_is_named(path):
    with UndoLog(path) as log:
        log.append(names("a"), None)
        log.append(names("b"), None)
    spoilt = bytearray(path.read_bytes())
    spoilt[60] ^= 1
    path.write_bytes(spoilt)
    with pytest.raises(LedgerError, match="damaged"):
        list(entries(path))


def test_a_full_disk_stops_the_write_and_leaves_no_torn_frame(path, monkeypatch):
    original = os.write
    with UndoLog(path) as log:
        log.append(names("a"), None)

        def full(descriptor: int, data: bytes) -> int:
            if len(data) > 20:
                return original(descriptor, data[:20])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", lambda descriptor, data: full(descriptor, data[:40]))
        with pytest.raises(LedgerError, match="cannot be noted"):
            log.append(names("b"), None)
        monkeypatch.setattr(os, "write", original)
        log.append(names("c"), None)
    assert ids(path) == [["a"], ["c"]]


def test_many_threads_add_whole_entries(path):
    with UndoLog(path) as log, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: log.append(names(f"i{number}"), numbered(1, start=number)), range(100)))
    assert sorted(one for (one,) in ids(path)) == sorted(f"i{number}" for number in range(100))


@pytest.mark.parametrize("ids_only", [False, True])
def test_the_index_tells_the_first_entry_of_each_record(path, tmp_path, ids_only):
    with UndoLog(path) as log:
        log.append(names("a", "b"), None)
        log.append(names("b", "c"), None)
        log.append(names("c"), digests_of(batch_of([{"id": "d", "namespace": "other"}])))
        log.append(names("d"), None)
    index(path, tmp_path / "index", ids_only=ids_only)
    keys = keys_of(names("a", "b", "c", "d", "e"), ids_only=ids_only)
    known = State(tmp_path / "index").look_up(keys["low"], keys["high"])
    assert known.found.tolist() == [True, True, True, True, False]
    assert known.hashes[:4, 0].tolist() == [0, 0, 1, 2 if ids_only else 3]


def test_the_first_entry_counts_among_very_many(path, tmp_path):
    """More than the index sorts at once."""
    with UndoLog(path) as log:
        for _ in range(3):
            many = pa.array([f"i{number}" for number in range(60_000)])
            log.append(pa.RecordBatch.from_arrays([pa.array([""] * 60_000), many], schema=NAMES), None)
    index(path, tmp_path / "index", ids_only=False)
    state = State(tmp_path / "index")
    assert len(state) == 60_000
    assert all(not np.any(batch.column("low").to_numpy()) for batch in state)
