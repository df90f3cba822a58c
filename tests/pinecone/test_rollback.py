"""Rollback and repair of a Pinecone target: what stands in it afterwards is read with the official SDK alone."""

from __future__ import annotations

import hashlib

import pytest

from migrator.connectors.pinecone.source import PineconeSource
from tests.pinecone.conftest import rows


def digest(account, name: str) -> str:
    """Return a digest of everything an index holds; the name of a namespace that is empty by now is nothing."""
    whole = {space: sorted(account.read(name, space).items()) for space, count in sorted(account.namespaces(name).items()) if count}
    return hashlib.sha256(repr(whole).encode()).hexdigest()


def indexes(account) -> set[str]:
    return {index.name for index in account.client.indexes.list()}


@pytest.fixture
def roll_back(service):
    def run(name: str, confirm: str = "b") -> dict:
        service.rollbacks.start(name, confirm)
        status = service.wait(name, 60)
        assert status["rolled_back"] is not None, status["error"]
        return status["rolled_back"]

    return run


@pytest.fixture
def source(account) -> None:
    account.create("a")
    account.fill("a", rows(120))
    account.fill("a", rows(30, sparse_values={"indices": [3], "values": [0.5]}), "ns")


def test_an_index_the_run_made_is_dropped(account, source, service, copy, roll_back):
    run = copy(target="pinecone:b?cloud=aws&region=us-east-1")["run"]
    assert service.rollbacks.preview(run)["action"] == "drop"
    outcome = roll_back(run)
    assert (outcome["dropped"], outcome["deleted"], outcome["proof"]["verdict"]) == (True, 150, "as_before")
    assert indexes(account) == {"a"}


def test_an_index_of_others_is_as_it_was(account, source, service, copy, roll_back):
    account.create("b")
    account.fill("b", [{"id": f"r{n}", "values": [9.0, 1.0, n], "metadata": {"theirs": n}} for n in range(10)])
    account.fill("b", [{"id": f"t{n}", "values": [9.0, 1.0, n]} for n in range(20)])
    before = digest(account, "b")
    run = copy(on_conflict="upsert", keep_overwritten=True)["run"]
    assert digest(account, "b") != before
    outcome = roll_back(run)
    assert (outcome["deleted"], outcome["restored"], outcome["proof"]["verdict"]) == (140, 10, "as_before")
    assert digest(account, "b") == before


def test_ids_are_looked_up_only_where_records_stood(account, source, service, copy, monkeypatch):
    """What a copy into an empty namespace of a used index asks for must not grow."""
    account.create("b")
    account.fill("b", [{"id": "theirs", "values": [1.0, 1.0, 1.0]}], "elsewhere")
    asked = []
    fetch = PineconeSource.fetch

    def noted(self, ids, namespace):
        if any(run["phase"] == "copying" for run in service.runs()):  # plan and proof look at a sample, and at what may differ
            asked.append((self._connection.index.name, namespace))
        return fetch(self, ids, namespace)

    monkeypatch.setattr(PineconeSource, "fetch", noted)
    status = copy(on_conflict="upsert")
    assert status["status"] == "proven"
    assert {space for name, space in asked if name == "b"} <= {"elsewhere"}


def test_an_index_protected_from_deletion_stays(account, source, service, copy):
    run = copy(target="pinecone:b?cloud=aws&region=us-east-1")["run"]
    account.client.indexes.configure("b", deletion_protection="enabled")
    service.rollbacks.start(run, "b")
    status = service.wait(run, 60)
    assert status["error"]["code"] == "deletion_protected"
    assert status["rolled_back"] is None
    assert indexes(account) == {"a", "b"}


def test_repair(account, source, service, copy):
    run = copy(target="pinecone:b?cloud=aws&region=us-east-1")["run"]
    before = digest(account, "b")
    with account.client.index(name="b") as index:
        index.delete(ids=["r3", "r4"], namespace="ns")
        index.upsert(vectors=[{"id": "r7", "values": [0.0, 0.0, 1.0]}, {"id": "stray", "values": [1.0, 0.0, 1.0]}], namespace="", show_progress=False)
    service.start_verify(run)
    assert service.wait(run, 60)["status"] == "differs"
    service.repairs.start(run, delete_extra=True)
    assert service.wait(run, 60)["status"] == "proven"
    assert digest(account, "b") == before


@pytest.mark.slow
def test_a_staged_run_is_taken_back_and_repaired_through_the_api(account, source, service, copy, roll_back, tmp_path):
    account.create("b")
    account.fill("b", [{"id": "theirs", "values": [1.0, 1.0, 1.0]}], "elsewhere")
    before = digest(account, "b")
    status = copy(route="staged", staging=f"parquet:{tmp_path / 'files'}", on_conflict="upsert")
    assert status["status"] == "proven", status["error"]
    with account.client.index(name="b") as index:
        index.delete(ids=["r3", "r4"], namespace="ns")
    service.start_verify(status["run"])
    assert service.wait(status["run"], 60)["status"] == "differs"
    service.repairs.start(status["run"])
    assert service.wait(status["run"], 60)["status"] == "proven"
    assert "the staged files" in service.rollbacks.preview(status["run"])["sentence"]
    outcome = roll_back(status["run"])
    assert (outcome["deleted"], outcome["proof"]["verdict"]) == (150, "as_before")
    assert digest(account, "b") == before
