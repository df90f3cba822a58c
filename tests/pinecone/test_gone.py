"""An index or a namespace deleted in the middle: one clear error or honest counts, and never "proven" over what is missing."""

from __future__ import annotations

import pytest

from migrator.local_pinecone.engine.index import Index
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
