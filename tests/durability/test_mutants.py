"""Every defect planted on purpose is found. A test of durability that its mutant passes would prove nothing."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migrator import retry
from migrator.connectors import memory
from migrator.datasets import places
from migrator.errors import RunBusyError
from migrator.ledger import Ledger, progress, runs
from migrator.ledger.checkpoint import Checkpoint
from migrator.model import Counts, Split
from migrator.pipeline import copy, prepare, write
from migrator.service import PlanOptions, Service
from migrator.verify import sides
from tests.durability import mutants
from tests.durability.torture import zygote
from tests.unit.batches import batch_of, numbered


@pytest.fixture
def planted(monkeypatch):
    """Return a function that plants a mutant for the length of the test."""
    for module, names in {
        copy: ("_commit", "_write", "_commit_oldest", "read_patiently"),
        sides: ("read_patiently",),
        prepare: ("_hold",),
        write: ("retry",),
        progress: ("fence",),
        places: ("_save_locally",),
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.005)
    return lambda name: getattr(mutants, name)() if name else None


@pytest.fixture
def outcome(tmp_path):
    """Return a function that copies between memory collections and returns the status it ended with."""
    with ExitStack() as stack:
        service = Service(tmp_path / "home")
        stack.callback(service.close)

        def run(target: str = "memory:mutant-target", **options) -> str:
            plan = service.plan("memory:mutant-source", target, PlanOptions(batch=5, **options))
            return service.wait(service.start(plan), 30)["status"]

        table = memory.COLLECTIONS["mutant-source"] = memory.Table(3)
        stack.callback(memory.COLLECTIONS.pop, "mutant-source")
        stack.callback(memory.COLLECTIONS.pop, "mutant-target", None)
        table.append(numbered(60))
        table.append(batch_of([{"id": "r3", "values": [9.0, 9.0, 9.0]}]))
        yield run


@pytest.mark.parametrize(
    ("mutant", "options"),
    [
        ("trust_partial_write", {"target": "memory:mutant-target?half_at=2"}),
        ("trust_partial_write", {"target": "memory:mutant-target?fail_at=2"}),
        ("drop_last_chunk", {}),
        ("drop_last_chunk", {"filter": {"n": {"$lt": 10}}}),
        ("commit_out_of_order", {"target": "memory:mutant-target?delay_ms=20"}),  # so that several are under way
        ("skip_held_duplicates", {}),
    ],
)
def test_a_run_with_this_defect_is_not_proven(planted, outcome, mutant, options):
    options = {"on_duplicate": "first", **options}
    assert outcome(**options) == "proven"
    memory.COLLECTIONS.pop("mutant-target")
    planted(mutant)
    assert outcome(**options) in ("failed", "incomplete", "differs")


# -- no fence


def stale_commit(path: Path) -> None:
    """Commit with an old epoch: whoever lost the run must be refused."""
    ledger = Ledger(path)
    try:
        runs.create(ledger, "r", kind="copy", owner="", source="a", target="b", plan="{}")
        old = runs.begin(ledger, "r", "copying")
        progress.add_splits(ledger, old, [Split("s", None, {})], {})
        runs.begin(ledger, "r", "copying")
        with pytest.raises(RunBusyError):
            progress.commit(ledger, old, Checkpoint("s", 0, "c", 0, Counts(), {}))
    finally:
        ledger.close()


def test_without_the_fence_an_old_epoch_commits(planted, tmp_path):
    stale_commit(tmp_path / "sound.db")
    planted("no_fence")
    with pytest.raises(pytest.fail.Exception):
        stale_commit(tmp_path / "broken.db")


# -- no fsync


def file_calls(folder: Path, monkeypatch) -> list[str]:
    """Save a file and return the calls that make it durable, in order."""
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        calls.append("sync folder" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "sync file")
        fsync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        calls.append("rename")
        return replace(path, target)

    (folder / "_staging").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", noted_fsync)
        patch.setattr(Path, "replace", noted_replace)
        places._save_locally(folder / "file", folder / "_staging", [pa.py_buffer(b"con"), pa.py_buffer(b"tent")])
    assert (folder / "file").read_bytes() == b"content"
    return calls


def test_a_file_is_synced_before_and_its_folder_after_the_rename(planted, tmp_path, monkeypatch):
    assert file_calls(tmp_path / "sound", monkeypatch) == ["sync file", "rename", "sync folder"]
    planted("no_sync")
    assert file_calls(tmp_path / "broken", monkeypatch) != ["sync file", "rename", "sync folder"]


# -- defects that only a kill brings to light


@pytest.fixture(scope="module")
def forks():
    with zygote("parquet") as started:
        yield started


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    values = np.random.default_rng(1).standard_normal((400, 4)).astype(np.float32)
    pq.write_table(pa.table({"id": [f"i{n}" for n in range(400)], "values": pa.array(list(values), pa.list_(pa.float32()))}), folder / "a.parquet")
    return f"parquet:{folder}"


def after_kills(forks, source, folder: Path, mutant: str, failpoints: list[str]) -> str:
    """Kill a run at each failpoint, resume it to the end, and return what came of it."""
    job = {"home": str(folder / "home"), "source": source, "target": f"parquet:{folder / 'out'}", "batch": 20, "workers": 1, "mutant": mutant}
    for name in failpoints:
        assert forks.attempt(**job, failpoint=name)["code"] == 137, name
    ended = forks.attempt(**job, failpoint="")
    names = [row for path in (folder / "out").glob("*/*.parquet") for row in pq.read_table(path, partitioning=None).column("id").to_pylist()]
    whole = sorted(names) == sorted(f"i{n}" for n in range(400))
    return ended["status"] if whole or ended["status"] != "proven" else "a lie"


@pytest.mark.parametrize(
    ("mutant", "failpoints"),
    [("commit_before_write", ["after_commit:3"]), ("random_part_names", ["dataset.part_staged:4", "before_commit:2"])],
)
def test_a_kill_brings_it_to_light_and_the_proof_says_so(forks, source, tmp_path, mutant, failpoints):
    assert after_kills(forks, source, tmp_path / "sound", "", failpoints) == "proven"
    assert after_kills(forks, source, tmp_path / "broken", mutant, failpoints) in ("failed", "differs", "incomplete")
