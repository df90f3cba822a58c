"""Secrets by reference: they resolve in this process, and nowhere else."""

from __future__ import annotations

import pytest

from migrator import secrets
from migrator.errors import ConfigError


def test_stashed_resolves():
    reference = secrets.stash("canary-one")
    assert reference.startswith("session:")
    assert "canary" not in reference
    assert secrets.resolve(reference, option="token") == "canary-one"


def test_one_secret_has_one_reference():
    assert secrets.stash("canary-two") == secrets.stash("canary-two")
    assert secrets.stash("canary-two") != secrets.stash("canary-three")


def test_environment(monkeypatch):
    monkeypatch.setenv("A_KEY", "canary-four")
    assert secrets.resolve("env:A_KEY", option="api_key") == "canary-four"


def test_environment_variable_that_is_not_set(monkeypatch):
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(ConfigError) as caught:
        secrets.resolve("env:A_KEY", option="api_key")
    assert caught.value.code == "secret_missing"
    assert "A_KEY" in caught.value.message
    assert "api_key" in caught.value.message


def test_empty_environment_variable_is_a_value(monkeypatch):
    monkeypatch.setenv("A_KEY", "")
    assert secrets.resolve("env:A_KEY", option="api_key") == ""


def test_reference_of_an_earlier_process(monkeypatch):
    monkeypatch.delenv("STORE_KEY", raising=False)
    with pytest.raises(ConfigError) as caught:
        secrets.resolve("session:0123456789abcdef", option="api_key", default_env="STORE_KEY")
    assert "STORE_KEY" in caught.value.fix
    monkeypatch.setenv("STORE_KEY", "canary-five")
    assert secrets.resolve("session:0123456789abcdef", option="api_key", default_env="STORE_KEY") == "canary-five"


def test_reference_of_an_earlier_process_without_a_default():
    with pytest.raises(ConfigError) as caught:
        secrets.resolve("session:0123456789abcdef", option="token")
    assert "token=env:NAME" in caught.value.fix


@pytest.mark.parametrize(("text", "expected"), [("env:X", True), ("session:x", True), ("sk-123", False), ("", False), ("environment", False)])
def test_is_reference(text, expected):
    assert secrets.is_reference(text) is expected
