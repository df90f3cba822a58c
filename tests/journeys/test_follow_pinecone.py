"""Index to index while a writer and a deleter are at work: followed, stamped, cut over, and equal in the end."""

from __future__ import annotations

import random
import threading

import pytest

from migrator.model import Follow
from migrator.service import PlanOptions
from tests.parameters import rest_slow
from tests.pinecone.conftest import account, rows, service
from tests.runs.test_steering import until

__all__ = ["account", "service"]
NAMESPACES = ("", "other")


class Traffic:
    """Applications that go on using the source: upserts of new and known ids, deletions, updates of metadata; until told to stop."""

    def __init__(self, account, index: str) -> None:
        self.account, self.index, self.rounds = account, index, 0
        self.quiet = threading.Event()
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        dice = random.Random(5)
        with self.account.client.index(name=self.index) as index:
            while not self.quiet.wait(0.02):
                namespace = dice.choice(NAMESPACES)
                index.upsert(vectors=rows(3, start=dice.randrange(600)), namespace=namespace, show_progress=False)
                index.delete(ids=[f"r{dice.randrange(600)}" for _ in range(3)], namespace=namespace)
                index.update(id=f"r{dice.randrange(300)}", set_metadata={"seen": self.rounds}, namespace=namespace)
                self.rounds += 1

    def stop(self) -> None:
        self.quiet.set()
        self.thread.join()


@pytest.mark.parametrize("stamp", rest_slow([False, True]))
def test_followed_under_traffic_and_cut_over(account, service, stamp):
    account.create("a")
    for namespace in NAMESPACES:
        account.fill("a", rows(300), namespace)
    traffic = Traffic(account, "a")
    try:
        follow = Follow(interval=0.05, deletes=True)
        run = service.start(service.plan("pinecone:a", "pinecone:b", PlanOptions(follow=follow, stamp=stamp)))
        until(lambda: service.status(run)["follow"]["passes"] >= 3 or service.status(run)["status"] != "running", 60)
        met = service.status(run)
        assert met["status"] == "running", met["error"]
        until(lambda: traffic.rounds >= 30 or not traffic.thread.is_alive(), 60)
    finally:
        traffic.stop()
    source = {namespace: account.read("a", namespace) for namespace in NAMESPACES}
    answer = service.cutover(run, scale={"mode": "Dedicated", "node_type": "b1"}, delete_source=True, confirm="a")
    assert (answer["ready"], answer["reason"], answer["deleted"]) == (True, None, "a")
    assert min(answer["follow"][name] for name in ("new", "changed", "deleted")) > 0
    for namespace, found in source.items():
        assert account.read("b", namespace) == {id_: without_stamp(row) for id_, row in found.items()}
    assert [index.name for index in account.client.indexes.list()] == ["b"]
    assert "PINECONE_INDEX_HOST" in answer["new"]["environment"]
    assert "host" in answer["new"]["snippets"]["Node"]


def without_stamp(row: tuple) -> tuple:
    metadata = {name: value for name, value in (row[2] or {}).items() if name not in ("migrated", "migrated_at")}
    return (*row[:2], metadata or None)


def test_stamps_are_reset_without_touching_a_vector(account, service):
    account.create("a")
    account.fill("a", rows(150), "n")
    before = account.read("a", "n")
    run = service.start(service.plan("pinecone:a", "pinecone:b", PlanOptions(stamp=True)))
    assert service.wait(run, 60)["status"] == "proven"
    assert all(row[2]["migrated"] is True for row in account.read("a", "n").values())
    assert service.reset("pinecone:a") == {"reset": 150, "namespaces": {"n": 150}}
    assert account.read("a", "n") == before
