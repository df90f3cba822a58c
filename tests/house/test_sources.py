"""The sources: small modules and functions, each saying what it is for, and nothing that holds on one machine only."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE_LINES = 250
FUNCTION_LINES = 30
SHAPED = ["app.py", "ui", "pages", "migrator", "demo", "bench"]


def modules() -> list[Path]:
    found = []
    for name in SHAPED:
        place = ROOT / name
        found += [place] if place.is_file() else sorted(place.rglob("*.py"))
    return found


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for path in (ROOT / entry for entry in listed.stdout.decode().split("\0") if entry) if path.is_file()]


@pytest.mark.parametrize("path", modules(), ids=name)
def test_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MODULE_LINES, f"{name(path)} is longer than {MODULE_LINES} lines"
    tree = ast.parse(text)
    if tree.body:
        assert ast.get_docstring(tree), f"{name(path)} has no docstring"


@pytest.mark.parametrize("path", modules(), ids=name)
def test_functions_are_short(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    long = {node.name: lines for node in functions if (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES}
    assert not long, f"{name(path)} has functions over {FUNCTION_LINES} lines: {long}"


def test_there_is_something_to_judge() -> None:
    assert {"migrator", "demo", "bench"} <= {path.relative_to(ROOT).parts[0] for path in modules()}


def test_no_file_names_one_machine() -> None:
    places = [b"/" + word + b"/" for word in (b"work", b"root", b"opt/pypi", b"opt/wheels")]
    guilty = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" in content[:8192]:
            continue
        guilty += [f"{name(path)}: {place.decode()}" for place in places if any(found(content, place))]
    assert not guilty


def found(content: bytes, place: bytes) -> list[int]:
    """Return where ``place`` begins an absolute path in ``content`` (it may well stand inside a relative one)."""
    spots, start = [], content.find(place)
    while start >= 0:
        before = content[start - 1 : start]
        if not before or before in b" \t\n\"'`(=:":
            spots.append(start)
        start = content.find(place, start + 1)
    return spots


def test_the_search_for_machine_paths_finds_them() -> None:
    place = b"/%b/" % b"work"
    assert found(b"see " + place, place) == [4]
    assert found(b"demo" + place, place) == []


def test_no_grab_bag() -> None:
    assert not [name(path) for path in modules() if path.stem in {"utils", "util", "helpers", "misc", "common"}]
