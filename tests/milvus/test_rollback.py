"""Rollback and repair of a Milvus target: what stands in it afterwards is read with the SDK alone."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from migrator.connectors import memory
from migrator.connectors.milvus.source import MilvusSource
from migrator.errors import ConfigError
from migrator.runs import proof_sides
from migrator.service import PlanOptions, Service
from tests.contract.milvus_harness import KEY, MilvusLiteHarness, MilvusServerHarness
from tests.parameters import rest_slow
from tests.unit.batches import batch_of, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator

Store = MilvusLiteHarness | MilvusServerHarness


@pytest.fixture
def service(tmp_path, monkeypatch) -> Iterator[Service]:
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    before = dict(memory.COLLECTIONS)
    with closing(Service()) as opened:
        yield opened
    memory.COLLECTIONS.clear()
    memory.COLLECTIONS.update(before)


@pytest.fixture
def source() -> str:
    table = memory.COLLECTIONS["milvus-source"] = memory.Table(3)
    table.append(numbered(120, namespace="a"))
    table.append(numbered(40, namespace="b", start=200))
    return "memory:milvus-source"


def theirs() -> Any:
    """Records of others: some have the source's ids, one of them in another namespace."""
    rows = [{"id": f"r{n}", "values": [9.0, n, 1.0], "metadata": {"theirs": n}, "namespace": "a"} for n in range(10)]
    rows += [{"id": "r201", "values": [7.0, 7.0, 7.0], "namespace": "elsewhere"}]
    return batch_of(rows + [{"id": f"t{n}", "values": [1.0, n, 2.0], "namespace": "a"} for n in range(20)])


def digest(store: Store, endpoint: str) -> str:
    """Return a digest of everything the collection holds, read by the SDK."""
    rows = [
        [row["namespace"], row["id"], np.asarray(row["values"], np.float32).tobytes().hex(), json.dumps(row["metadata"], sort_keys=True)]
        for row in store.read_back(endpoint)
    ]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def exists(store: Store, endpoint: str) -> bool:
    with store.client() as client:
        return client.has_collection(endpoint.partition(":")[2].partition("?")[0])


def copy(service: Service, source: str, target: str, batch: int = 50, **options: Any) -> str:
    run = service.start(service.plan(source, target, PlanOptions(batch=batch, **options)))
    status = service.wait(run, 120)
    assert status["status"] in ("proven", "differs"), status["error"]
    return run


def roll_back(service: Service, run: str) -> dict[str, Any]:
    service.rollbacks.start(run, service.rollbacks.preview(run)["confirm"])
    status = service.wait(run, 120)
    assert status["rolled_back"] is not None, status["error"]
    return status["rolled_back"]


@pytest.mark.parametrize("mode", rest_slow(["partition_key", "partition", "collection"], 2))
def test_a_collection_the_run_made_is_dropped(store, service, source, mode):
    target = f"{store.new_target()}&namespace_mode={mode}"
    run = copy(service, source, target)
    assert service.rollbacks.preview(run)["action"] == "drop"
    outcome = roll_back(service, run)
    assert (outcome["dropped"], outcome["deleted"], outcome["proof"]["verdict"]) == (True, 160, "as_before")
    with store.client() as client:
        assert not [name for name in client.list_collections() if name.startswith(target.partition(":")[2].partition("?")[0])]


def test_a_collection_of_others_is_as_it_was(store, service, source):
    target = store.seed([theirs()], metric="cosine")
    before = digest(store, target)
    run = copy(service, source, target, on_conflict="upsert", keep_overwritten=True)
    assert digest(store, target) != before
    outcome = roll_back(service, run)
    assert digest(store, target) == before
    assert outcome["proof"]["verdict"] == "as_before"
    assert outcome["restored"] == 11, "ten of the same name, and one whose id was taken from another namespace"


def test_what_others_wrote_into_it_since_stays(store, service, source):
    target = store.new_target()
    run = copy(service, source, target)
    name = target.partition(":")[2].partition("?")[0]
    with store.client() as client:
        client.load_collection(name)
        (row,) = client.query(name, filter="", limit=1, output_fields=["*"])
        key = client.describe_collection(name)["fields"][0]["name"]
        client.insert(name, [row | {key: "stray"}])
        client.flush(name)
    outcome = roll_back(service, run)
    assert not outcome["dropped"]
    assert [row["id"] for row in store.read_back(target)] == ["stray"]


@pytest.mark.slow
def test_an_alias_keeps_it_from_being_dropped(store, service, source):
    target = store.new_target()
    run = copy(service, source, target)
    name = target.partition(":")[2].partition("?")[0]
    with store.client() as client:
        client.create_alias(collection_name=name, alias=f"{name}_live")
    service.rollbacks.start(run, name)
    status = service.wait(run, 120)
    assert status["error"]["code"] == "alias_leads_here"
    assert exists(store, target)
    with store.client() as client:
        client.drop_alias(alias=f"{name}_live")
    assert roll_back(service, run)["dropped"]


def test_repair(store, service, source):
    target = store.seed([numbered(120, namespace="a"), numbered(40, namespace="b", start=200)], metric="cosine")
    before = digest(store, target)
    run = copy(service, source, target)
    name = target.partition(":")[2].partition("?")[0]
    with store.client() as client:
        client.load_collection(name)
        (row,) = client.query(name, filter=f'{KEY} == "r3"', output_fields=["*"])
        client.delete(name, ids=["r5", "r6", "r205"])
        client.upsert(name, [row | {"n": 77}])
        client.insert(name, [row | {KEY: "stray"}])
        client.flush(name)
    service.start_verify(run)
    assert service.wait(run, 120)["status"] == "differs"
    service.repairs.start(run, delete_extra=True)
    status = service.wait(run, 120)
    assert status["status"] == "proven", (status["error"], service.result(run)["differences"])
    assert digest(store, target) == before


@pytest.mark.slow
def test_an_alias_the_run_moved_goes_back_first(store, service, source):
    target = store.new_target()
    run = copy(service, source, target)
    name = target.partition(":")[2].partition("?")[0]
    assert service.cutover(run, alias=f"{name}_live")["ready"]
    with pytest.raises(ConfigError, match="leads to what this run wrote") as error:
        service.rollbacks.start(run, name)
    assert error.value.fix == f"point it back first: python -m migrator cutover {run} --rollback"
    service.aliases.back(run)
    assert roll_back(service, run)["dropped"]


def test_ids_are_looked_up_once_however_many_namespaces_there_are(lite, service, source, monkeypatch):
    rows = [{"id": f"other{n}", "values": [1.0, n, 1.0], "namespace": f"tenant-{n}"} for n in range(40)]
    target = lite.seed([batch_of(rows)], metric="cosine")
    plan = service.plan(source, target, PlanOptions(batch=50, on_conflict="upsert"))
    asked = []
    monkeypatch.setattr(proof_sides, "_QUICK_LOOKUPS", 0)  # the proof looks what may differ up, too
    locate, fetch = MilvusSource.locate, MilvusSource.fetch
    monkeypatch.setattr(MilvusSource, "locate", lambda self, ids: (asked.append("locate"), locate(self, ids))[1])
    monkeypatch.setattr(MilvusSource, "fetch", lambda self, ids, namespace: (asked.append("fetch"), fetch(self, ids, namespace))[1])
    assert service.wait(service.start(plan), 60)["status"] == "proven"
    assert asked == ["locate"] * service_chunks(service)


def test_a_chunk_of_which_one_page_of_ids_is_there_and_another_is_not(lite, service):
    table = memory.COLLECTIONS["milvus-source"] = memory.Table(3)
    table.append(numbered(6000, namespace="a"))
    target = lite.seed([theirs()], metric="cosine")
    before = digest(lite, target)
    run = copy(service, "memory:milvus-source", target, on_conflict="upsert", keep_overwritten=True, batch=3000)
    assert roll_back(service, run)["restored"] == 11
    assert digest(lite, target) == before


def test_a_later_run_goes_first_however_the_target_is_written(lite, service, source):
    target = lite.new_target()
    first = copy(service, source, target)
    second = copy(service, source, f"{target}&timeout=60", on_conflict="upsert")
    with pytest.raises(ConfigError, match="wrote into the same target after it") as error:
        service.rollbacks.start(first, "")
    assert second in error.value.fix
    assert len(lite.read_back(target)) == 160


def service_chunks(service: Service) -> int:
    """Return how many chunks the newest run has written."""
    return len(service.manager.ledger.rows("SELECT 1 FROM checkpoints WHERE run=? AND copied>0", (service.runs()[0]["run"],)))
