"""Secrets by reference: ``env:NAME`` names an environment variable, ``session:NAME`` a value kept in this process only.

No secret is ever written to a plan, the ledger, a log or a report. A value a user typed is stashed here and its
reference travels instead; after a restart the reference no longer resolves and the user is asked again.
"""

from __future__ import annotations

import os
import secrets as random_tokens
import threading

from migrator.errors import ConfigError

SECRET_OPTIONS = frozenset(
    {"api_key", "token", "password", "access_key", "secret_key", "session_token", "account_key", "sas_token", "client_secret", "credentials"}
)
"""Endpoint options that hold a secret."""

_stash: dict[str, str] = {}
_provided: dict[str, str] = {}
_lock = threading.Lock()


def is_reference(text: str) -> bool:
    """Return whether ``text`` is a reference rather than a secret."""
    return text.startswith(("env:", "session:"))


def stash(value: str) -> str:
    """Keep ``value`` in this process and return its reference."""
    with _lock:
        for name, known in _stash.items():
            if known == value:
                return f"session:{name}"
        name = random_tokens.token_hex(8)
        _stash[name] = value
    return f"session:{name}"


def provide(variable: str, value: str) -> None:
    """Let ``env:VARIABLE`` stand for ``value`` in this process: the key that a configuration file gives literally.

    Not put into the environment, which child processes would inherit.
    """
    with _lock:
        _provided[variable] = value


def resolve(reference: str, *, option: str, default_env: str = "") -> str:
    """Return the secret behind ``reference``. Raise ``ConfigError`` naming ``option`` when it is gone."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        with _lock:
            provided = _provided.get(name)
        if (value := provided if provided is not None else os.environ.get(name)) is None:
            raise ConfigError(f"{option} refers to the environment variable {name}, which is not set", fix=f"export {name}=…", code="secret_missing")
        return value
    with _lock:
        known = _stash.get(name)
    if known is not None:
        return known
    if default_env and default_env in os.environ:
        return os.environ[default_env]
    hint = f"set {default_env}" if default_env else f"give {option}=env:NAME and set NAME"
    raise ConfigError(f"the {option} entered earlier is not kept across restarts", fix=f"enter it again, or {hint}", code="secret_missing")
