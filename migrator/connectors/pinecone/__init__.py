"""Pinecone: source and target by ``pinecone:INDEX``; serverless, pod and BYOC indexes, over gRPC or REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.connectors.pinecone.connection import connect
from migrator.connectors.pinecone.control import Control
from migrator.connectors.pinecone.examine import examine
from migrator.connectors.pinecone.metering import bill, price_list
from migrator.connectors.pinecone.options import read_options
from migrator.connectors.pinecone.source import PineconeSource
from migrator.connectors.pinecone.target import PineconeTarget
from migrator.errors import ConfigError
from migrator.model import Capabilities
from migrator.pinecone_protocol import limits

if TYPE_CHECKING:
    from migrator.connectors.pinecone.control import Index
    from migrator.connectors.pinecone.options import Settings
    from migrator.model import Endpoint

SETTLING_SECONDS = 30.0
"""Pinecone is eventually consistent and promises no bound; its documentation speaks of seconds."""

__all__ = ["bill", "capabilities", "examine", "open_source", "open_target", "place", "price_list"]


def capabilities(endpoint: Endpoint | None = None) -> Capabilities:
    """Return what Pinecone can hold ("Database limits" of its documentation)."""
    if endpoint is not None:
        read_options(endpoint)
    return Capabilities(
        deletes=True,
        searches=True,
        id_types=frozenset({"string"}),
        ascii_ids=True,
        max_id_bytes=limits.ID_LENGTH,
        max_metadata_bytes=limits.METADATA_BYTES,
        max_namespace_bytes=limits.ID_LENGTH,
        ascii_namespaces=True,
        max_dimension=limits.DIMENSION,
        metadata_integers="float64",
        nested_metadata=False,
        list_metadata="strings",
        max_sparse_values=limits.SPARSE_VALUES,
        null_metadata_values=False,
        zero_vectors=False,
        batch_records=2_000,
        max_batch_bytes=limits.UPSERT_BYTES,
        changes_unseen=True,
        settling_seconds=SETTLING_SECONDS,
        quick_lookups=True,
        concurrent_writes=2,
        bulk_loads=True,
        max_load_files=limits.IMPORT_FILES,
        max_load_namespaces=limits.IMPORT_NAMESPACES,
    )


def place(endpoint: Endpoint) -> str:
    """Return where an index lies: its name is one within the project that the key opens."""
    settings = read_options(endpoint)
    return f"{settings.controller} {settings.api_key} {settings.index}"


def open_source(endpoint: Endpoint) -> PineconeSource:
    """Open an index for reading. Raise ``ConfigError``: ``not_found`` when it does not exist, ``document_index`` when it holds documents."""
    settings = read_options(endpoint)
    control = Control(settings)
    try:
        index = control.describe()
        _check_ids(index, settings)
        return PineconeSource(control, connect(control, index, settings))
    except BaseException:
        control.close()
        raise


def _check_ids(index: Index, settings: Settings) -> None:
    """Raise ``ConfigError`` for ids given for an index that lists them: they would restrict nothing."""
    if not index.pod and (settings.ids is not None or settings.id_range is not None):
        message = f"index {index.name} lists its ids itself: ids= and id_range= are for pod indexes, which cannot"
        raise ConfigError(message, fix="leave them out; to copy a part, choose namespaces or a filter", code="bad_option")


def open_target(endpoint: Endpoint) -> PineconeTarget:
    """Open the control plane for writing; the index is created, or checked, by ``prepare``."""
    settings = read_options(endpoint)
    return PineconeTarget(Control(settings), settings)
