"""What is kept in a folder: over a restart, over the death of the process, and with a torn or foreign file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from migrator.errors import ConfigError
from migrator.local_pinecone.engine import ApiError, Engine, Settings
from tests.local_pinecone.making import PODS, Clock, definition, ids, put, record, sparse_definition, sparse_vector

ROOT = Path(__file__).parents[2]

WRITER = """
import sys
from pathlib import Path
from migrator.local_pinecone.engine import Engine
from tests.local_pinecone.making import definition, put, record
index = Engine(data=Path(sys.argv[1])).create(definition())
for number in range(10_000):
    put(index, record(str(number), [1, number], {number: 1.0}, n=number))
    print(number, flush=True)
"""


def contents(index):
    with index.lock:
        index.settle()
        return {space: {one.id: shown(one) for one in table.records(list(table.rows))} for space, table in index.state.tables.items()}


def shown(one):
    parts = [] if one.sparse is None else [part.tolist() for part in one.sparse]
    return None if one.values is None else one.values.tolist(), parts, None if one.metadata is None else one.metadata.fields


def after_a_crash(folder):
    """Return an engine on a copy of a folder whose server is still at work: what a crash would leave."""
    copy = folder.with_name(f"{folder.name}-{uuid.uuid4().hex}")
    shutil.copytree(folder, copy)
    return Engine(data=copy)


def fill(index):
    put(index, record("a", [1, 2], {7: 0.5}, x="é", tags=["a", "b"]), record("b", [3, 4]))
    put(index, *[record(f"n{number}", [1, number + 1], n=number) for number in range(1000)], namespace="n")
    index.update("n", id="n7", values=np.array([9, 9], np.float32), set_metadata=record("", seen=True).metadata)
    index.update("n", id="n8", sparse=sparse_vector({1: 2.0}))
    index.update("n", filter={"n": {"$gte": 990}}, set_metadata=record("", late=True).metadata)
    index.delete("n", ids=["n1", "n2"])
    index.create_namespace("made", {"fields": {"x": {"filterable": True}}})
    put(index, record("z", [1, 1]), namespace="cleared")
    index.delete("cleared", delete_all=True)
    put(index, record("z", [1, 1]), namespace="dropped")
    index.delete_namespace("dropped")


@pytest.mark.parametrize("closed", [True, False])
def test_everything_is_there_at_the_next_start(tmp_path, closed):
    engine = Engine(data=tmp_path)
    index = engine.create(definition(tags={"a": "b"}))
    fill(index)
    sparse = engine.create(sparse_definition())
    put(sparse, record("s", sparse={5: 1.5}))
    before = contents(index)
    if closed:
        engine.close()
    again = Engine(data=tmp_path) if closed else after_a_crash(tmp_path)
    assert contents(again.index("a")) == before
    assert contents(again.index("s")) == contents(sparse)
    assert again.index("a").definition == index.definition
    assert (again.index("a").id, again.index("a").created_at) == (index.id, index.created_at)
    assert again.index("a").namespace("made").schema == {"fields": {"x": {"filterable": True}}}
    assert put(again.index("a"), record("z", [1, 1]), namespace="dropped") == 3
    assert put(again.index("a"), record("y", [1, 1]), namespace="n") == 6
    again.close()


def test_closing_leaves_on_the_disk_what_is_live(tmp_path):
    engine = Engine(data=tmp_path)
    index = engine.create(definition())
    for _ in range(50):
        put(index, *[record(str(number), [1, 2]) for number in range(100)])
    journal = next((tmp_path / "indexes").iterdir())
    before = journal.stat().st_size
    engine.close()
    engine.close()
    assert journal.stat().st_size < before / 20
    assert len(ids(Engine(data=tmp_path).index("a"))) == 100


def test_closing_leaves_a_journal_of_little_garbage_as_it_is(tmp_path):
    engine = Engine(data=tmp_path)
    index = engine.create(definition())
    put(index, *[record(f"r{number}", [1, number]) for number in range(100)])
    put(index, *[record(f"n{number}", [1, number]) for number in range(100)], namespace="n")
    index.delete("n", ids=[f"n{number}" for number in range(10)])
    before, journal = contents(index), next((tmp_path / "indexes").iterdir())
    written = journal.read_bytes(), journal.stat().st_ino
    engine.close()
    assert (journal.read_bytes(), journal.stat().st_ino) == written
    engine = Engine(data=tmp_path)
    index = engine.index("a")
    assert contents(index) == before
    index.delete("n", ids=[f"n{number}" for number in range(10, 70)])
    before = contents(index)
    engine.close()
    assert journal.stat().st_ino != written[1]
    assert contents(Engine(data=tmp_path).index("a")) == before


@pytest.mark.parametrize("write", ["change", "clear", "drop", "many"])
def test_every_kind_of_garbage_counts(tmp_path, write):
    engine = Engine(data=tmp_path)
    index = engine.create(definition())
    put(index, *[record(f"r{number}", [1, number], text="x" * 500) for number in range(20)], namespace="n")
    if write == "change":
        for number in range(20):
            index.update("n", id=f"r{number}", set_metadata=record("", text="y" * 500).metadata)
    elif write == "clear":
        index.delete("n", delete_all=True)
    elif write == "drop":
        index.delete_namespace("n")
    else:
        put(index, *[record(f"r{number}", [2, number]) for number in range(20)], namespace="n")
    before, journal = contents(index), next((tmp_path / "indexes").iterdir())
    size = journal.stat().st_size
    engine.close()
    assert journal.stat().st_size < size
    assert contents(Engine(data=tmp_path).index("a")) == before


def test_what_is_held_back_by_the_lag_is_not_lost(tmp_path):
    engine = Engine(Settings(freshness_lag=100, clock=Clock()), tmp_path)
    put(engine.create(definition()), record("a", [1, 2]))
    assert ids(after_a_crash(tmp_path).index("a")) == ["a"]
    engine.close()
    assert ids(Engine(data=tmp_path).index("a")) == ["a"]


def test_a_killed_process_has_kept_all_it_acknowledged(tmp_path):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    for line in writer.stdout:
        if line == b"200\n":
            break
    writer.send_signal(signal.SIGKILL)
    acknowledged = int((writer.stdout.read().split() or [b"200"])[-1])
    writer.wait()
    kept = contents(Engine(data=tmp_path).index("a"))[""]
    assert len(kept) in {acknowledged + 1, acknowledged + 2}  # it may die between keeping a write and acknowledging it
    assert all(kept[str(number)] == ([1, number], [[number], [1]], {"n": number}) for number in range(acknowledged + 1))


@pytest.mark.parametrize("harm", ["cut", "flipped"])
def test_a_torn_last_write_is_cut_off_and_writing_goes_on(tmp_path, harm):
    engine = Engine(data=tmp_path)
    index = engine.create(definition())
    put(index, record("a", [1, 2]))
    journal = next((tmp_path / "indexes").iterdir())
    whole = journal.stat().st_size
    put(index, record("b", [1, 2]))
    content = bytearray(journal.read_bytes())
    if harm == "cut":
        content = content[:-3]
    else:
        content[-3] ^= 1
    journal.write_bytes(content)
    engine.folder.release()
    engine = Engine(data=tmp_path)
    again = engine.index("a")
    assert ids(again) == ["a"]
    assert journal.stat().st_size == whole
    assert put(again, record("c", [1, 2])) == 2
    assert ids(after_a_crash(tmp_path).index("a")) == ["a", "c"]


def test_a_folder_that_is_not_ours_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        Engine(data=tmp_path / "file")
    (tmp_path / "account.json").write_text("{")
    with pytest.raises(ConfigError, match="not what this server wrote"):
        Engine(data=tmp_path)


def test_a_folder_belongs_to_one_server_at_a_time(tmp_path):
    engine = Engine(data=tmp_path)
    index = engine.create(definition())
    with pytest.raises(ConfigError, match="another local server"):
        Engine(data=tmp_path)
    engine.close()
    with pytest.raises(ApiError, match="no longer available"):
        put(index, record("a", [1, 2]))
    Engine(data=tmp_path).close()


def test_a_deleted_index_leaves_nothing_behind(tmp_path):
    engine = Engine(data=tmp_path)
    fill(engine.create(definition()))
    engine.delete("a")
    assert list((tmp_path / "indexes").iterdir()) == []
    assert not after_a_crash(tmp_path).has_index("a")


@pytest.mark.parametrize("kept", [True, False])
def test_collections_and_backups_hold_what_was_there_when_they_were_made(tmp_path, kept):
    engine = Engine(data=tmp_path if kept else None)
    pods = engine.create(definition("pods", deployment=PODS))
    put(pods, record("a", [1, 2], {1: 1.0}, x=1), namespace="n")
    engine.make_collection("c", "pods")
    put(pods, record("b", [1, 2]), namespace="n")
    copy = engine.create(definition("copy", source_collection="c"))
    assert contents(copy) == {"n": {"a": ([1, 2], [[1], [1]], {"x": 1})}}
    backup = engine.make_backup("copy", "b", "before")
    put(copy, record("a", [5, 6]), namespace="n")
    engine.delete("copy")
    if kept:
        engine.close()
        engine = Engine(data=tmp_path)
    made = engine.restore(backup.id, {"name": "again"})
    assert contents(engine.index("again")) == {"n": {"a": ([1, 2], [[1], [1]], {"x": 1})}}
    assert engine.snapshots.restore_job(made["restore_job_id"]).index_id == made["index_id"] == engine.index("again").id
    assert engine.snapshots.backup(backup.id).source_deleted_at
    engine.delete_backup(backup.id)
    engine.delete_collection("c")
    assert not kept or list((tmp_path / "snapshots").iterdir()) == []


def test_a_copy_shares_nothing_with_its_source():
    engine = Engine()
    pods = engine.create(definition("pods", deployment=PODS))
    put(pods, record("a", [1, 2], x=1))
    engine.make_collection("c", "pods")
    copy = engine.create(replace(definition("copy"), source_collection="c"))
    copy.update("", id="a", values=np.array([7, 7], np.float32), set_metadata=record("", x=2).metadata)
    assert shown(pods.fetch("", ["a"]).value["a"]) == ([1, 2], [], {"x": 1})
