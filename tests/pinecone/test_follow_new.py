"""--changes new: a pass lists the ids of the source and fetches only those the target does not hold."""

from __future__ import annotations

import pytest

from migrator.connectors.pinecone import unread
from migrator.connectors.pinecone.source import SAMPLED_RECORDS
from migrator.local_pinecone.engine.index import Index
from migrator.model import Follow
from migrator.service import PlanOptions
from tests.parameters import rest_slow
from tests.pinecone.conftest import rows
from tests.runs.test_steering import until

NEW = Follow(interval=0.02, deletes=True, changes="new")


@pytest.fixture
def fetched(monkeypatch):
    """Return the (index, namespace, id) of everything the local service was asked to fetch, in the order it was."""
    asked = []
    fetch = Index.fetch

    def fetching(self, namespace, ids):
        asked.extend((self.definition.name, namespace, name) for name in ids if name != "-")
        return fetch(self, namespace, ids)

    monkeypatch.setattr(Index, "fetch", fetching)
    return asked


class Followed:
    def __init__(self, service, **options) -> None:
        self.service = service
        plan = service.plan("pinecone:a", "pinecone:b", PlanOptions(**{"follow": NEW, **options}))
        self.run = service.start(plan)
        until(lambda: self.status["phase"] == "following" or self.status["status"] != "running", 30)
        self.next_pass()

    @property
    def status(self):
        return self.service.status(self.run)

    def next_pass(self) -> None:
        seen = self.status["follow"]["passes"]
        until(lambda: self.status["follow"]["passes"] >= seen + 2 or self.status["status"] != "running", 30)
        assert self.status["status"] == "running", self.status["error"]

    def finish(self):
        self.service.finish_following(self.run)
        return self.service.wait(self.run, 60)


def beyond_the_sample(fetched):
    """Return what was fetched of the source apart from the few records that describing a collection looks at."""
    sample = {("a", "", name) for name in sorted(f"r{n}" for n in range(400))[:SAMPLED_RECORDS]}
    return [one for one in fetched if one[0] == "a" and one not in sample]


@pytest.mark.parametrize("options", rest_slow([{"target_namespace": "moved"}, {}, {"id_encoding": "percent"}]))
def test_a_pass_fetches_only_what_is_new(account, service, fetched, options):
    account.create("a")
    account.fill("a", rows(400))
    run = Followed(service, **options)
    fetched.clear()
    run.next_pass()
    assert beyond_the_sample(fetched) == []
    account.fill("a", [{"id": "s-new", "values": [1.0, 2.0, 3.0]}])
    account.fill("a", [{"id": "r7", "values": [7.0, 7.0, 7.0]}])
    with account.client.index(name="a") as index:
        index.delete(ids=["r300"])
    run.next_pass()
    assert set(beyond_the_sample(fetched)) == {("a", "", "s-new"), ("a", "", "r300")}, "the one that is gone is looked for once more"
    assert beyond_the_sample(fetched).count(("a", "", "s-new")) == 1
    ended = run.finish()
    assert (ended["status"], ended["error"]) == ("proven", None)
    there = account.read("b", options.get("target_namespace", ""))
    assert set(there) == set(account.read("a"))
    assert there["r7"] != account.read("a")["r7"], "what changed stays as it was"
    assert ended["counts"] == {"scanned": 400, "copied": 400, "rejected": 0, "vanished": 0, "duplicate": 0}
    assert (ended["follow"]["new"], ended["follow"]["deleted"]) == (1, 1)


def test_many_new_records_among_known_ones_come_in_chunks_of_the_size_asked_for(account, service, fetched, monkeypatch):
    monkeypatch.setattr(unread, "LISTED", 150)
    account.create("a")
    account.fill("a", rows(400))
    run = Followed(service, batch=20)
    account.fill("a", rows(300, start=400))
    run.next_pass()
    ended = run.finish()
    assert (ended["status"], ended["counts"]["copied"]) == ("proven", 700)
    assert account.read("b") == account.read("a")


def test_where_metadata_decides_the_records_are_read(account, service, fetched):
    account.create("a")
    account.fill("a", [{**row, "metadata": {"even": row["metadata"]["n"] % 2 == 0}} for row in rows(60)])
    run = Followed(service, filter={"even": True}, follow=Follow(interval=0.02, changes="new"))
    fetched.clear()
    run.next_pass()
    assert {("a", "", f"r{n}") for n in range(60)} <= set(fetched)
    ended = run.finish()
    assert (ended["status"], ended["counts"]["copied"]) == ("proven", 30)


def test_ids_a_user_gave_are_read_because_they_need_not_exist(account, service, tmp_path):
    (tmp_path / "ids.txt").write_text("".join(f"r{n}\n" for n in range(30)))
    account.create("a", pod=True)
    account.fill("a", rows(20))
    plan = service.plan(f"pinecone:a?ids={tmp_path}/ids.txt", "pinecone:b", PlanOptions(follow=NEW))
    run = service.start(plan)
    until(lambda: service.status(run)["phase"] == "following", 30)
    with account.client.index(name="a") as index:
        index.delete(ids=["r3"])
    until(lambda: service.status(run)["follow"]["deleted"] == 1 or service.status(run)["status"] != "running", 30)
    service.finish_following(run)
    assert service.wait(run, 60)["status"] == "proven"
    assert set(account.read("b")) == {f"r{n}" for n in range(20)} - {"r3"}
