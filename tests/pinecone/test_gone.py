"""An index or a namespace deleted in the middle: one clear error or honest counts, and never "proven" over what is missing."""

from __future__ import annotations

import time

import pytest

from migrator.connectors.pinecone import freshness
from migrator.connectors.pinecone.grpc_plane import GrpcPlane
from migrator.connectors.pinecone.rest_plane import RestPlane
from migrator.connectors.pinecone.wire import Marks
from migrator.errors import PermanentError
from migrator.local_pinecone.engine.index import Index
from migrator.model import Follow
from migrator.runs import steps
from migrator.service import PlanOptions
from tests.pinecone.conftest import rows


@pytest.fixture
def when(monkeypatch):
    """Return a function that does something just before an index carries out its n-th request of one kind."""

    def arrange(operation: str, index: str, number: int, action) -> None:
        real, calls = getattr(Index, operation), []

        def watching(self, *given, **more):
            if self.definition.name == index:
                calls.append(1)
                if len(calls) == number:
                    action()
            return real(self, *given, **more)

        monkeypatch.setattr(Index, operation, watching)

    return arrange


@pytest.fixture
def begin(account, service):
    """Return a function that starts a planned copy of two namespaces; what it is given happens once the plan is made."""

    def start(*harm) -> tuple[str, dict]:
        account.create("a")
        for space in ("", "x"):
            account.fill("a", rows(1_000), space)
        plan = service.plan("pinecone:a", "pinecone:b", PlanOptions(batch=100, workers=1))
        for one in harm:
            one()
        run = service.start(plan)
        return run, service.wait(run, 60)

    return start


def test_a_source_deleted_while_it_is_read(account, begin, when):
    _, ended = begin(lambda: when("fetch", "a", 6, lambda: account.client.indexes.delete("a")))
    assert (ended["status"], ended["error"]["code"], ended["error"]["exit_code"]) == ("failed", "not_found", "3")
    assert "Index a" in ended["error"]["message"]


def test_a_target_deleted_while_it_is_written_is_not_made_anew_by_resuming(account, service, begin, when):
    run, ended = begin(lambda: when("upsert", "b", 4, lambda: account.client.indexes.delete("b")))
    assert (ended["status"], ended["error"]["code"], ended["error"]["exit_code"]) == ("failed", "not_found", "3")
    assert ended["counts"]["copied"] > 0
    service.resume(run)
    ended = service.wait(run, 60)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "target_gone")
    assert not account.client.indexes.exists("b")


def test_a_target_deleted_between_the_copy_and_its_proof(account, service, begin, when):
    _, ended = begin(lambda: when("list", "b", 1, lambda: account.client.indexes.delete("b")))
    assert (ended["status"], ended["error"]["code"], ended["error"]["exit_code"]) == ("failed", "not_found", "3")
    assert ended["counts"]["copied"] == 2_000


def test_records_of_a_namespace_deleted_after_they_were_listed_have_vanished(account, service, begin, when):
    def delete() -> None:
        with account.client.index(name="a", grpc=False) as index:
            index.delete(delete_all=True, namespace="x")
            index.delete(delete_all=True, namespace="")

    _, ended = begin(lambda: when("fetch", "a", 6, delete))
    counts = ended["counts"]
    assert counts["vanished"] > 0
    assert counts["scanned"] == counts["copied"] + counts["vanished"]
    assert (ended["status"], ended["error"]) == ("differs", None)  # the source is empty now, the target is not


def made_anew(account, name="b"):
    account.client.indexes.delete(name)
    account.create(name)


@pytest.mark.parametrize(("transport", "plane"), [("grpc", GrpcPlane), ("rest", RestPlane)])
def test_a_target_made_anew_while_it_is_written_is_noticed_by_its_log(account, service, monkeypatch, transport, plane):
    real, sent = plane.upsert, []

    def upsert(self, namespace, items):
        sent.append(1)
        if len(sent) == 6:
            made_anew(account)
        return real(self, namespace, items)

    account.create("a")
    account.fill("a", rows(1_000))
    plan = service.plan("pinecone:a", f"pinecone:b?transport={transport}&concurrency=1", PlanOptions(batch=100, workers=1))
    monkeypatch.setattr(plane, "upsert", upsert)
    ended = service.wait(service.start(plan), 60)
    assert (ended["status"], ended["error"]["code"], ended["error"]["exit_code"]) == ("failed", "target_gone", "3")
    assert "made anew" in ended["error"]["message"]


@pytest.mark.parametrize("used", [False, True])
def test_a_target_made_anew_after_the_last_write_is_noticed_soon(account, service, monkeypatch, used):
    monkeypatch.setattr(freshness, "_PROBE", 0.05)
    monkeypatch.setattr(freshness, "_ABSENT", 0.2)
    account.create("a")
    account.fill("a", rows(1_000))
    real = steps.finish

    def finish(*given):
        made_anew(account)
        if used:  # by somebody else
            account.fill("b", rows(1, start=5_000))
        real(*given)

    monkeypatch.setattr(steps, "finish", finish)
    ended = service.wait(service.start(service.plan("pinecone:a", "pinecone:b", PlanOptions(batch=100))), 30)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "target_gone")


def test_a_target_made_anew_between_two_passes_is_noticed_by_the_next(account, service, monkeypatch):
    monkeypatch.setattr(freshness, "_BEHIND", 0.5)
    account.create("a")
    account.fill("a", rows(300))
    run = service.start(service.plan("pinecone:a", "pinecone:b", PlanOptions(follow=Follow(interval=0.2))))
    while (service.status(run).get("follow") or {"passes": 0})["passes"] < 2:
        time.sleep(0.05)
    made_anew(account)
    ended = service.wait(run, 30)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "target_gone")


def test_a_replica_that_is_behind_is_waited_for(account, service, monkeypatch):
    monkeypatch.setattr(freshness, "_PAUSES", (0.01, 0.05))
    account.create("a")
    account.fill("a", rows(300))
    real, behind = GrpcPlane.indexed, []

    def indexed(self, namespace):
        position = real(self, namespace)
        if behind and position:
            behind.pop()
            return position - 1
        return position

    monkeypatch.setattr(GrpcPlane, "indexed", indexed)
    run = service.start(service.plan("pinecone:a", "pinecone:b", PlanOptions(follow=Follow(interval=0.2))))
    while (service.status(run).get("follow") or {"passes": 0})["passes"] < 2:
        time.sleep(0.05)
    behind += [1, 1, 1]
    while behind:
        time.sleep(0.05)
    service.finish_following(run)
    assert service.wait(run, 30)["status"] == "proven"


def test_a_namespace_that_was_emptied_may_begin_a_new_log():
    marks = Marks()
    at_once = [marks.writing("x"), marks.writing("x")]
    for position, wrote in zip((14, 13), at_once, strict=True):  # answered in another order than they were written
        wrote({"x-pinecone-request-lsn": str(position)})
    marks.writing("x", deletes=True)({"x-pinecone-request-lsn": "15"})
    marks.writing("x")({"x-pinecone-request-lsn": "1"})
    with pytest.raises(PermanentError, match="'x' was deleted, or its index made anew"):
        marks.writing("x")({"x-pinecone-request-lsn": "0"})
