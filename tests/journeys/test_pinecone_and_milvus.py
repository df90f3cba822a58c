"""Pinecone to a real Milvus and back, with namespaces in each of Milvus's three ways, on either route."""

from __future__ import annotations

import uuid

import pytest

from migrator.service import PlanOptions
from tests.contract.milvus_harness import TOKEN_VARIABLE
from tests.contract.parquet_harness import ACCESS_VARIABLE, SECRET_VARIABLE
from tests.parameters import rest_slow
from tests.pinecone.conftest import account, rows, service

__all__ = ["account", "service"]
NAMESPACES = {"": "d", "en": "e", "a b/1": "j"}
METADATA = [{"id": "in the metadata", "t": 'a "b" \\ é'}, {"list": ["a", "b"], "n": 1.5}, {}]
MODES = ["partition_key", "partition", "collection"]
RARELY = [pytest.param(mode, marks=[pytest.mark.slow] * (mode != "partition_key")) for mode in MODES]
"""A server takes seconds for each collection."""

pytestmark = pytest.mark.server


@pytest.fixture
def collection(milvus_server, monkeypatch):
    """Return a function that names a collection of the test's own, in a mode."""
    monkeypatch.setenv(TOKEN_VARIABLE, milvus_server.token)
    name = f"pinecone_{uuid.uuid4().hex[:8]}"
    return lambda mode: f"milvus:{name}_{mode}?uri={milvus_server.uri}&token=env:{TOKEN_VARIABLE}&index_type=FLAT&namespace_mode={mode}"


@pytest.fixture
def bucket(milvus_server, monkeypatch):
    """Return options of a staged copy by way of the bucket that the server reads."""
    storage = milvus_server.storage
    monkeypatch.setenv(ACCESS_VARIABLE, storage.access_key)
    monkeypatch.setenv(SECRET_VARIABLE, storage.secret_key)
    options = f"endpoint={storage.endpoint}&region=us-east-1&access_key=env:{ACCESS_VARIABLE}&secret_key=env:{SECRET_VARIABLE}"
    return {"route": "staged", "staging": f"numpy:s3://{storage.bucket}/journeys/{uuid.uuid4().hex}?{options}"}


@pytest.fixture
def full(account):
    """Fill index ``a``: three namespaces, the first of them the default one; ids differ from namespace to namespace."""
    account.create("a")
    for namespace, letter in NAMESPACES.items():
        account.fill("a", [{**row, "id": f"{letter}{row['id']}", "metadata": METADATA[number % 3]} for number, row in enumerate(rows(60))], namespace)
    return account


def proven(service, source, target, **options):
    run = service.start(service.plan(source, target, PlanOptions(**options)))
    ended = service.wait(run, 120)
    assert ended["status"] == "proven", (ended["error"], ended["log"])
    return service.result(run)


@pytest.mark.slow
@pytest.mark.parametrize("mode", RARELY)
def test_there_and_back_again(full, service, collection, mode):
    told = proven(service, "pinecone:a", collection(mode))
    assert {name: (row["source"], row["target"]) for name, row in told["namespaces"].items()} == dict.fromkeys(NAMESPACES, (60, 60))
    proven(service, collection(mode), "pinecone:b")
    assert full.namespaces("b") == dict.fromkeys(NAMESPACES, 60)
    assert all(full.read("b", namespace) == full.read("a", namespace) for namespace in NAMESPACES)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_by_way_of_staged_files(full, service, collection, bucket, mode):
    told = proven(service, "pinecone:a", collection(mode), **bucket)
    assert {name: (row["source"], row["target"]) for name, row in told["namespaces"].items()} == dict.fromkeys(NAMESPACES, (60, 60))


@pytest.mark.slow
@pytest.mark.parametrize("route", rest_slow(["direct", "staged"]))
def test_one_id_in_two_namespaces_is_refused_unless_a_collection_each_keeps_them_apart(account, service, collection, bucket, route):
    """Milvus has a key once over all namespaces of a collection: the second record would replace the first."""
    account.create("a")
    account.fill("a", rows(5), "one")
    account.fill("a", rows(5, start=3), "two")
    options = bucket if route == "staged" else {}
    plan = service.plan("pinecone:a", collection("partition_key"), PlanOptions(**options))
    run = service.start(plan.with_(findings=tuple(finding for finding in plan.findings if finding.severity == "info")))
    ended = service.wait(run, 120)
    assert ended["status"] != "proven"
    options = {} if route == "direct" else options | {"staging": options["staging"].replace("journeys/", "journeys/apart-")}
    told = proven(service, "pinecone:a", collection("collection"), **options)
    assert {name: row["target"] for name, row in told["namespaces"].items()} == {"one": 5, "two": 5}
