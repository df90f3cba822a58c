"""The documents and the Makefile: what a newcomer reads first must be there and must hold."""

from __future__ import annotations

import argparse
import re
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from migrator.cli.parser import build_parser
from migrator.connectors import REGISTRY

ROOT = Path(__file__).parents[2]
TARGETS = ["setup", "dev", "run", "demo", "test", "test-all", "lint", "bench", "lock", "clean"]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WORDS = [
    *("collection", "record", "values", "dimension", "metric", "sparse_values", "metadata", "namespace"),
    *("endpoint", "connector", "split", "chunk", "cursor", "checkpoint", "plan", "finding", "run", "ledger"),
    *("digest", "rejected", "vanished", "duplicate", "verdict", "lossy"),
]


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("target", TARGETS)
def test_the_makefile_has_the_target(target: str) -> None:
    planned = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert planned.returncode == 0, planned.stderr


def test_make_alone_lists_the_targets() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(TARGETS) <= {line.split()[0] for line in listed.splitlines()}


def test_ci_runs_the_tests() -> None:
    assert re.search(r"^make test\b", text(".ci/run"), re.MULTILINE)


@pytest.mark.parametrize("command", ["make run", "make test", "make demo"])
def test_the_readme_names_the_command(command: str) -> None:
    assert command in text("README.md")


def test_the_changelog_has_a_place_for_what_comes() -> None:
    assert re.search(r"^## Unreleased$", text("CHANGELOG.md"), re.MULTILINE)


@pytest.mark.parametrize("word", WORDS)
def test_the_glossary_has_the_word(word: str) -> None:
    assert re.search(rf"^\|[^|]*(\*\*|`|\*){re.escape(word)}(\*\*|`|\*)[^|]*\|", text("docs/glossary.md"), re.MULTILINE) or f"**{word}**" in text(
        "docs/glossary.md"
    ), word


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)|(?:src|srcset|href)=\"([^\"#]+)\"", document.read_text("utf-8"))
    local = [one or other for one, other in links if not re.match(r"[a-z]+:", one or other)]
    assert not [link for link in local if not (document.parent / link).exists()]


OURS = [name for name, module in REGISTRY.items() if module.startswith("migrator.") and name != "memory"]
"""Other tests register stores of their own."""


@pytest.mark.parametrize("connector", sorted(OURS))
def test_every_store_is_described(connector: str) -> None:
    assert f"`{connector}:" in text("docs/stores.md")


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/adr/*.md")), ids=lambda path: path.stem)
def test_a_decision_fits_a_page_and_says_why(path: Path) -> None:
    content = path.read_text("utf-8")
    assert len(content.splitlines()) <= 60
    assert re.match(rf"# {int(path.stem[:4])}\. ", content)
    assert "**Decision.**" in content
    assert "**Why.**" in content


def test_the_licence_is_whole() -> None:
    assert "Apache License" in text("LICENSE")
    assert "END OF TERMS AND CONDITIONS" in text("LICENSE")


def verbs() -> dict[str, argparse.ArgumentParser]:
    (found,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def test_the_command_line_is_documented() -> None:
    documented = text("docs/cli.md")
    assert not [verb for verb in verbs() if not re.search(rf"`[^`]*\b{verb}\b", documented)]
    options = {option for parser in verbs().values() for option in parser._option_string_actions if option.startswith("--")}
    assert not [option for option in options - {"--help"} if option not in documented]


def test_no_option_is_documented_that_is_not_there() -> None:
    options = {option for parser in verbs().values() for option in parser._option_string_actions}
    for document in ("docs/cli.md", "README.md", "docs/stores.md"):
        commands = re.sub(r"python -m bench\S*.*", "", text(document))
        assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", commands)) <= options, document


@pytest.mark.parametrize(("connector", "module"), [("faiss", "opening"), ("milvus", "options"), ("parquet", "source")])
def test_every_option_of_a_store_is_documented(connector: str, module: str) -> None:
    options = import_module(f"migrator.connectors.{connector}.{module}").OPTIONS
    section = text("docs/stores.md").partition(f"`{connector}:")[2].partition("\n## ")[0]
    if "(#object-storage)" in section:
        section += text("docs/stores.md").partition("\n## Object storage\n")[2]
    assert not [option for option in options if f"`{option}`" not in section]
