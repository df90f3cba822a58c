"""The control plane over REST: with the official SDK, and by hand in each API version."""

from __future__ import annotations

import httpx
import pytest
from pinecone import Pinecone, ServerlessSpec
from pinecone.errors import ApiError as SdkError
from pinecone.errors import ConflictError, ForbiddenError, NotFoundError, UnauthorizedError

from migrator.local_pinecone.engine import Settings
from migrator.local_pinecone.server import running
from tests.local_pinecone.making import Clock

MANAGED = {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
VALUES = {"type": "dense_vector", "dimension": 3, "metric": "euclidean"}
SERVERLESS = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
POD = {"pod": {"environment": "us-east1-gcp", "pod_type": "s1.x1", "shards": 2, "metadata_config": {"indexed": ["x"]}}}


@pytest.fixture
def server():
    with running(Settings(clock=Clock())) as started:
        yield started


@pytest.fixture
def client(server):
    with Pinecone(api_key="k", host=server.url) as made:
        yield made


@pytest.fixture
def ask(server):
    """Return a function that sends one request by hand and returns the response."""
    with httpx.Client(base_url=server.url) as sender:

        def send(method, path, body=None, version="2025-10", **headers):
            sent = {"Api-Key": "k", **({"X-Pinecone-Api-Version": version} if version else {}), **headers}
            return sender.request(method, path, json=body, headers=sent)

        yield send


def test_an_index_is_made_described_listed_and_deleted(client):
    made = client.indexes.create(name="a", schema={"fields": {"_values": VALUES}}, deployment=MANAGED, tags={"team": "x"}, timeout=-1)
    assert (made.name, made.status.ready, made.dimension, made.metric, made.vector_type) == ("a", True, 3, "euclidean", "dense")
    assert (made.deployment.cloud, made.deployment.region, made.read_capacity.mode if hasattr(made.read_capacity, "mode") else "OnDemand") == (
        "aws",
        "us-east-1",
        "OnDemand",
    )
    assert (dict(made.tags), made.deletion_protection, made.host.startswith("http://127.0.0.1:")) == ({"team": "x"}, "disabled", True)
    client.indexes.create(name="s", schema={"fields": {"_sparse_values": {"type": "sparse_vector"}}}, deployment=MANAGED)
    assert [one.name for one in client.indexes.list()] == ["a", "s"]
    assert client.indexes.describe("s").vector_type == "sparse"
    client.indexes.delete("a")
    assert not client.indexes.exists("a")


def test_the_sdks_old_way_of_creating_works_too(client):
    client.create_index(name="a", dimension=5, metric="dotproduct", spec=ServerlessSpec(cloud="gcp", region="us-central1"))
    found = client.indexes.describe("a")
    assert (found.dimension, found.metric, found.deployment.cloud) == (5, "dotproduct", "gcp")


def test_an_index_is_configured_within_its_limits(client, ask, server):
    client.indexes.create(name="a", schema={"fields": {"_values": VALUES}}, deployment=MANAGED, tags={"a": "1", "b": "2"}, deletion_protection="enabled")
    with pytest.raises(ForbiddenError, match="Deletion protection is enabled"):
        client.indexes.delete("a")
    client.indexes.configure("a", deletion_protection="disabled", tags={"b": "", "c": "3"})
    server.engine.settings.ready_delay = 10
    dedicated = {"mode": "Dedicated", "dedicated": {"node_type": "t1", "scaling": "Manual", "manual": {"shards": 1, "replicas": 2}}}
    scaled = client.indexes.configure("a", read_capacity=dedicated)
    assert (dict(scaled.tags), scaled.status.state, scaled.status.ready) == ({"a": "1", "c": "3"}, "ScalingUp", True)
    assert (scaled.read_capacity.status.state, scaled.read_capacity.dedicated.node_type) == ("Scaling", "t1")
    server.engine.settings.clock.now += 10
    assert client.indexes.describe("a").read_capacity.status.current_replicas == 2
    for body in (
        {"deployment": {"replicas": 2}},
        {"schema": {"fields": {"x": {"type": "string"}}}},
        {"read_capacity": {"mode": "Dedicated"}},
        {"deletion_protection": "perhaps"},
        {"tags": {"a": 1}},
    ):
        assert ask("PATCH", "/indexes/a", body, "2026-07").status_code == 400


def test_an_index_is_ready_only_after_the_delay(client, server):
    server.engine.settings.ready_delay = 5
    made = client.indexes.create(name="a", schema={"fields": {"_values": VALUES}}, deployment=MANAGED, timeout=-1)
    assert (made.status.ready, made.status.state) == (False, "Initializing")
    server.engine.settings.clock.now += 5
    assert client.indexes.describe("a").status.ready


def test_each_version_has_its_own_words_for_an_index(ask):
    old = {"name": "old", "dimension": 3, "metric": "cosine", "spec": SERVERLESS}
    for version in ("2025-10", "2026-04", "2025-01", "2026-05", None):
        assert ask("POST", "/indexes", {**old, "name": f"old-{version}".lower()}, version).status_code == 201
    new = {"name": "new", "schema": {"fields": {"_values": VALUES}}, "deployment": MANAGED}
    assert ask("POST", "/indexes", new, "2026-07").status_code == 201
    shown = ask("GET", "/indexes/new").json()
    assert (shown["dimension"], shown["metric"], shown["vector_type"], "schema" in shown) == (3, "euclidean", "dense", False)
    assert shown["spec"]["serverless"]["read_capacity"] == {"mode": "OnDemand", "status": {"state": "Ready"}}
    shown = ask("GET", "/indexes/old-2025-10", version="2026-07").json()
    assert (shown["schema"]["fields"], shown["deployment"]) == ({"_values": {"type": "dense_vector", "dimension": 3, "metric": "cosine"}}, MANAGED)
    assert "dimension" not in shown
    assert len(ask("GET", "/indexes", version=None).json()["indexes"]) == 6
    for wrong in ("2027-01", "unstable", "2026-13x"):
        assert ask("GET", "/indexes", version=wrong).status_code == 400
    assert ask("POST", "/indexes", old, "2026-07").status_code == 422
    assert ask("POST", "/indexes", new, "2025-10").status_code == 422


def test_pods_are_made_only_through_an_old_version(ask, client, server):
    body = {"name": "p", "dimension": 3, "metric": "cosine", "spec": POD}
    refused = ask("POST", "/indexes", {"name": "p", "schema": {"fields": {"_values": VALUES}}, "deployment": {"deployment_type": "pod"}}, "2026-07")
    assert refused.json() == {
        "status": 400,
        "error": {"code": "INVALID_ARGUMENT", "message": "deployment_type 'pod' is not supported on this API version"},
    }
    assert ask("POST", "/indexes", body).json()["spec"]["pod"] | {} == {**POD["pod"], "pods": 2, "replicas": 1}
    seen = client.indexes.describe("p")
    assert (seen.deployment.pod_type, seen.deployment.shards, seen.read_capacity) == ("s1.x1", 2, None)
    scaled = client.indexes.configure("p", deployment={"replicas": 3, "pod_type": "s1.x4"})
    assert (scaled.deployment.replicas, scaled.deployment.pod_type) == (3, "s1.x4")
    for wrong in ({"pod_type": "p1.x4"}, {"pod_type": "s1.x2"}, {"replicas": 0}):
        assert ask("PATCH", "/indexes/p", {"spec": {"pod": wrong}}).status_code == 400
    assert ask("PATCH", "/indexes/p", {"spec": {"serverless": {"read_capacity": {"mode": "OnDemand"}}}}).status_code == 400
    server.engine.settings.pods_creatable = False
    assert ask("POST", "/indexes", {**body, "name": "q"}).status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"name": "Big"}, 400, "lower case alphanumeric"),
        ({"name": "a-"}, 400, "lower case alphanumeric"),
        ({"name": "a" * 46}, 400, "45"),
        ({"name": None}, 422, "missing field `name`"),
        ({"spec": None}, 422, "missing field `spec`"),
        ({"spec": {"serverless": {"cloud": "aws", "region": "us-west1"}}}, 404, "Resource cloud: aws region: us-west1 not found."),
        ({"spec": {"serverless": {"cloud": "ibm", "region": "x"}}}, 404, "ibm"),
        ({"spec": {}}, 400, "spec"),
        ({"spec": {"pod": {"environment": "e", "pod_type": "x9"}}}, 400, "x9"),
        ({"spec": {"pod": {"environment": "e", "shards": 2, "pods": 3}}}, 400, "pods"),
        ({"dimension": 0}, 400, "dimension"),
        ({"dimension": 20_001}, 400, "dimension"),
        ({"dimension": None}, 400, "dimension"),
        ({"metric": "manhattan"}, 400, "metric"),
        ({"vector_type": "sparse", "dimension": None, "metric": "cosine"}, 400, "dotproduct"),
        ({"vector_type": "round"}, 400, "vector_type"),
        ({"deletion_protection": "x"}, 400, "deletion_protection"),
        ({"tags": {"a": "b" * 121}}, 400, "tag 'a'"),
        ({"spec": {"serverless": {"cloud": "aws", "region": "us-east-1", "source_collection": "none"}}}, 404, "Collection none not found."),
    ],
    ids=str,
)
def test_an_index_that_cannot_be_is_refused(ask, body, status, words):
    answer = ask("POST", "/indexes", {"name": "a", "dimension": 3, "spec": SERVERLESS, **body})
    assert answer.status_code == status
    assert answer.json()["status"] == status
    assert words in answer.json()["error"]["message"]


def test_a_serverless_index_can_be_told_which_fields_to_index(ask):
    spec = {"serverless": {**SERVERLESS["serverless"], "schema": {"fields": {"x": {"filterable": True}}}}}
    assert ask("POST", "/indexes", {"name": "a", "dimension": 3, "spec": spec}).json()["spec"]["serverless"]["schema"] == spec["serverless"]["schema"]
    assert ask("GET", "/indexes/a", version="2026-07").json()["schema"]["fields"].keys() == {"_values"}
    new = {"schema": {"fields": {"_values": VALUES}}, "source_backup_id": "b"}
    assert ask("POST", "/indexes", new, "2026-07").json()["error"]["code"] == "UNIMPLEMENTED"


def test_what_is_there_or_not_there_is_said(client):
    client.indexes.create(name="a", schema={"fields": {"_values": VALUES}}, deployment=MANAGED)
    with pytest.raises(ConflictError, match="already exists"):
        client.indexes.create(name="a", schema={"fields": {"_values": VALUES}}, deployment=MANAGED)
    for call in (client.indexes.describe, client.indexes.delete, lambda name: client.indexes.configure(name, tags={"a": "b"})):
        with pytest.raises(NotFoundError, match="Index nothing not found"):
            call("nothing")


def test_only_the_keys_that_are_known_are_let_in(server, client, ask):
    refused = ask("GET", "/indexes", **{"Api-Key": ""})
    assert (refused.status_code, refused.text, refused.headers["content-type"].split(";")[0]) == (401, "Invalid API key.", "text/plain")
    server.engine.settings.api_keys = {"other"}
    with pytest.raises(UnauthorizedError):
        list(client.indexes.list())
    server.engine.settings.api_keys = {"k", "other"}
    assert list(client.indexes.list()) == []


def test_what_has_no_route_or_is_not_emulated_says_so(ask):
    assert ask("GET", "/nothing").json()["error"]["code"] == "NOT_FOUND"
    assert ask("PUT", "/indexes").status_code == 405
    assert ask("POST", "/indexes/create-for-model", {}).json()["error"]["code"] == "UNIMPLEMENTED"
    assert ask("POST", "/indexes", [1]).status_code == 400


def test_collections_come_from_pods_and_make_serverless_indexes(ask, client):
    ask("POST", "/indexes", {"name": "p", "dimension": 3, "spec": POD})
    client.index(host=client.indexes.describe("p").host).upsert(vectors=[("a", [1, 2, 3])], show_progress=False)
    made = client.collections.create(name="c", source="p")
    assert (made.name, made.status, made.dimension, made.vector_count) == ("c", "Ready", 3, 1)
    ask("POST", "/indexes", {"name": "s", "dimension": 3, "spec": {"serverless": {**SERVERLESS["serverless"], "source_collection": "c"}}})
    target = client.index(host=client.indexes.describe("s").host)
    assert list(target.fetch(ids=["a"]).vectors) == ["a"]
    assert ask("GET", "/indexes/s").json()["spec"]["serverless"]["source_collection"] == "c"
    wrong = ask("POST", "/indexes", {"name": "t", "dimension": 4, "spec": {"serverless": {**SERVERLESS["serverless"], "source_collection": "c"}}})
    assert wrong.status_code == 400
    with pytest.raises(SdkError, match="serverless"):
        client.collections.create(name="d", source="s")
    assert [one.name for one in client.collections.list()] == ["c"]
    client.collections.delete("c")
    with pytest.raises(NotFoundError, match="Collection c not found"):
        client.collections.describe("c")


def test_backups_are_made_listed_restored_and_deleted(client, server, ask):
    client.indexes.create(name="a", schema={"fields": {"_values": VALUES}}, deployment=MANAGED, tags={"x": "y"}, deletion_protection="enabled")
    client.index(host=client.indexes.describe("a").host).upsert(vectors=[("a", [1, 2, 3])], namespace="n", show_progress=False)
    server.engine.settings.ready_delay = 5
    made = client.backups.create(index_name="a", name="nightly", description="d")
    assert (made.status, made.record_count, made.namespace_count, made.dense_dimension) == ("Initializing", 1, 1, 3)
    assert ask("POST", f"/backups/{made.backup_id}/create-index", {"name": "b"}).status_code == 412
    server.engine.settings.clock.now += 5
    assert client.backups.describe(backup_id=made.backup_id).status == "Ready"
    answer = ask("POST", f"/backups/{made.backup_id}/create-index", {"name": "b", "tags": {"z": "1"}}, "2026-07")
    job = client.restore_jobs.describe(job_id=answer.json()["restore_job_id"])
    assert (answer.status_code, job.status, job.target_index_name) == (202, "InProgress", "b")
    assert ask("DELETE", f"/backups/{made.backup_id}").status_code == 412
    server.engine.settings.clock.now += 5
    assert client.restore_jobs.list()[0].status == "Completed"
    restored = client.indexes.describe("b")
    assert (restored.source_backup_id, dict(restored.tags), restored.deletion_protection) == (made.backup_id, {"z": "1"}, "disabled")
    assert list(client.index(host=restored.host).fetch(ids=["a"], namespace="n").vectors) == ["a"]
    client.indexes.configure("a", deletion_protection="disabled")
    client.indexes.delete("a")
    with pytest.raises(NotFoundError):
        client.backups.list(index_name="a")
    assert [one.backup_id for one in client.backups.list(index_name="a", include_deleted=True)] == [made.backup_id]
    client.backups.delete(backup_id=made.backup_id)
    assert list(client.backups.list()) == []
    with pytest.raises(NotFoundError, match="Backup"):
        client.backups.describe(backup_id=made.backup_id)


def test_lists_of_backups_go_by_pages(client, ask):
    client.indexes.create(name="a", schema={"fields": {"_values": VALUES}}, deployment=MANAGED)
    made = [client.backups.create(index_name="a").backup_id for _ in range(5)]
    assert [one.backup_id for one in client.indexes.list_backups("a", limit=5)] == made
    first = ask("GET", "/backups?limit=2").json()
    assert ask("GET", f"/backups?limit=4&paginationToken={first['pagination']['next']}").json().keys() == {"data"}
    for wrong in ("limit=0", "limit=101", "limit=x", "paginationToken=x"):
        assert ask("GET", f"/backups?{wrong}").status_code == 400
