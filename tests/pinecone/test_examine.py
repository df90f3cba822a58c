"""The connection test tells a wrong key from a wrong address, and a missing index from one that cannot be used."""

from __future__ import annotations

import pytest

from migrator.connectors import connector
from migrator.connectors.pinecone.grpc_plane import GrpcPlane
from migrator.endpoints import parse
from migrator.errors import TransientError


def steps(text):
    endpoint = parse(text)
    return {step.name: step for step in connector("pinecone").examine(endpoint)}


def test_all_is_well(account):
    account.create("a")
    found = steps("pinecone:a")
    assert list(found) == ["key", "sign-in", "index", "grpc", "rest", "read", "write"]
    assert {step.status for step in found.values()} == {"ok"}
    assert "serverless in aws us-east-1" in found["index"].detail


@pytest.mark.parametrize(
    ("text", "change", "failed"),
    [
        ("pinecone:a?controller=http://127.0.0.1:1", None, "sign-in"),
        ("pinecone:a", {"api_keys": {"another"}}, "sign-in"),
        ("pinecone:a?nonsense=1", None, "options"),
        ("pinecone:a?host=http://127.0.0.1:1", None, "index"),
    ],
)
def test_the_first_that_fails_says_what_to_do(account, text, change, failed):
    account.create("a")
    for name, value in (change or {}).items():
        setattr(account.settings, name, value)
    found = steps(text)
    assert next(step.name for step in found.values() if step.status == "failed") == failed
    assert found[failed].fix


def test_no_key(account, monkeypatch):
    monkeypatch.delenv("PINECONE_API_KEY")
    assert {name: step.status for name, step in steps("pinecone:a").items()} == {"key": "failed"}


def test_an_index_that_is_not_there_yet_is_not_made(account):
    found = steps("pinecone:a")
    assert (found["index"].status, found["read"].status) == ("ok", "skipped")
    assert not account.client.indexes.exists("a")


def test_without_grpc_rest_is_enough(account, monkeypatch):
    account.create("a")

    def unreachable(self, filter_=None):
        raise TransientError("no HTTP/2 here", fix="use REST")

    monkeypatch.setattr(GrpcPlane, "stats", unreachable)
    found = steps("pinecone:a")
    assert (found["grpc"].status, found["rest"].status, found["read"].status) == ("skipped", "ok", "ok")
    found = steps("pinecone:a?transport=grpc")
    assert (found["grpc"].status, bool(found["grpc"].fix), "read" in found) == ("failed", True, False)
