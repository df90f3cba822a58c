"""What a shared installation (``MIGRATOR_HOSTED=1``) lets people name: stores in the network and their own uploads, no other file of the server."""

from __future__ import annotations

import os
from pathlib import Path

from migrator import endpoints
from migrator.errors import ConfigError


def hosted() -> bool:
    """Return whether this process serves people who must not reach the server's own files."""
    return os.environ.get("MIGRATOR_HOSTED", "").lower() in {"1", "true", "yes"}


def check(text: str, home: Path) -> str:
    """Return the endpoint ``text``. Raise ``ConfigError`` when it names a file this installation does not give access to."""
    if not text or not hosted():
        return text
    endpoint = endpoints.parse(text)
    paths = [endpoint.options[name] for name in ("ids", "metadata") if endpoint.options.get(name)]
    if endpoint.connector == "milvus":
        paths = [uri for uri in [endpoint.options.get("uri", "")] if "://" not in uri]
    elif not endpoint.resource.startswith("s3://"):
        paths.append(endpoint.resource)
    for path in paths:
        if not any(Path(path).resolve().is_relative_to((home / name).resolve()) for name in ("uploads", "exports", "demo")):
            raise ConfigError(
                "this shared installation does not open files of its server",
                fix="upload the file, or name a store in the network",
                code="local_refused",
            )
    return text
