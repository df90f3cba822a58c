"""What a shared installation (``MIGRATOR_HOSTED=1``) lets people name: stores in the network and their own uploads, no other file of the server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from migrator import endpoints, secrets
from migrator.errors import ConfigError
from ui import stores

if TYPE_CHECKING:
    from migrator.model import Endpoint


def hosted() -> bool:
    """Return whether this process serves people who must not reach the server's own files."""
    return os.environ.get("MIGRATOR_HOSTED", "").lower() in {"1", "true", "yes"}


def check(text: str, home: Path) -> str:
    """Return the endpoint ``text``. Raise ``ConfigError`` when it names a file this installation does not give access to."""
    if not text or not hosted():
        return text
    endpoint = endpoints.parse(text)
    _check_variables(endpoint)
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


def _check_variables(endpoint: Endpoint) -> None:
    """Refuse secrets from any other variable of the environment than those the cards offer: an endpoint could send them anywhere."""
    offered = {f"env:{secret.variable}" for store in stores.KNOWN if store.connector == endpoint.connector for secret in store.secrets}
    for name in sorted(secrets.SECRET_OPTIONS & endpoint.options.keys()):
        value = endpoint.options[name]
        if value.startswith("env:") and value not in offered:
            raise ConfigError(
                f"this shared installation does not read {name} from {value.removeprefix('env:')}",
                fix="type it into its field instead",
                code="variable_refused",
            )
