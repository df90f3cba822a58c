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

FILES = frozenset({"faiss", "numpy", "parquet"})
"""The connectors whose resource is a path, or a bucket."""
ADDRESSES = {
    "milvus": {"uri": "MILVUS_URI"},
    "pinecone": {"controller": "PINECONE_CONTROLLER_HOST", "host": ""},
    "numpy": {"endpoint": "AWS_ENDPOINT_URL"},
    "parquet": {"endpoint": "AWS_ENDPOINT_URL"},
    "faiss": {"endpoint": "AWS_ENDPOINT_URL"},
}
"""The options that say where a store is, with the variable of the environment that says it otherwise."""


def hosted() -> bool:
    """Return whether this process serves people who must not reach the server's own files."""
    return os.environ.get("MIGRATOR_HOSTED", "").lower() in {"1", "true", "yes"}


def check(text: str, home: Path) -> str:
    """Return the endpoint ``text``. Raise ``ConfigError`` when it names a file this installation does not give access to."""
    if not text or not hosted():
        return text
    endpoint = endpoints.parse(text)
    _check_variables(endpoint)
    _check_destination(endpoint)
    paths = [endpoint.options[name] for name in ("ids", "metadata", "ca_file") if endpoint.options.get(name)]
    if endpoint.connector == "milvus":
        paths = [uri for uri in [endpoint.options.get("uri", "")] if "://" not in uri]
    elif endpoint.connector in FILES:
        paths.append(endpoint.resource)
        paths = [path for path in paths if not endpoints.in_bucket(path)]
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


def _check_destination(endpoint: Endpoint) -> None:
    """Refuse to send a secret of the environment to an address that is not the environment's: whoever names the address would get it."""
    addresses = ADDRESSES.get(endpoint.connector, {})
    foreign = [name for name, variable in addresses.items() if endpoint.options.get(name) and endpoint.options[name] != os.environ.get(variable)]
    if not foreign:
        return
    asked = stores.named(endpoint.connector).secrets_of(endpoint.resource, endpoint.options)
    _check_ambient(endpoint, foreign[0], {endpoint.options.get(secret.name, "") for secret in asked})
    for secret in asked:
        given = endpoint.options.get(secret.name, "")
        if given.startswith("env:") or (not given and secret.variable in os.environ):
            raise ConfigError(
                f"this shared installation does not send {secret.variable} to the address in {foreign[0]}=",
                fix=f"type {secret.name} into its field, or leave {foreign[0]} out",
                code="variable_refused",
            )


def _check_ambient(endpoint: Endpoint, option: str, given: set[str]) -> None:
    """Refuse to sign in elsewhere as what Google or Azure know this server as: where no key is typed they are sent a token of its own."""
    named = [endpoint.resource, endpoint.options.get("ids", ""), endpoint.options.get("metadata", "")]
    clouds = any(endpoints.in_bucket(address) and not address.startswith("s3://") for address in named)
    typed = any(value.startswith("session:") for value in given) or endpoint.options.get("anonymous")
    if clouds and not typed:
        raise ConfigError(
            f"this shared installation does not send its own sign-in to the address in {option}=",
            fix=f"type a key into its field, or leave {option} out",
            code="variable_refused",
        )
