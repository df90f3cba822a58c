"""Throw-away environments for clients that are no dependency of ours, kept between runs in the user's cache, and skipped when out of reach."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"


def python_with(*packages: str) -> Path:
    """Return the interpreter of a virtual environment that holds ``packages``. Skip the test when they cannot be installed."""
    folder = _place("python", packages)
    interpreter = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _install([sys.executable, "-m", "venv", str(folder)], packages)
        _install([str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], packages)
        (folder / "complete").touch()
    return interpreter


def node_with(package: str) -> Path:
    """Return a folder whose ``node_modules`` holds ``package``. Skip the test when there is no Node or no registry."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node and npm on PATH")
    folder = _place("node", (package,))
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _install(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), package], (package,))
        (folder / "complete").touch()
    return folder


def run(command: list[str | Path], *, seconds: float = 300, **environment: str) -> str:
    """Run a program of an environment and return what it printed; its failure is the test's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PINECONE_", "PYTHON"))}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=own | environment, timeout=seconds, check=False)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def _place(kind: str, packages: tuple[str, ...]) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vector-migrator"
    named = hashlib.sha256("\n".join((sys.version, *packages)).encode()).hexdigest()[:12]
    return cache / f"outside-{kind}-{named}"


def _install(command: list[str], packages: tuple[str, ...]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        pytest.skip(f"{' '.join(packages)} cannot be installed here: {' '.join(last)}")
