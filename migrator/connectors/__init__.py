"""The stores by name. Each is imported only when an endpoint names it, so a missing SDK harms nobody else."""

from __future__ import annotations

from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING, cast

from migrator.errors import ConfigError

if TYPE_CHECKING:
    from migrator.model import Endpoint
    from migrator.protocols import Connector, Source, Target

REGISTRY = {
    "faiss": "migrator.connectors.faiss",
    "memory": "migrator.connectors.memory",
    "milvus": "migrator.connectors.milvus",
    "numpy": "migrator.connectors.numpy",
    "parquet": "migrator.connectors.parquet",
    "pinecone": "migrator.connectors.pinecone",
}


def connector(name: str) -> Connector:
    """Return the connector called ``name``. Raise ``ConfigError`` when there is none."""
    if name not in REGISTRY:
        raise ConfigError(f"there is no connector called {name!r}", fix=f"use one of: {', '.join(sorted(REGISTRY))}", code="unknown_connector")
    return cast("Connector", import_module(REGISTRY[name]))


def opened_source(endpoint: Endpoint) -> closing[Source]:
    """Open ``endpoint`` for reading, for a ``with`` block."""
    return closing(connector(endpoint.connector).open_source(endpoint))


def opened_target(endpoint: Endpoint) -> closing[Target]:
    """Open ``endpoint`` for writing, for a ``with`` block."""
    return closing(connector(endpoint.connector).open_target(endpoint))
