"""Pod indexes on the local service, with the real limit of 10,000: whole where metadata allows, honest where not, and nothing written."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from migrator.connectors import connector
from migrator.connectors.pinecone import pods
from migrator.connectors.pinecone.target import PineconeTarget
from migrator.endpoints import parse
from migrator.errors import ConfigError
from migrator.model import Collection, Plan
from migrator.records import dump_json, make_batch
from tests.pinecone.conftest import rows

RECORDS = 14_000


def write(name, metadata, *, namespace=""):
    """Write a record for each of ``metadata``, fast."""
    endpoint = parse(f"pinecone:{name}")
    values = np.random.default_rng(11).standard_normal((len(metadata), 4), dtype=np.float32)
    with closing(connector("pinecone").open_target(endpoint)) as target:
        target.prepare(Collection(name, 4, "cosine"), Plan(endpoint, endpoint))
        for start in range(0, len(metadata), 5_000):
            texts = [dump_json(row) if row else None for row in metadata[start : start + 5_000]]
            ids = [f"r{start + n}" for n in range(len(texts))]
            target.write(make_batch(ids, values[start : start + len(texts)], namespace=namespace, metadata=texts), "part")


@pytest.fixture
def pod_index(account, monkeypatch):
    """A pod index whose every write after seeding is a failure of the test."""
    account.create("a", 4, pod=True)

    def seed(metadata):
        write("a", metadata)
        account.fill("a", [{"id": "small", "values": [1, 2, 3, 4]}], "small")
        writing = PineconeTarget.write

        def elsewhere(self, batch, part):
            assert self._settings.index != "a", "the source was written to"
            writing(self, batch, part)

        monkeypatch.setattr(PineconeTarget, "write", elsewhere)

    return seed


def test_metadata_brings_all_of_it(pod_index, account, copy):
    pod_index([{"n": n, "t": f"t{n % 5}"} if n % 4 else {"t": "no number"} for n in range(RECORDS)])
    result = copy(accept_lossy=False)
    assert (result["verdict"], result["counts"]["copied"]) == ("proven", RECORDS + 1)
    assert account.namespaces("b") == {"": RECORDS, "small": 1}


def test_ids_from_the_user_bring_all_of_it(pod_index, account, copy, tmp_path):
    pod_index([None] * RECORDS)
    (tmp_path / "ids.txt").write_text("small\nnever existed\n")
    result = copy(f"pinecone:a?id_prefix=r&id_range=0-{RECORDS + 99}&ids={tmp_path}/ids.txt")
    assert (result["verdict"], result["counts"]["copied"], result["counts"]["vanished"]) == ("proven", RECORDS + 1, 0)


def test_what_cannot_be_found_needs_consent_and_stays_unproven(pod_index, service, copy, monkeypatch):
    pod_index([None] * RECORDS)
    # on vectors at random every query brings others; one vector only stands for clusters that probing never meets
    asked = pods._probe
    monkeypatch.setattr(pods, "_probe", lambda ask, count, found: asked(_OneVector(ask), count, found))
    plan = service.plan("pinecone:a", "pinecone:b")
    found = {finding.code: finding for finding in plan.findings}
    assert found["pod_coverage"].severity == "lossy"
    assert f"10,000 of {RECORDS:,} ids were found: coverage 71.4 %, unproven" in found["pod_coverage"].message
    assert found["official_path"].severity == "info"
    result = copy(accept_lossy=True)
    assert result["verdict"] == "incomplete"
    assert any(finding["code"] == "scan_incomplete" for finding in result["findings"])


class _OneVector:
    """Asks with the same vector every time."""

    def __init__(self, ask):
        self._ask, self._answer = ask, None

    def nearest(self, filter_, top_k):
        if self._answer is None:
            self._answer = self._ask.nearest(filter_, top_k)
        return self._answer


def test_a_pod_index_is_described_as_one(account, service):
    account.create("a", 4, pod=True)
    account.fill("a", [{"id": "x", "values": [1, 2, 3, 4]}])
    found = service.inspect("pinecone:a").to_json()
    assert (found["kind"], found["count"]) == ("pod p1.x1", 1)


def test_pods_can_be_made_where_the_account_may(account, copy):
    account.create("a", 4)
    account.fill("a", [{"id": f"r{n}", "values": [n, 2, 3, 4], "metadata": {"n": n}} for n in range(10)])
    result = copy(target="pinecone:b?environment=us-east1-gcp&pod_type=p2.x1&replicas=2")
    assert result["verdict"] == "proven"
    made = account.client.indexes.describe("b").deployment
    assert (made.pod_type, made.replicas, made.shards) == ("p2.x1", 2, 1)
    account.settings.pods_creatable = False
    refused = copy(target="pinecone:c?environment=us-east1-gcp")
    assert refused["status"] == "failed"
    assert "accounts opened since August 2025" in refused["error"]["message"]


def test_ids_given_for_an_index_that_lists_them_are_refused(account, service):
    account.create("a")
    account.fill("a", rows(20))
    for options in ("?ids=ids.txt", "?id_prefix=r&id_range=0-9"):
        (service.home / "ids.txt").write_text("r1\n")
        with pytest.raises(ConfigError, match="lists its ids itself"):
            service.plan(f"pinecone:a{options.replace('ids.txt', str(service.home / 'ids.txt'))}", "pinecone:b")
