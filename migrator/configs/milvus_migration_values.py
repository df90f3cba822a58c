"""How values of a ``migration.yaml`` are read: texts that may be placeholders, addresses, and secrets, which become references."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from migrator.errors import ConfigError

if TYPE_CHECKING:
    from migrator.configs.dotted import Dotted
    from migrator.model import Finding

WHAT = "migration.yaml"
_REFERENCE = re.compile(r"(?:env:|\$)\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
_PLACEHOLDER = re.compile(r"<.*>|\{.*\}|[x*]{3,}|\W*your\W?.*", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:(https?)://)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(/[^\s?#@]*)?", re.IGNORECASE)
_EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - nothing is bound to it
_LAST_PORT = 65_535


@dataclass(frozen=True)
class Reading:
    """A configuration being read, with what is to be said of its keys."""

    found: Dotted
    notes: list[Finding]
    secrets: dict[str, str] = field(repr=False)
    """Environment variable -> the secret given literally."""

    def note(self, key: str, message: str, fix: str = "") -> None:
        """Say what became of ``key``."""
        self.notes.append(self.found.note(key, message, fix))

    def not_needed(self, keys: tuple[str, ...], why: str) -> None:
        """Say of each of ``keys`` that is given why it is not needed."""
        for key in keys:
            if self.found.has(key):
                self.note(key, f"is not needed: {why}")

    def text(self, key: str) -> str:
        """Return a text, ``""`` when it is not given or a placeholder."""
        text = (self.found.text(key) or "").strip()
        return "" if _PLACEHOLDER.fullmatch(text) else text

    def required(self, key: str, fix: str) -> str:
        """Return a text. Raise ``ConfigError`` when there is none, saying whether a placeholder stands there."""
        if text := self.text(key):
            return text
        message = f"{WHAT}: {self.found.spelling(key)} is a placeholder" if self.found.text(key) else f"{WHAT} has no {key}"
        raise ConfigError(message, fix=fix, code="missing_key")

    def reference(self, key: str, variable: str) -> str:
        """Return the reference that stands for a secret in the plan: to the variable the file names, or to ``variable``, which takes the secret."""
        text = self.text(key)
        if named := _REFERENCE.fullmatch(text):
            return f"env:{named[1]}"
        if text:
            self.secrets[variable] = text
            message = f"is a secret that anyone with the file can use; the plan names the environment variable {variable} in its place"
            self.note(key, message, f"export {variable}=…, and write {key.rpartition('.')[2]}: env:{variable} in {WHAT}")
        return f"env:{variable}"

    def address(self, key: str) -> tuple[str, str, str] | None:
        """Return scheme (``""`` when none is given), host with port, and path of an address, None when it is not given."""
        text = (self.found.text(key) or "").strip()
        if not text:
            return None
        given = _ADDRESS.fullmatch(text)
        if given is None or _PLACEHOLDER.fullmatch(given[2]) or not int(given[3] or 1) <= _LAST_PORT:
            self.found.refuse(key, "no address", "write host:port, for example localhost:19530 or 127.0.0.1:9000")
        scheme, host, port = (given[1] or "").lower(), given[2], given[3]
        if here := _EVERY_INTERFACE.get(host):
            self.note(key, f"{host} stands for every interface of a server and is none to connect to; {here} is used", "write the address of the server")
        return scheme, (here or host) + (f":{port}" if port else ""), (given[4] or "").rstrip("/")
