"""Following a source that others write to, stamping it, and cutting over from pods to serverless."""

from __future__ import annotations

import threading

import pytest

from migrator.connectors import pinecone
from migrator.errors import MigratorError
from migrator.model import Follow
from migrator.service import PlanOptions
from tests.pinecone.conftest import rows
from tests.runs.test_steering import until


def test_writers_and_deleters_are_followed_until_both_sides_are_equal(account, service):
    account.create("a")
    account.create("b")
    account.fill("a", rows(300), "n")
    plan = service.plan("pinecone:a", "pinecone:b", PlanOptions(follow=Follow(interval=0.05, deletes=True)))
    run = service.start(plan)
    passed = threading.Event()

    def work():
        for n in range(15):
            account.fill("a", rows(4, start=1_000 + 4 * n), "n")
            account.fill("a", rows(2, start=10 + n, metadata={"changed": n}), "n")
            with account.client.index(name="a") as index:
                index.delete(ids=[f"r{100 + n}", f"r{200 + n}"], namespace="n")
        passed.set()

    writer = threading.Thread(target=work)
    writer.start()
    writer.join()
    assert passed.is_set()
    answer = service.cutover(run, scale={"node_type": "b1", "replicas": "2"})
    assert (answer["ready"], answer["verdict"], answer["follow"]["lag_records"]) == (True, "proven", 0)
    assert account.read("b", "n") == account.read("a", "n")
    assert len(account.read("b", "n")) == 300 + 60 - 30
    assert answer["new"]["environment"]["PINECONE_INDEX_HOST"] == account.client.indexes.describe("b").host
    assert account.client.indexes.describe("b").read_capacity.dedicated.manual.replicas == 2
    assert account.client.indexes.exists("a")


def test_from_pods_and_the_old_index_goes_only_when_its_name_is_typed(account, service):
    account.create("a", pod=True)
    account.fill("a", rows(80))
    run = service.start(service.plan("pinecone:a", "pinecone:b"))
    assert service.wait(run, 60)["status"] == "proven"
    with pytest.raises(MigratorError, match="name"):
        service.cutover(run, delete_source=True, confirm="b")
    assert account.client.indexes.exists("a")
    assert service.cutover(run, delete_source=True, confirm="a")["deleted"]
    assert not account.client.indexes.exists("a")
    assert account.namespaces("b") == {"": 80}


def test_stamps_mark_the_source_and_reach_no_target(account, service, copy):
    account.create("a", metric="dotproduct")
    records = rows(60, sparse_values={"indices": [1], "values": [0.5]})
    account.fill("a", records)
    before = account.read("a")
    result = copy(stamp=True)
    assert (result["verdict"], result["counts"]["copied"]) == ("proven", 60)
    assert account.read("b") == before
    stamped = account.read("a")
    assert all(stamped[name][:2] == before[name][:2] and stamped[name][2]["migrated"] is True for name in before)
    service.start_verify(result["run"])
    assert service.wait(result["run"], 60)["status"] == "proven"
    assert service.reset("pinecone:a")["reset"] == 60
    assert account.read("a") == before
    assert service.reset("pinecone:a")["reset"] == 0


def test_an_index_is_not_deleted_when_its_copy_is_of_a_part_or_at_an_address_of_its_own_or_in_itself(account, service):
    account.create("a")
    account.fill("a", rows(5), "en")
    account.fill("a", rows(7), "de")
    host = account.client.indexes.describe("a").host
    for source, target in (("pinecone:a?namespace=en", "pinecone:b"), (f"pinecone:a?host={host}", "pinecone:c"), ("pinecone:a", "pinecone:a?concurrency=2")):
        run = proven(service, source, target)
        with pytest.raises(MigratorError) as refused:
            service.cutover(run, delete_source=True, confirm="a")
        assert refused.value.code == "delete_refused"
        assert account.namespaces("a") == {"en": 5, "de": 7}


def test_a_target_deleted_while_the_source_is_followed_ends_the_run_and_is_not_made_anew(account, service):
    account.create("a")
    account.fill("a", rows(30))
    run = service.start(service.plan("pinecone:a", "pinecone:b", PlanOptions(follow=Follow(interval=0.05, deletes=True))))
    until(lambda: service.status(run)["phase"] == "following")
    account.client.indexes.delete("b")
    ended = service.wait(run, 60)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "target_gone")
    assert not account.client.indexes.exists("b")
    account.create("b")
    service.resume(run)
    ended = service.wait(run, 60)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "target_gone")
    assert not service.cutover(run, delete_source=True, confirm="a")["ready"]
    assert account.client.indexes.exists("a")


@pytest.mark.slow
def test_what_was_written_just_before_the_source_is_deleted_arrives(account, service, monkeypatch):
    account.create("a")
    account.fill("a", rows(30))
    run = service.start(service.plan("pinecone:a", "pinecone:b", PlanOptions(follow=Follow(interval=0.05, deletes=True))))
    until(lambda: service.status(run)["phase"] == "following")
    account.settings.freshness_lag = 1.0
    monkeypatch.setattr(pinecone, "SETTLING_SECONDS", 2.0)
    with account.client.index(name="a") as index:
        index.upsert(vectors=[{"id": "late", "values": [1.0, 2.0, 3.0]}])
        index.delete(ids=["r5"])
    answer = service.cutover(run, delete_source=True, confirm="a")
    assert (answer["ready"], answer["deleted"]) == (True, "a")
    account.settings.freshness_lag = 0.0
    assert set(account.read("b")) == {f"r{n}" for n in range(30)} - {"r5"} | {"late"}


def proven(service, source="pinecone:a", target="pinecone:b", **options) -> str:
    run = service.start(service.plan(source, target, PlanOptions(**options)))
    assert service.wait(run, 60)["status"] == "proven"
    return run


def test_a_protected_source_is_found_before_the_target_is_scaled(account, service):
    account.create("a")
    account.fill("a", rows(20))
    run = proven(service)
    account.client.indexes.configure("a", deletion_protection="enabled")
    with pytest.raises(MigratorError) as refused:
        service.cutover(run, scale={"node_type": "b1"}, delete_source=True, confirm="a")
    assert refused.value.code == "deletion_protected"
    assert "protection" in refused.value.fix
    assert not hasattr(account.client.indexes.describe("b").read_capacity, "dedicated")
    assert service.status(run)["attempt"] == 1, "nor was anything proven anew"


def test_a_source_protected_while_the_run_is_proven_again_is_found_before_the_target_is_scaled(account, service, monkeypatch):
    account.create("a")
    account.fill("a", rows(20))
    run = proven(service)
    real = service.manager.start

    def start(name, **options):
        account.client.indexes.configure("a", deletion_protection="enabled")
        real(name, **options)

    monkeypatch.setattr(service.manager, "start", start)
    with pytest.raises(MigratorError) as refused:
        service.cutover(run, scale={"node_type": "b1"}, delete_source=True, confirm="a")
    assert refused.value.code == "deletion_protected"
    assert not hasattr(account.client.indexes.describe("b").read_capacity, "dedicated")
    assert account.client.indexes.exists("a")


@pytest.mark.parametrize(
    ("scale", "word"),
    [
        ({"pod_type": "p1.x2"}, "pod_type"),
        ({"mode": "Fast"}, "mode=Fast"),
        ({"mode": "OnDemand", "node_type": "b1"}, "node_type"),
        ({"mode": "Dedicated", "replicas": "many"}, "replicas=many"),
    ],
)
def test_a_scale_that_does_not_fit_the_target_is_refused_before_anything_is_proven_anew(account, service, scale, word):
    account.create("a")
    account.fill("a", rows(20))
    run = proven(service)
    with pytest.raises(MigratorError, match=word):
        service.cutover(run, scale=scale, delete_source=True, confirm="a")
    assert service.status(run)["attempt"] == 1
    assert account.client.indexes.exists("a")


@pytest.mark.parametrize("pod_type", ["s1.x1", "p1.x3", "big"])
def test_a_pod_index_becomes_no_pod_of_another_family_or_size_that_does_not_exist(account, service, pod_type):
    account.create("a")
    account.create("b", pod=True)
    account.fill("a", rows(20))
    run = proven(service)
    with pytest.raises(MigratorError, match=pod_type):
        service.cutover(run, scale={"pod_type": pod_type})
    assert service.status(run)["attempt"] == 1
    assert service.cutover(run, scale={"pod_type": "p1.x2", "replicas": "2"})["scaled"]
