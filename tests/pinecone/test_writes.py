"""What others write to the source while it is copied: noticed, and never proven away."""

from __future__ import annotations

import pytest

from migrator.connectors.pinecone.source import PineconeSource
from migrator.connectors.pinecone.target import PineconeTarget
from migrator.service import PlanOptions
from tests.pinecone.conftest import rows


@pytest.fixture
def meanwhile(monkeypatch):
    """Return a function that has something done once, as soon as the first records of the source were read."""

    def set_up(action):
        real, left = PineconeSource.read, [action]

        def read(self, *arguments):
            for chunk in real(self, *arguments):
                if left:
                    left.pop()()
                yield chunk

        monkeypatch.setattr(PineconeSource, "read", read)

    return set_up


@pytest.fixture
def full(account):
    account.create("a")
    account.fill("a", rows(50))
    account.fill("a", rows(50), "other")
    return account


@pytest.fixture
def started(service, meanwhile):
    """Return a function that copies ``a`` while something is done to it, and returns the result with the status."""

    def run(action, source="pinecone:a", **options):
        plan = service.plan(source, "pinecone:b", PlanOptions(workers=1, **options))
        meanwhile(action)  # the plan reads records too
        run = service.start(plan)
        return {**service.wait(run, 60), **service.result(run)}

    return run


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_a_record_that_is_overwritten_after_it_was_read_is_named(full, started, transport):
    changed = {"id": "r0", "values": [9.0, 9.0, 9.0]}
    result = started(lambda: full.fill("a", [changed]), f"pinecone:a?transport={transport}")
    assert (result["verdict"], result["compared_with"]) == ("differs", "source")
    assert [(found["id"], found["class"]) for found in result["differences"]] == [("r0", "changed")]
    (finding,) = (finding for finding in result["findings"] if finding["code"] == "source_written")
    assert "--follow" in finding["fix"]


def test_what_is_written_and_is_the_same_is_proven_after_a_second_look(full, started):
    result = started(lambda: full.fill("a", rows(1)))
    assert (result["verdict"], result["compared_with"]) == ("proven", "source")
    assert "source_written" in {finding["code"] for finding in result["findings"]}


def test_without_writers_the_source_is_read_once(full, started):
    result = started(lambda: None)
    assert (result["verdict"], result["compared_with"]) == ("proven", "recorded digests")
    assert "source_written" not in {finding["code"] for finding in result["findings"]}


def test_writes_to_namespaces_that_are_not_copied_do_not_matter(full, started):
    result = started(lambda: full.fill("a", rows(1, start=70), "other"), namespaces=("",))
    assert (result["verdict"], result["compared_with"]) == ("proven", "recorded digests")


def test_a_namespace_that_appears_is_noticed(full, started):
    result = started(lambda: full.fill("a", rows(3), "new"))
    assert result["verdict"] != "proven"
    assert result["compared_with"] == "source"


def test_a_run_that_is_resumed_remembers_where_it_began(full, service, meanwhile):
    class BrokenOffError(Exception):
        pass

    def fail():
        full.fill("a", [{"id": "r0", "values": [9.0, 9.0, 9.0]}])
        raise BrokenOffError

    plan = service.plan("pinecone:a", "pinecone:b", PlanOptions(workers=1, batch=10))
    meanwhile(fail)
    run = service.start(plan)
    assert service.wait(run, 60)["status"] == "failed"
    service.resume(run)
    assert service.wait(run, 60)["status"] in {"proven", "differs"}
    assert service.result(run)["compared_with"] == "source"


@pytest.mark.parametrize(("pod", "stamp"), [(False, False), (True, False), (False, True)])
def test_a_source_made_anew_while_a_run_was_interrupted_is_never_proven(account, service, pod, stamp):
    """Its log may have come to the same position, if it tells any."""

    class BrokenOffError(Exception):
        pass

    def fail():
        raise BrokenOffError

    def made(second):
        account.create("a", pod=pod)
        for start in range(0, 50, 10):
            account.fill("a", [{**row, "values": [second, *row["values"][1:]]} for row in rows(10, start=start)])

    made(1.0)
    plan = service.plan("pinecone:a", "pinecone:b?concurrency=1", PlanOptions(workers=1, batch=10, stamp=stamp))
    real, left = PineconeTarget.write, [None, None, fail]  # of two written at once, the first is checkpointed when a third begins

    def write(self, *given):
        if left and (action := left.pop(0)) is not None:
            action()
        return real(self, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PineconeTarget, "write", write)
        run = service.start(plan)
        assert service.wait(run, 60)["counts"]["copied"] > 0
    account.client.indexes.delete("a")
    made(2.0)
    service.resume(run)
    assert service.wait(run, 60)["status"] == "differs"
