"""What stores there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator import staging
from migrator.connectors import REGISTRY, connector
from migrator.endpoints import parse

if TYPE_CHECKING:
    from migrator.model import Capabilities


def stores() -> dict[str, Capabilities]:
    """Return every store there is, with its abilities; the in-memory one, which serves tests, left out."""
    return {name: connector(name).capabilities() for name in sorted(REGISTRY) if name != "memory"}


def staged_in(endpoint: str) -> str | None:
    """Return the connector whose files the target ``endpoint`` can load by itself, None where it has only the direct route."""
    return staging.loaded_from(parse(endpoint))
