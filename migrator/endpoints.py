"""Endpoints as text: ``connector:resource?option=value`` and back, with secrets turned into references."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, unquote

from migrator import secrets
from migrator.errors import ConfigError
from migrator.model import Endpoint

_OPTIONS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=[^&]*(&[A-Za-z_][A-Za-z0-9_]*=[^&]*)*\Z")


BUCKETS = ("s3://", "gs://", "az://", "abfs://", "abfss://")
"""How the address of something in an object store begins; everything else that is a path is one of this machine."""


def in_bucket(text: str) -> bool:
    """Return whether ``text`` is the address of something in an object store."""
    return text.startswith(BUCKETS)


def parse(text: str) -> Endpoint:
    """Return the endpoint ``text`` names. A secret given literally is stashed and replaced by its reference.

    Raise ``ConfigError`` when there is no connector, or an option appears twice.
    """
    connector, colon, rest = text.partition(":")
    if not colon or not re.fullmatch(r"[a-z][a-z0-9_]*", connector):
        raise ConfigError(
            f"{text.partition('?')[0]!r} is not an endpoint", fix="write connector:resource, for example faiss:./photos.index", code="bad_endpoint"
        )
    resource, mark, tail = rest.rpartition("?")
    if not mark or not _OPTIONS.match(tail):
        resource, tail = rest.removesuffix("?"), ""
    options: dict[str, str] = {}
    for pair in filter(None, tail.split("&")):
        name, _, value = pair.partition("=")
        if name in options:
            raise ConfigError(f"option {name} is given twice in {connector}:{resource}", fix=f"keep one {name}=", code="bad_endpoint")
        options[name] = _referenced(name, unquote(value))
    return Endpoint(connector, resource, options)


def _referenced(name: str, value: str) -> str:
    if name in secrets.SECRET_OPTIONS and value and not secrets.is_reference(value):
        return secrets.stash(value)
    return value


def render(endpoint: Endpoint) -> str:
    """Return the text ``parse`` reads back; secrets appear as their references only."""
    options = "&".join(f"{name}={quote(value, safe='/:.,@ ~+')}" for name, value in endpoint.options.items())
    return f"{endpoint.connector}:{endpoint.resource}" + (f"?{options}" if options else "")


def check_options(endpoint: Endpoint, known: frozenset[str]) -> None:
    """Raise ``ConfigError`` naming the first option of ``endpoint`` that its connector does not know."""
    for name in endpoint.options:
        if name not in known:
            raise ConfigError(
                f"{endpoint.connector} has no option {name!r}",
                fix=f"use one of: {', '.join(sorted(known))}",
                code="unknown_option",
            )


def flag(endpoint: Endpoint, name: str, *, default: bool = False) -> bool:
    """Return a yes/no option. Raise ``ConfigError`` for anything but true/false, yes/no, 1/0."""
    text = endpoint.options.get(name, "").lower()
    if not text:
        return default
    if text in {"true", "yes", "1"}:
        return True
    if text in {"false", "no", "0"}:
        return False
    raise ConfigError(f"{name}={text} of {endpoint.connector} is neither true nor false", fix=f"write {name}=true or {name}=false", code="bad_option")


def whole_number(endpoint: Endpoint, name: str, *, default: int, least: int = 1, most: int = 2**31 - 1) -> int:
    """Return an integer option. Raise ``ConfigError`` when it is not a whole number from ``least`` to ``most``."""
    text = endpoint.options.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"-?\d+", text) or not least <= int(text) <= most:
        raise ConfigError(f"{name}={text} of {endpoint.connector} is not a whole number from {least} to {most}", fix=f"correct {name}=", code="bad_option")
    return int(text)


def json_object(endpoint: Endpoint, name: str, example: str) -> dict[str, Any] | None:
    """Return an option that is a JSON object, None when it is not given. Raise ``ConfigError``, with ``example``, when it is something else."""
    text = endpoint.options.get(name)
    if not text:
        return None
    fix = f"write {name}={example}"
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{name} of {endpoint.connector} is no JSON: {error}", fix=fix, code="bad_option") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{name} of {endpoint.connector} is no JSON object", fix=fix, code="bad_option")
    return value
