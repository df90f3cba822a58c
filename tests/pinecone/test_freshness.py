"""Waiting until reads see the writes: of every namespace the run wrote to, whichever process did, however many there are."""

from __future__ import annotations

import pytest

from migrator.errors import TransientError
from migrator.local_pinecone.engine.errors import unavailable
from migrator.local_pinecone.engine.index import Index
from migrator.runs import steps
from migrator.service import PlanOptions
from tests.pinecone.conftest import rows

MANY = 150


@pytest.fixture
def asked(monkeypatch):
    """Return which namespaces of the target were marked with a write of no effect, and whose freshness was asked for."""
    seen = {"marked": set(), "awaited": set()}
    delete, fetch = Index.delete, Index.fetch

    def deleting(self, namespace, **given):
        seen["marked"].add(namespace)
        return delete(self, namespace, **given)

    def fetching(self, namespace, ids):
        if list(ids) == ["-"]:
            seen["awaited"].add(namespace)
        return fetch(self, namespace, ids)

    monkeypatch.setattr(Index, "delete", deleting)
    monkeypatch.setattr(Index, "fetch", fetching)
    return seen


def interrupted_before_it_is_finished(service, monkeypatch, **options) -> str:
    """Return a run that wrote everything and was stopped before it waited for anything."""
    real = steps.finish

    def finish(*_arguments):
        monkeypatch.setattr(steps, "finish", real)
        raise TransientError("the network went away", fix="resume")

    monkeypatch.setattr(steps, "finish", finish)
    run = service.start(service.plan("pinecone:a", "pinecone:b", PlanOptions(**options)))
    assert service.wait(run, 60)["status"] == "failed"
    return run


@pytest.mark.slow
def test_a_resumed_run_waits_for_every_namespace_written_before(account, service, monkeypatch, asked):
    account.create("a")
    spaces = {f"n{number:03}" for number in range(MANY)}
    for space in spaces:
        account.fill("a", rows(1), space)
    run = interrupted_before_it_is_finished(service, monkeypatch)
    assert not asked["marked"]
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven"
    assert asked["marked"] == spaces
    assert asked["awaited"] == spaces


def test_a_run_that_was_not_stopped_marks_nothing(account, copy, asked):
    account.create("a")
    for space in ("x", "y"):
        account.fill("a", rows(3), space)
    assert copy()["verdict"] == "proven"
    assert (asked["marked"], asked["awaited"]) == (set(), {"x", "y"})


def test_of_an_index_that_others_use_only_the_run_s_own_namespaces_are_marked(account, service, monkeypatch, asked):
    for name in ("a", "b"):
        account.create(name)
        account.fill(name, rows(3), f"of-{name}")
    run = interrupted_before_it_is_finished(service, monkeypatch, on_conflict="upsert")
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven"
    assert asked["marked"] == {"of-a"}


def test_a_resumed_run_that_still_writes_waits_for_what_was_written_before_it_too(account, service, monkeypatch, asked):
    account.create("a")
    for number in range(4):
        account.fill("a", rows(1), f"n{number}")
    real, written, out_of_reach = Index.upsert, [], [True]

    def upsert(self, namespace, *rest):
        if out_of_reach and len(written) == 2:
            raise unavailable()
        written.append(namespace)
        return real(self, namespace, *rest)

    monkeypatch.setattr(Index, "upsert", upsert)
    run = service.start(service.plan("pinecone:a", "pinecone:b", PlanOptions(workers=1)))
    assert service.wait(run, 60)["status"] == "failed"
    before = set(written)
    out_of_reach.clear()
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven"
    assert set(written[2:]), "the resumed run wrote as well"
    assert asked["awaited"] == {f"n{number}" for number in range(4)}
    assert asked["marked"] == before - set(written[2:])
