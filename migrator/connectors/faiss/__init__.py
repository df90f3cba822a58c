"""Reads Faiss index files, and the folders LangChain, LlamaIndex and txtai keep them in. Faiss files are a source, never a target.

``faiss:PATH?ids=FILE&metadata=FILE&metric=cosine|dotproduct|euclidean&timeout=SECONDS``; docs/faiss.md says what applies.
"""

# ruff: noqa: PLC0415 - kept light: the worker process imports this package too, and needs none of the parts
from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.connectors.faiss.source import FaissSource
    from migrator.model import Capabilities, Endpoint, Step


def capabilities(_endpoint: Endpoint | None = None) -> Capabilities:
    """Return what a Faiss source can do and hold."""
    from migrator.model import Capabilities

    return Capabilities(writes=False, searches=True, namespaces=False, sparse=False, batch_records=10_000)


def open_source(endpoint: Endpoint) -> FaissSource:
    """Open an index for reading; see ``opening.open_source``."""
    from migrator.connectors.faiss import opening

    return opening.open_source(endpoint)


def open_target(endpoint: Endpoint) -> NoReturn:
    """Refuse: Faiss files are read only. Raise ``ConfigError``."""
    from migrator.errors import ConfigError

    raise ConfigError(
        f"Faiss files are read only, so faiss:{endpoint.resource} cannot be a target",
        fix="choose a milvus: or parquet: target; a Parquet export can be added to an index with faiss itself",
        code="read_only",
    )


def examine(endpoint: Endpoint) -> Iterator[Step]:
    """Test an endpoint step by step: files, format, sidecars, first rows."""
    from migrator.connectors.faiss import examination

    return examination.examine(endpoint)
