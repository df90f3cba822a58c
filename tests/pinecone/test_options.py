"""A Pinecone endpoint: every option is checked, and the key appears nowhere."""

from __future__ import annotations

import pytest

from migrator.connectors.pinecone.options import read_options
from migrator.endpoints import parse
from migrator.errors import ConfigError


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("PINECONE_API_KEY", "key-of-tests")
    monkeypatch.delenv("PINECONE_CONTROLLER_HOST", raising=False)


def settings(text):
    return read_options(parse(f"pinecone:{text}"))


def test_defaults():
    found = settings("products")
    assert (found.index, found.api_key, found.controller, found.transport, found.pods) == ("products", "key-of-tests", "", "auto", None)


def test_each_side_has_its_own_key(monkeypatch):
    monkeypatch.setenv("OTHER", "another-key")
    assert settings("a?api_key=env:OTHER").api_key == "another-key"
    assert "another-key" not in repr(settings("a?api_key=env:OTHER"))


def test_addresses(monkeypatch):
    monkeypatch.setenv("PINECONE_CONTROLLER_HOST", "http://127.0.0.1:5080/")
    assert settings("a").controller == "http://127.0.0.1:5080"
    assert settings("a?controller=api.example.com").controller == "https://api.example.com"


def test_the_default_namespace_has_two_names():
    assert settings("a?namespace=__default__").namespace == ""
    assert settings("a?namespace=en").namespace == "en"
    assert settings("a").namespace is None


def test_pods():
    pods = settings("a?environment=us-east1-gcp&replicas=2&shards=3&pods=6").pods
    assert (pods.environment, pods.pod_type, pods.replicas, pods.shards) == ("us-east1-gcp", "p1.x1", 2, 3)


def test_tags_both_ways():
    assert settings("a?tags=team:search,stage:test").tags == {"team": "search", "stage": "test"} == settings('a?tags={"team":"search","stage":"test"}').tags


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "names no index"),
        ("Products", "Products"),
        ("a_b", "a_b"),
        ("x" * 46, "x" * 46),
        ("a?no_such=1", "no_such"),
        ("a?transport=carrier-pigeon", "transport"),
        ("a?cloud=moon", "cloud"),
        ("a?controller=ftp://x", "controller"),
        ("a?controller=https://u:p@x", "sign-in"),
        ("a?host=http://x:port", "host"),
        ("a?concurrency=0", "concurrency"),
        ("a?pod_type=p1.x1", "environment"),
        ("a?environment=e&replicas=2&pods=3", "pods=3"),
        ("a?tags=nothing", "tags"),
        ("a?read_capacity=[]", "read_capacity"),
        ("a?ids=/no/such/file.txt", "ids"),
        ("a?ids=file.exe", "ids"),
        ("a?id_prefix=x", "id_range"),
        ("a?id_range=9-1", "id_range"),
        ("a?id_range=0-999999999999", "id_range"),
        ("a?deletion_protection=perhaps", "deletion_protection"),
    ],
)
def test_what_is_wrong_is_named_with_a_cure(text, named):
    with pytest.raises(ConfigError, match=named) as caught:
        settings(text)
    assert caught.value.fix


def test_a_missing_key(monkeypatch):
    monkeypatch.delenv("PINECONE_API_KEY")
    with pytest.raises(ConfigError) as caught:
        settings("a")
    assert (caught.value.code, "PINECONE_API_KEY" in caught.value.fix) == ("secret_missing", True)


@pytest.mark.parametrize("key", ["with space", "line\n", "schlüssel"])
def test_a_key_that_cannot_be_one_is_not_shown(monkeypatch, key):
    monkeypatch.setenv("PINECONE_API_KEY", key)
    with pytest.raises(ConfigError) as caught:
        settings("a")
    assert key not in caught.value.message


def test_a_shared_installation_reads_no_local_file(monkeypatch, tmp_path):
    monkeypatch.setenv("MIGRATOR_HOSTED", "1")
    (tmp_path / "ids.txt").write_text("a")
    with pytest.raises(ConfigError, match="shared"):
        settings(f"a?ids={tmp_path}/ids.txt")
