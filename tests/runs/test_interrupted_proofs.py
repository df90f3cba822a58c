"""A proof that is stopped goes on where it was when it is resumed, and begins anew when it is asked for anew."""

from __future__ import annotations

import dataclasses

import pytest

from migrator.connectors import memory
from migrator.errors import ConfigError
from migrator.verify import reading
from tests.runs.conftest import Ended
from tests.unit.batches import numbered

ROWS = 40_000


@pytest.fixture
def stopping(monkeypatch):
    """Make the next reading of ``memory:NAME`` stop the run after so many chunks; return the rows read of it so far."""
    read = memory.MemoryStore.read
    seen: dict[str, int] = {}

    def make(service, name, chunks):
        left = [chunks]

        def stopped(self, split, cursor, records):
            for chunk in read(self, split, cursor, records):
                if self._name == name:
                    seen[name] = seen.get(name, 0) + len(chunk.batch)
                    left[0] -= 1
                    if left[0] == 0:
                        (row,) = [row for row in service.runs() if row["status"] == "running"]
                        service.pause(row["run"])
                yield chunk

        monkeypatch.setattr(memory.MemoryStore, "read", stopped)
        return seen

    return make


@pytest.fixture
def versioned(monkeypatch):
    """Let the collections tell, as files do, that they are still what they were."""
    describe = memory.MemoryStore.describe
    monkeypatch.setattr(memory.MemoryStore, "describe", lambda self: dataclasses.replace(describe(self), version="1"))


@pytest.fixture
def copied(seed, copy):
    seed("source", numbered(ROWS))
    ended = copy(batch=20_000)
    assert str(ended) == "proven"
    return ended.run


def test_a_proof_that_was_stopped_goes_on(service, versioned, copied, stopping):
    seen = stopping(service, "target", 2)
    service.start_verify(copied)
    ended = Ended(service, copied)
    assert (str(ended), ended.status["error"]["code"]) == ("proven", "interrupted")
    assert "resume" in ended.status["error"]["fix"]
    service.resume(copied)
    ended = Ended(service, copied)
    assert (str(ended), ended.status["error"]) == ("proven", None)
    assert "going on with the interrupted proof" in ended.log
    assert seen["target"] <= ROWS + 10_000  # a chunk that was under way is read again
    assert not (service.manager.folder(copied) / "proof").exists()


def test_asked_for_anew_it_begins_anew(service, copied, stopping, collections):
    seen = stopping(service, "target", 2)
    service.start_verify(copied)
    Ended(service, copied)
    table = collections["target"]
    table.rows[0] = dataclasses.replace(table.rows[0], metadata=None)  # in what was read before
    seen.clear()
    service.start_verify(copied)
    assert str(Ended(service, copied)) == "differs"
    assert seen["target"] >= ROWS


def test_of_a_store_without_a_version_what_was_read_before_counts_for_nothing(service, copied, stopping, collections):
    stopping(service, "target", 2)
    service.start_verify(copied)
    Ended(service, copied)
    table = collections["target"]
    for place in (0, 20_000):  # in what was read before, and the count stays
        table.rows[place] = dataclasses.replace(table.rows[place], metadata=None)
    service.resume(copied)
    assert str(Ended(service, copied)) == "differs"


def test_of_a_collection_that_is_another_one_nothing_counts(service, copied, stopping, collections):
    stopping(service, "target", 2)
    service.start_verify(copied)
    Ended(service, copied)
    collections["target"].delete(["r1"], "")
    service.resume(copied)
    ended = Ended(service, copied)
    assert (str(ended), [row["id"] for row in ended.result["differences"]]) == ("differs", ["r1"])


def test_a_pair_goes_on_too_and_a_damaged_state_is_no_harm(service, versioned, seed, stopping):
    seed("source", numbered(ROWS))
    seed("target", numbered(ROWS))
    seen = stopping(service, "source", 1)
    run = service.start_verify_pair("memory:source", "memory:target")
    assert str(Ended(service, run)) == "paused"
    states = service.manager.folder(run) / "proof"
    (states / "target.npz").write_bytes((states / "target.npz").read_bytes()[:5000])
    service.resume(run)
    assert str(Ended(service, run)) == "proven"
    assert seen["source"] <= ROWS + 20_000


def test_the_state_holds_what_cannot_be_read(tmp_path):
    kept = reading.begin(tmp_path / "s.npz", {"version": "1"}, list)
    kept.cursors["a"] = "7"
    kept.done.add("b")
    kept.rows = 12
    kept.save(now=True)
    again = reading.begin(tmp_path / "s.npz", {"version": "1"}, list)
    assert (again.cursors, again.done, again.rows) == ({"a": "7"}, {"b"}, 12)
    assert reading.begin(tmp_path / "s.npz", {"version": "2"}, list).rows == 0


def killed(service, run):
    """Leave the ledger as a process does that is killed while it proves ``run``."""
    with service.manager.ledger.transaction() as db:
        db.execute("UPDATE runs SET status='running', phase='verifying' WHERE run=?", (run,))
    assert service.status(run)["status"] == "interrupted"


def test_a_proof_that_was_killed_can_be_asked_for_anew(service, copied, stopping, collections):
    stopping(service, "target", 2)
    service.start_verify(copied)
    Ended(service, copied)
    for _ in range(2):
        killed(service, copied)
        collections["target"].rows[0] = dataclasses.replace(collections["target"].rows[0], metadata=None)  # in what was read before
        service.start_verify(copied)
        assert str(Ended(service, copied)) == "differs"


def test_a_copy_that_was_killed_while_it_was_proven_is_resumed_first(service, copied):
    killed(service, copied)
    with pytest.raises(ConfigError, match="not finished"):
        service.start_verify(copied)
