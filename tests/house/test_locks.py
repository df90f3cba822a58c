"""The lock files: exact versions with hashes, everything pyproject.toml asks for, and no registry's address."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.txt", "requirements-dev.txt"]
PINNED = re.compile(r"([a-z0-9][a-z0-9.-]*)(?:\[[a-z0-9,-]+\])?==(\S+)( ; [^\\]+)? ?\\?")


def entries(lock: str) -> list[str]:
    """Return each requirement of a lock file with its continuation lines joined."""
    text = (ROOT / lock).read_text("utf-8")
    return [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]


def names(lock: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for entry in entries(lock):
        match = PINNED.match(entry)
        assert match, f"{lock}: {entry[:60]!r} is not name==version"
        found.setdefault(match[1], set()).add(match[2])
    return found


def asked_for(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~ ;]", requirement)[0].lower().replace("_", "-") for requirement in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_has_hashes(lock: str) -> None:
    bare = [entry[:60] for entry in entries(lock) if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry)]
    assert not bare


@pytest.mark.parametrize("lock", LOCKS)
def test_no_registry_address(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert not re.search(r"https?:|file:|--(extra-)?index-url|--find-links|-f |-i ", text)


@pytest.mark.parametrize("lock", LOCKS)
def test_no_version_that_exists_on_one_machine_only(lock: str) -> None:
    assert not [version for versions in names(lock).values() for version in versions if "+" in version]


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert asked_for(project["dependencies"]) <= names("requirements.txt").keys()
    assert asked_for(project["dependencies"] + project["optional-dependencies"]["dev"]) <= names("requirements-dev.txt").keys()


def test_both_locks_agree() -> None:
    runtime, development = names("requirements.txt"), names("requirements-dev.txt")
    assert {name: development.get(name) for name in runtime} == runtime
