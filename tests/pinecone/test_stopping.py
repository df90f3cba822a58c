"""A store that does not answer keeps nobody: SIGTERM, Ctrl-C, pause and cancel end a run in a few seconds, and it can be resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from migrator.errors import RunBusyError
from migrator.local_pinecone.engine.index import Index
from migrator.model import Follow
from migrator.service import PlanOptions
from tests.parameters import rest_slow
from tests.pinecone.conftest import rows
from tests.runs.test_steering import until

ROOT = Path(__file__).parents[2]
PROMPT = 6.0
"""Seconds, on a busy machine; a request may take 60."""


@pytest.fixture
def hang(monkeypatch):
    """Return a function that makes the local service's handlers of one operation wait; its answer tells when one does. They go on after the test."""
    over = threading.Event()
    switch = {}

    def begin(operation: str, after: int = 0) -> threading.Event:
        real, met, calls = getattr(Index, operation), threading.Event(), []

        def waiting(self, *given, **more):
            calls.append(1)
            if len(calls) > after and not over.is_set() and switch.get(operation, True):
                met.set()
                over.wait(90)
            return real(self, *given, **more)

        monkeypatch.setattr(Index, operation, waiting)
        return met

    begin.over = over
    yield begin
    over.set()


def command(service, *words: str) -> subprocess.Popen:
    environment = os.environ | {"MIGRATOR_HOME": str(service.home), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "migrator", *words, "--json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=service.home
    )


@pytest.mark.parametrize(
    ("transport", "operation", "after", "number"),
    rest_slow(
        [
            ("grpc", "upsert", 1, signal.SIGTERM),
            ("rest", "fetch", 3, signal.SIGTERM),
            ("grpc", "stats", 0, signal.SIGINT),
            ("grpc", "fetch", 3, signal.SIGINT),
            ("grpc", "list", 2, signal.SIGTERM),
            ("grpc", "stats", 2, signal.SIGINT),
            ("rest", "upsert", 1, signal.SIGTERM),
            ("rest", "list", 2, signal.SIGTERM),
            ("rest", "stats", 0, signal.SIGTERM),
            ("rest", "stats", 2, signal.SIGINT),
        ]
    ),
)
def test_a_signal_ends_a_copy_whose_store_hangs(account, service, hang, transport, operation, after, number):
    account.create("a")
    account.fill("a", rows(3_000))
    options = f"?transport={transport}"
    plan = service.plan(f"pinecone:a{options}", f"pinecone:b{options}", PlanOptions(batch=500))
    run = service.manager.create(plan, kind="copy", owner="")
    met = hang(operation, after)
    process = command(service, "resume", run)
    assert met.wait(30)
    begun = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    took = time.monotonic() - begun
    hang.over.set()
    assert process.returncode == 130, err
    assert took < PROMPT
    answer = json.loads(out)
    assert (answer["status"], answer["verdict"]) == ("interrupted", "incomplete")
    assert b"Traceback" not in err
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven"
    assert account.read("b") == account.read("a")


@pytest.mark.parametrize("operation", ["fetch", "list"])
def test_a_signal_ends_the_planning_whose_store_hangs(account, service, hang, operation):
    account.create("a")
    account.fill("a", rows(3_000))
    met = hang(operation, after=2)
    process = command(service, "copy", "pinecone:a", "pinecone:b")
    assert met.wait(30)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert time.monotonic() - begun < PROMPT
    assert (process.returncode, service.runs()) == (130, [])


@pytest.mark.slow
@pytest.mark.parametrize("operation", rest_slow(["list", "fetch", "upsert"]))
def test_a_signal_ends_following_when_the_store_hangs(account, service, hang, operation):
    account.create("a")
    account.fill("a", rows(50))
    process = command(service, "copy", "pinecone:a?transport=rest", "pinecone:b?transport=rest", "--follow", "--deletes", "--interval", "0.1")
    until(lambda: service.runs() and service.runs()[0]["phase"] == "following", 30)
    run = service.runs()[0]["run"]
    met = hang(operation)
    threading.Thread(target=lambda: account.fill("a", rows(10, start=100)), daemon=True).start()  # in hanging upserts this one hangs as well
    assert met.wait(30)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - begun < PROMPT
    assert (process.returncode, json.loads(out)["status"]) == (130, "interrupted"), err
    hang.over.set()
    until(lambda: len(account.read("a")) == 60)
    service.resume(run)
    service.finish_following(run)
    assert service.wait(run, 60)["status"] == "proven"
    assert account.read("b") == account.read("a")


@pytest.mark.parametrize(
    ("transport", "asked", "status"),
    rest_slow([("rest", "cancel", "cancelled"), ("grpc", "pause", "paused"), ("grpc", "cancel", "cancelled"), ("rest", "pause", "paused")]),
)
def test_pause_and_cancel_do_not_wait_for_a_store_that_hangs(account, service, hang, transport, asked, status):
    account.create("a")
    account.fill("a", rows(3_000))
    met = hang("upsert", after=1)
    run = service.start(service.plan(f"pinecone:a?transport={transport}", f"pinecone:b?transport={transport}", PlanOptions(batch=500)))
    assert met.wait(30)
    begun = time.monotonic()
    getattr(service, asked)(run)
    assert service.wait(run, 60)["status"] == status
    assert time.monotonic() - begun < PROMPT
    if service.manager.hanging:
        with pytest.raises(RunBusyError, match="without an answer"):
            service.resume(run)
    hang.over.set()
    until(lambda: not service.manager.hanging, 60)
    assert service.status(run)["status"] == status, "what came late changed nothing"
    assert service.status(run)["error"] is None
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven"
    assert account.read("b") == account.read("a")


def test_over_grpc_nothing_is_left_hanging(account, service, hang):
    account.create("a")
    account.fill("a", rows(3_000))
    met = hang("upsert", after=1)
    run = service.start(service.plan("pinecone:a", "pinecone:b", PlanOptions(batch=500)))
    assert met.wait(30)
    service.pause(run)
    assert service.wait(run, 60)["status"] == "paused"
    assert not service.manager.hanging


@pytest.mark.slow
def test_the_service_closes_although_a_store_hangs(account, service, hang):
    account.create("a")
    account.fill("a", rows(50))
    run = service.start(service.plan("pinecone:a?transport=rest", "pinecone:b?transport=rest", PlanOptions(follow=Follow(interval=0.05))))
    until(lambda: service.status(run)["phase"] == "following", 30)
    assert hang("list").wait(30)
    begun = time.monotonic()
    service.close()
    assert time.monotonic() - begun < PROMPT


@pytest.mark.slow
def test_requests_left_to_send_are_not_sent_after_the_run_was_left(account, service, hang, monkeypatch):
    account.create("a")
    account.fill("a", rows(2_000))
    monkeypatch.setattr("migrator.connectors.pinecone.target.packed", lambda items: [items[at : at + 50] for at in range(0, len(items), 50)])
    met = hang("upsert")
    run = service.start(service.plan("pinecone:a?transport=rest", "pinecone:b?transport=rest&concurrency=1", PlanOptions(workers=1)))
    assert met.wait(30)
    service.pause(run)
    assert service.wait(run, 60)["status"] == "paused"
    hang.over.set()
    until(lambda: not service.manager.hanging, 30)
    assert account.namespaces("b").get("", 0) <= 50
