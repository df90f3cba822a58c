"""Saved connections: endpoints by name in one JSON file. References to secrets typed here are left out, so it holds none."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

from migrator import endpoints
from migrator.errors import ConfigError
from migrator.model import Endpoint
from migrator.secrets import SECRET_OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

_lock = threading.Lock()


def load(home: Path, owner: str) -> dict[str, str]:
    """Return the endpoints ``owner`` saved, by name. Raise ``ConfigError`` when the file was damaged."""
    return _read(home).get(owner, {})


def save(home: Path, owner: str, name: str, endpoint: str) -> None:
    """Save ``endpoint`` without its secrets as ``name``, over an earlier one of that name."""
    with _lock:
        known = _read(home)
        known.setdefault(owner, {})[name] = without_secrets(endpoint)
        _write(home, known)


def forget(home: Path, owner: str, name: str) -> None:
    """Remove ``name``; no error when it is not there."""
    with _lock:
        known = _read(home)
        known.get(owner, {}).pop(name, None)
        _write(home, known)


def without_secrets(text: str) -> str:
    """Return the endpoint without its secret options, except those that name an environment variable."""
    endpoint = endpoints.parse(text)
    kept = {name: value for name, value in endpoint.options.items() if name not in SECRET_OPTIONS or value.startswith("env:")}
    return endpoints.render(Endpoint(endpoint.connector, endpoint.resource, kept))


def _path(home: Path) -> Path:
    return home / "profiles.json"


def _read(home: Path) -> dict[str, dict[str, str]]:
    path = _path(home)
    try:
        known = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise ConfigError(f"the saved profiles in {path} are not readable", fix="correct the file or remove it", code="bad_profiles") from None
    return dict(known)


def _write(home: Path, known: dict[str, dict[str, str]]) -> None:
    """Replace the file in one step: a crash leaves the old one or the new one."""
    home.mkdir(parents=True, exist_ok=True)
    fresh = _path(home).with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(known, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(_path(home))
