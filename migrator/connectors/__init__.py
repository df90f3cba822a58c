"""The stores by name. Each is imported only when an endpoint names it, so a missing SDK harms nobody else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from migrator.errors import ConfigError

if TYPE_CHECKING:
    from migrator.protocols import Connector

REGISTRY = {
    "faiss": "migrator.connectors.faiss",
    "memory": "migrator.connectors.memory",
    "milvus": "migrator.connectors.milvus",
    "parquet": "migrator.connectors.parquet",
}


def connector(name: str) -> Connector:
    """Return the connector called ``name``. Raise ``ConfigError`` when there is none."""
    if name not in REGISTRY:
        raise ConfigError(f"there is no connector called {name!r}", fix=f"use one of: {', '.join(sorted(REGISTRY))}", code="unknown_connector")
    return cast("Connector", import_module(REGISTRY[name]))
