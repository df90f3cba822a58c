"""What a cut-over gives of a Milvus collection, and following into Milvus Lite."""

from __future__ import annotations

import ast

import pytest

from migrator.connectors import memory
from migrator.connectors.milvus.address import address_of
from migrator.connectors.milvus.options import read_options
from migrator.endpoints import parse
from migrator.model import Follow
from migrator.service import PlanOptions, Service
from tests.runs.test_steering import until
from tests.unit.batches import batch_of, numbered


def test_a_server_is_named_without_its_token(monkeypatch):
    monkeypatch.setenv("SECRET", "canary")
    found = address_of(read_options(parse("milvus:books?uri=https://db.example:443/shop&token=env:SECRET")))
    assert found.environment == {"MILVUS_URI": "https://db.example:443", "MILVUS_COLLECTION": "books"}
    assert set(found.snippets) == {"Python", "Node"}
    assert "canary" not in str(found)
    for text in found.snippets.values():
        assert "MILVUS_TOKEN" in text
        assert '"shop"' in text
        assert "{{" not in text
    ast.parse(found.snippets["Python"])


def test_a_lite_file_has_no_node_snippet(tmp_path):
    found = address_of(read_options(parse(f"milvus:books?uri={tmp_path}/a.db")))
    assert (found.environment["MILVUS_URI"], set(found.snippets)) == (f"{tmp_path}/a.db", {"Python"})
    ast.parse(found.snippets["Python"])


@pytest.fixture
def source():
    table = memory.COLLECTIONS["milvus-follow"] = memory.Table(3)
    table.append(numbered(40, namespace="a"))
    yield table
    del memory.COLLECTIONS["milvus-follow"]


def test_milvus_lite_is_followed_into_and_cut_over(tmp_path, source):
    """A primary key is unique over all namespaces there: a record that moves is a changed one, and must not be deleted after it was written."""
    service = Service(tmp_path / "home")
    try:
        plan = service.plan("memory:milvus-follow", f"milvus:t?uri={tmp_path}/t.db", PlanOptions(follow=Follow(interval=3600.0, deletes=True), batch=20))
        run = service.start(plan)
        until(lambda: service.status(run)["follow"]["passes"] == 1, 60)  # the next one begins when the cut-over asks for it
        source.upsert(batch_of([{"id": "fresh", "values": [9.0, 1.0, 1.0], "namespace": "b"}, {"id": "r5", "values": [7.0, 7.0, 7.0], "namespace": "a"}]))
        source.delete(["r1", "r2"], "a")
        source.upsert(batch_of([{"id": "r2", "values": [2.0, 2.0, 2.0], "namespace": "b"}]))
        answer = service.cutover(run)
        assert (answer["ready"], answer["reason"], answer["counts"]["copied"]) == (True, None, 40)
        assert (answer["follow"]["new"], answer["follow"]["changed"], answer["follow"]["deleted"]) == (1, 2, 1)
        assert answer["new"]["environment"]["MILVUS_COLLECTION"] == "t"
    finally:
        service.close()
