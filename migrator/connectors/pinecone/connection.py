"""An open connection to one index: what it is, its data plane, and the pace of each kind of request."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from migrator.connectors.pinecone.grpc_plane import GrpcPlane
from migrator.connectors.pinecone.pace import Pace
from migrator.connectors.pinecone.rest_plane import RestPlane
from migrator.errors import ConfigError, ConnectorError, MigratorError, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.connectors.pinecone.control import Control, Index
    from migrator.connectors.pinecone.options import Settings
    from migrator.connectors.pinecone.wire import DataPlane
    from migrator.model import Metric

_METRICS: tuple[Metric, ...] = ("cosine", "dotproduct", "euclidean")


@dataclass(frozen=True)
class Connection:
    """Everything one side of a migration needs of an index."""

    settings: Settings
    index: Index
    plane: DataPlane
    dimension: int
    metric: Metric | None
    sparse_only: bool
    fetching: Pace = field(default_factory=Pace)
    listing: Pace = field(default_factory=Pace)
    querying: Pace = field(default_factory=Pace)
    updating: Pace = field(default_factory=Pace)


def connect(control: Control, index: Index, settings: Settings) -> Connection:
    """Open the data plane of ``index``. Raise ``TransientError`` while the index is being made, ``ConfigError`` when host= is another's."""
    host = host_of(index, settings)
    if not host or (not index.ready and index.state.startswith(("Initializ", "Terminat"))):
        raise TransientError(f"index {index.name} is {index.state}", fix="wait until it is ready")
    plane = plane_to(control, index, host, settings)
    dimension, metric = index.dimension, index.metric
    if dimension is None:  # an index with a model of its own: only its statistics know
        found = plane.stats()
        dimension, metric = found.dimension, next((name for name in _METRICS if name == found.metric), None)
        plane.close()
        plane = plane_to(control, replace(index, dimension=dimension), host, settings)
    return Connection(settings, index, plane, dimension, metric, sparse_only=not dimension)


def host_of(index: Index, settings: Settings) -> str:
    """Return the address of the data plane of ``index``. Raise ``ConfigError`` (``host_differs``) when ``host=`` is not its own.

    Whatever answers at another address may be another index, which would be read, or written over, under the name of this one.
    """
    given = settings.host
    if not given or not index.host:
        return given or index.host
    if _place(given) not in {_place(host) for host in (index.host, index.private_host, _private(index.host)) if host}:
        message = f"host={_shown(given)} is not the host of index {index.name}, which Pinecone says is {_shown(index.host)}"
        raise ConfigError(message, fix="leave host= out, or correct the index's name", code="host_differs")
    return given


def _shown(host: str) -> str:
    return host.partition("://")[2]


def _place(host: str) -> tuple[str, int]:
    """Return host and port of a URL."""
    parts = urlsplit(host)
    return (parts.hostname or "").rstrip("."), parts.port or (80 if parts.scheme == "http" else 443)


def _private(host: str) -> str:
    """Return the private endpoint of a host of Pinecone's ("Configure Private Endpoints"), "" for other hosts."""
    return host.replace(".svc.", ".svc.private.", 1) if (urlsplit(host).hostname or "").endswith(".pinecone.io") else ""


def plane_to(control: Control, index: Index, host: str, settings: Settings) -> DataPlane:
    """Return the data plane the settings ask for; ``auto`` takes REST where gRPC cannot get through but REST can."""
    dimension = index.dimension or 0
    if settings.transport == "rest":
        return RestPlane(control, host, dimension)
    grpc = GrpcPlane(settings, host, dimension)
    if settings.transport == "grpc":
        return grpc
    try:
        grpc.stats()
    except ConnectorError as refusal:
        if not isinstance(refusal, TransientError) and refusal.code != "not_supported":
            grpc.close()
            raise
        return _rest_instead(control, host, dimension, grpc, refusal)
    return grpc


def _rest_instead(control: Control, host: str, dimension: int, grpc: DataPlane, refusal: ConnectorError) -> DataPlane:
    """Return REST when it works, after gRPC did not; otherwise gRPC's own refusal stands."""
    grpc.close()
    rest = RestPlane(control, host, dimension)
    try:
        rest.stats()
    except MigratorError:
        rest.close()
        raise refusal from None
    return rest


def id_of_no_record() -> str:
    """Return an id to delete for a write that changes nothing."""
    return f"migrator-{uuid.uuid4()}"


def delete(connection: Connection, ids: Sequence[str], namespace: str) -> None:
    """Delete up to 1,000 ids. A namespace that does not exist is answered 404, and holds none of them."""
    try:
        connection.plane.delete(namespace, ids)
    except PermanentError as error:
        if error.code != "not_found":
            raise


def require_dense(connection: Connection, what: str) -> None:
    """Raise ``ConfigError`` when an index has no dense vectors for ``what``."""
    if connection.sparse_only:
        raise ConfigError(f"index {connection.index.name} holds sparse vectors only and cannot {what}", fix="choose a dense index", code="sparse_only")
