"""Milvus and Milvus Lite: source and target by ``milvus:COLLECTION?uri=./demo.db`` or ``?uri=http://host:19530``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.connectors.milvus.aliases import by_own_name
from migrator.connectors.milvus.bulk_columns import shaper
from migrator.connectors.milvus.examine import examine
from migrator.connectors.milvus.layout import METRICS
from migrator.connectors.milvus.options import read_options
from migrator.connectors.milvus.shaping import shape
from migrator.connectors.milvus.source import MilvusSource
from migrator.connectors.milvus.target import MilvusTarget
from migrator.connectors.milvus.wire import Wire
from migrator.errors import ConfigError
from migrator.model import Capabilities

if TYPE_CHECKING:
    from migrator.model import Endpoint

__all__ = ["capabilities", "examine", "open_source", "open_target", "place", "shape", "shaper"]


STAGING_PAYS_RECORDS = 200_000
"""From here on both routes took 2.3.5 the same time; below, the direct one took less (docs/benchmarks.md)."""


def capabilities(endpoint: Endpoint | None = None) -> Capabilities:
    """Return what Milvus can hold: of ``endpoint``, or with the default options."""
    settings = read_options(endpoint) if endpoint is not None else None
    return Capabilities(
        deletes=True,
        searches=True,
        max_id_bytes=settings.id_length if settings else 512,
        max_metadata_bytes=65_536,
        max_dimension=32_768,
        metric=METRICS.get(settings.metric) if settings else None,
        metadata_integers="int64",
        ids_unique_across_namespaces=settings is None or settings.namespace_mode != "collection",
        batch_records=2_000,
        max_batch_bytes=12 << 20,
        changes_unseen=settings is None or settings.path is None,  # Milvus Lite locks its file
        concurrent_writes=2,
        staging_pays_records=STAGING_PAYS_RECORDS,
        bulk_loads=settings is None or settings.path is None,
        concurrent_loads=settings.import_jobs if settings is not None else 1,
        quick_lookups=True,
    )


def place(endpoint: Endpoint) -> str:
    """Return where a collection lies, however its address is written."""
    settings = read_options(endpoint)
    where = str(settings.path.resolve()) if settings.path is not None else f"{settings.host.lower()}:{settings.port}/{settings.database or 'default'}"
    return f"{where}/{settings.collection}"


def open_source(endpoint: Endpoint) -> MilvusSource:
    """Open a collection for reading. Raise ``ConfigError`` (code ``not_found``) when it, or its Milvus Lite file, does not exist."""
    settings = read_options(endpoint)
    if settings.path is not None and not settings.path.exists():  # opening would create it
        raise ConfigError(f"the Milvus Lite file {settings.path} does not exist", fix="correct uri=", code="not_found")
    wire = Wire(settings)
    try:
        return MilvusSource(wire, settings)
    except BaseException:
        wire.close()
        raise


def open_target(endpoint: Endpoint) -> MilvusTarget:
    """Open a server or Milvus Lite file (created when missing) for writing; the collection is created by ``prepare``."""
    settings = read_options(endpoint)
    wire = Wire(settings)
    try:
        return MilvusTarget(wire, by_own_name(wire, settings))
    except BaseException:
        wire.close()
        raise
