"""Runs that read every batch back: what a target loses or alters is noticed at once, written again, or ends the run."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from migrator import configs
from migrator.connectors import memory
from migrator.connectors.memory.table import Table
from migrator.datasets import places
from migrator.errors import LedgerError, TransientError
from migrator.ledger import progress
from migrator.model import Follow
from migrator.runs import batches
from migrator.service import PlanOptions, command
from tests.runs.conftest import Ended, contents
from tests.unit.batches import numbered


@pytest.fixture
def planted(monkeypatch, collections):
    """Return a function that plants a defect in the writes of collection ``target``: it is given each batch, and what it returns is kept."""

    def plant(defect):
        upsert = Table.upsert
        monkeypatch.setattr(Table, "upsert", lambda table, batch: upsert(table, defect(batch) if table is collections.get("target") else batch))

    return plant


def losing(record, times=10**6):
    left = [times]

    def defect(batch):
        mask = np.array([name != record for name in batch.column("id").to_pylist()])
        if mask.all() or not left[0]:
            return batch
        left[0] -= 1
        return batch.filter(pa.array(mask))

    return defect


def altering(record, times=10**6):
    left = [times]

    def defect(batch):
        names = batch.column("id").to_pylist()
        if record not in names or not left[0]:
            return batch
        left[0] -= 1
        values = batch.column("values").flatten().to_numpy().copy()
        values.view(np.uint32)[names.index(record) * 3] ^= 1
        return batch.set_column(1, batch.schema.field(1), pa.FixedSizeListArray.from_arrays(pa.array(values), type=batch.schema.field(1).type))

    return defect


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(batches, "LEAST_PATIENCE", 0.06)


def test_every_batch_is_counted(seed, copy):
    seed("source", numbered(37), numbered(20, namespace="a"))
    ended = copy(verify_batches=True, workers=1)
    assert str(ended) == "proven"
    assert ended.status["verified_batches"] == {"batches": 6, "records": 57, "differences": 0}
    assert ended.result["verified_batches"] == ended.status["verified_batches"]


def test_a_run_that_was_not_asked_to_reads_nothing_back(seed, copy):
    seed("source", numbered(7))
    ended = copy()
    assert ended.status["verified_batches"] is None
    assert ended.result["verified_batches"] is None


@pytest.mark.parametrize("defect", [losing, altering])
def test_a_record_that_went_wrong_once_is_written_again(seed, copy, planted, collections, defect):
    source = seed("source", numbered(37))
    planted(defect("r15", 1))
    ended = copy(verify_batches=True, workers=1)
    assert str(ended) == "proven"
    assert contents(collections["target"]) == contents(source)
    assert ended.status["verified_batches"] == {"batches": 4, "records": 37, "differences": 1}
    assert "1 of 10 records are not in the target as they were written: 'r15'" in ended.log


@pytest.mark.parametrize("defect", [losing, altering])
def test_the_same_goes_unnoticed_until_the_proof_without(seed, copy, planted, defect):
    seed("source", numbered(37))
    planted(defect("r15", 1))
    ended = copy()
    assert str(ended) == "differs"
    assert [row["id"] for row in ended.result["differences"]] == ["r15"]


@pytest.mark.parametrize(("defect", "what"), [(losing, "missing"), (altering, "changed")])
def test_a_batch_that_stays_wrong_ends_the_run_and_is_not_committed(service, seed, copy, planted, monkeypatch, defect, what):
    seed("source", numbered(37))
    planted(defect("r15"))
    ended = copy(verify_batches=True, workers=1)
    assert (str(ended), ended.status["error"]["code"]) == ("failed", "batch_differs")
    assert f"'r15' ({what}), and writing them again did not help" in ended.status["error"]["message"]
    assert ended.counts[1] == 10, "what was written before it is committed, and nothing of it or after it"
    assert ended.status["verified_batches"] == {"batches": 1, "records": 10, "differences": 1}
    monkeypatch.undo()
    service.resume(ended.run)
    resumed = Ended(service, ended.run)
    assert str(resumed) == "proven"
    assert resumed.status["verified_batches"] == {"batches": 4, "records": 37, "differences": 1}


def test_many_wrong_records_are_counted_and_three_named(seed, copy, planted):
    seed("source", numbered(10))
    planted(lambda batch: batch.slice(0, 2))
    ended = copy(verify_batches=True, workers=1)
    assert "8 of 10 records" in ended.status["error"]["message"]
    assert "'r2' (missing), 'r3' (missing), 'r4' (missing) and 5 more" in ended.status["error"]["message"]


def late(monkeypatch, seconds):
    """Let a target's records show ``seconds`` after they are first asked for."""
    fetch, since = memory.MemoryStore.fetch, {}

    def hidden(store, ids, namespace):
        found = fetch(store, ids, namespace)
        now = time.monotonic()
        shown = [now >= since.setdefault(name, now) + seconds for name in found.column("id").to_pylist()]
        return found.filter(pa.array(shown, pa.bool_()))

    monkeypatch.setattr(memory.MemoryStore, "fetch", hidden)


def test_a_store_that_shows_writes_late_is_waited_for(seed, copy, monkeypatch):
    monkeypatch.setattr(batches, "LEAST_PATIENCE", 20.0)
    late(monkeypatch, 0.3)
    seed("source", numbered(25))
    ended = copy(verify_batches=True, workers=1)
    assert (str(ended), ended.status["verified_batches"]) == ("proven", {"batches": 3, "records": 25, "differences": 0})


def test_a_run_that_waits_for_a_batch_can_be_paused_and_goes_on(service, seed, monkeypatch):
    monkeypatch.setattr(batches, "LEAST_PATIENCE", 60.0)
    late(monkeypatch, 2.0)
    seed("source", numbered(25))
    run = service.start(service.plan("memory:source", "memory:target", PlanOptions(batch=10, verify_batches=True)))
    time.sleep(0.4)
    service.pause(run)
    paused = Ended(service, run)
    assert (str(paused), paused.status["error"]) == ("paused", None)
    service.resume(run)
    assert str(Ended(service, run)) == "proven"


def test_a_batch_whose_checkpoint_failed_is_counted_once(service, seed, copy, monkeypatch):
    seed("source", numbered(30))
    commit, failing = progress.commit, threading.Event()

    def failed_once(ledger, lease, checkpoint):
        if checkpoint.sequence == 1 and not failing.is_set():
            failing.set()
            raise LedgerError("the disk is full")
        commit(ledger, lease, checkpoint)

    monkeypatch.setattr(progress, "commit", failed_once)
    ended = copy(verify_batches=True, workers=1)
    assert str(ended) == "failed"
    service.resume(ended.run)
    assert Ended(service, ended.run).status["verified_batches"] == {"batches": 3, "records": 30, "differences": 0}


def test_what_the_store_refused_is_not_looked_for(seed, copy):
    seed("source", numbered(20))
    ended = copy(target="memory:target?refuse_id=r3", verify_batches=True)
    assert str(ended) == "incomplete"
    assert ended.status["verified_batches"] == {"batches": 2, "records": 19, "differences": 0}


@pytest.mark.parametrize("options", [{"on_conflict": "skip"}, {"on_conflict": "fail"}, {"new_only": True}, {"stamp": True}], ids=str)
def test_with_every_way_of_writing(seed, copy, planted, options):
    seed("source", numbered(20))
    planted(losing("r7", 1))
    ended = copy(verify_batches=True, **options)
    assert (str(ended), ended.status["verified_batches"]) == ("proven", {"batches": 2, "records": 20, "differences": 1})


def test_records_the_target_had_already_are_not_counted(seed, copy):
    seed("source", numbered(20))
    seed("target", numbered(5))
    ended = copy(verify_batches=True, new_only=True)
    assert ended.status["verified_batches"] == {"batches": 2, "records": 15, "differences": 0}


def test_a_run_that_follows_its_source_counts_over_all_passes(service, seed, planted):
    source = seed("source", numbered(20))
    planted(losing("n3", 1))
    run = service.start(service.plan("memory:source", "memory:target", PlanOptions(batch=10, verify_batches=True, follow=Follow(interval=0.05))))
    deadline = time.monotonic() + 20
    while service.status(run)["phase"] != "following" and time.monotonic() < deadline:
        time.sleep(0.02)
    source.append(numbered(1, start=100).set_column(0, "id", pa.array(["n3"])))
    while service.status(run)["verified_batches"]["records"] < 21 and time.monotonic() < deadline:
        time.sleep(0.02)
    service.finish_following(run)
    ended = Ended(service, run)
    assert str(ended) == "proven"
    assert ended.status["verified_batches"] == {"batches": 3, "records": 21, "differences": 1}


@pytest.mark.parametrize("kind", ["parquet", "numpy"])
def test_files_are_read_back_part_by_part(seed, copy, tmp_path, monkeypatch, kind):
    seed("source", numbered(20), numbered(10, namespace="a/b"))
    save, flipped = places._save_locally, []

    def flipping(target, staging, pieces):
        save(target, staging, pieces)
        vectors = {"parquet": target.suffix == ".parquet", "numpy": target.name.endswith("vector.npy")}[kind]
        if vectors and not flipped:
            flipped.append(target)
            content = bytearray(Path(target).read_bytes())
            content[content.index(np.full(2, 0.5, np.float32).tobytes())] ^= 1
            Path(target).write_bytes(content)

    monkeypatch.setattr(places, "_save_locally", flipping)
    ended = copy(target=f"{kind}:{tmp_path}/out", verify_batches=True, workers=1)
    assert flipped
    assert ended.status["error"] is None
    assert (str(ended), ended.status["verified_batches"]) == ("proven", {"batches": 3, "records": 30, "differences": 10})
    assert "batches_read_from_files" in [finding["code"] for finding in ended.result["findings"]]


def test_a_part_that_is_gone_is_written_again(seed, copy, tmp_path, monkeypatch):
    seed("source", numbered(20))
    save, lost = places._save_locally, []

    def losing_one(target, staging, pieces):
        save(target, staging, pieces)
        if target.suffix == ".parquet" and not lost:
            lost.append(target)
            target.unlink()

    monkeypatch.setattr(places, "_save_locally", losing_one)
    ended = copy(target=f"parquet:{tmp_path}/out", verify_batches=True, workers=1)
    assert (str(ended), ended.status["verified_batches"]) == ("proven", {"batches": 2, "records": 20, "differences": 10})


def test_a_look_that_fails_for_a_moment_is_no_difference(seed, copy, monkeypatch):
    seed("source", numbered(20))
    fetch, failed = memory.MemoryStore.fetch, []

    def failing(store, ids, namespace):
        if not failed:
            failed.append(namespace)
            raise TransientError("no answer")
        return fetch(store, ids, namespace)

    monkeypatch.setattr(memory.MemoryStore, "fetch", failing)
    ended = copy(verify_batches=True)
    assert failed
    assert (str(ended), ended.status["verified_batches"]["differences"]) == ("proven", 0)


def test_the_plan_says_what_it_costs_and_keeps_it(service, seed):
    seed("source", numbered(20))
    plain = service.plan("memory:source", "memory:target", PlanOptions())
    plan = service.plan("memory:source", "memory:target", PlanOptions(verify_batches=True))
    assert plan.estimate["seconds"] > plain.estimate["seconds"]
    assert "100% more for reading each batch back" in plan.estimate["basis"]
    assert [finding.code for finding in plan.findings if finding not in plain.findings] == ["batches_read_back"]
    assert command(plan).endswith("--verify-batches")
    assert configs.from_data(configs.to_data(plan)).verify_batches
    assert not configs.from_data(configs.to_data(plain)).verify_batches


def test_nothing_is_read_back_in_a_dry_run(seed, copy, collections):
    seed("source", numbered(20))
    ended = copy(dry_run=True, verify_batches=True)
    assert (ended.status["verified_batches"], "target" in collections) == ({"batches": 0, "records": 0, "differences": 0}, False)
