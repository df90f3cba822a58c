"""What a Milvus target asks and tells about files it is to load by itself."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from migrator.connectors.milvus import names
from migrator.connectors.milvus.reading import RemoteReader
from migrator.connectors.milvus.source import as_key
from migrator.errors import PlanError
from migrator.model import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.connectors.milvus.layout import Layout
    from migrator.connectors.milvus.options import Settings
    from migrator.connectors.milvus.reading import Place
    from migrator.connectors.milvus.wire import Wire

BUCKETS = ("s3://", "gs://", "az://")
_ASKED_AT_ONCE = 1_000


def check(settings: Settings, uri: str, server: str) -> list[Finding]:
    """Return what to know before a server loads from ``uri``, kept by ``server``, "" for a cloud's own. Raise ``PlanError`` when it cannot."""
    if settings.path is not None:
        raise PlanError("Milvus Lite has no bulk load", fix="use --route direct", code="not_supported")
    if uri.startswith("file:"):
        return _folder(settings, uri)
    if not uri.startswith(BUCKETS):
        raise PlanError(f"Milvus cannot read {uri}", fix="stage in a bucket: s3://, gs:// or az://", code="staging_unreachable")
    if settings.managed:
        return _cloud(settings, uri, server)
    kept = f"{uri} at {server}" if server else uri
    message = f"Milvus imports from its own storage only, and does not tell which that is: {kept} must be in the bucket of minio.bucketName in its milvus.yaml"
    return [Finding("info", "staging_access", message, "stage there; a wrong bucket ends in a failed import that names the missing file, and changes nothing")]


def _folder(settings: Settings, uri: str) -> list[Finding]:
    if not _on_this_machine(settings.host):
        message = f"Milvus at {settings.address} cannot read a folder of this machine"
        raise PlanError(message, fix="stage in the bucket that this Milvus uses: s3://bucket/prefix", code="staging_unreachable")
    message = f"Milvus can read {uri} only if it keeps its data on a disk (common.storageType: local) and has the right to read that folder"
    return [Finding("info", "staging_access", message, "stage there, or, for a Milvus over object storage, in its bucket: s3://bucket/prefix")]


def _cloud(settings: Settings, uri: str, server: str) -> list[Finding]:
    if server:
        message = f"Zilliz Cloud imports from the buckets of its cloud, and {uri} is kept by {server}"
        raise PlanError(message, fix="stage in a bucket of the cluster's cloud and region, or use --route direct", code="staging_unreachable")
    if settings.access_key and settings.secret_key:
        return []
    message = f"Zilliz Cloud reads {uri} by itself, and the target has no keys to give it"
    return [Finding("info", "staging_access", message, "for a private bucket add access_key= and secret_key= to the target")]


def _on_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_key(layout: Layout, settings: Settings) -> None:
    """Raise ``PlanError`` when ids may be longer than the key field takes: an import, unlike an insert, stores them all the same (seen on 2.3.5)."""
    most = layout.key.max_length
    if layout.id_type == "string" and most and most < settings.id_length:
        message = (
            f"collection {layout.collection} takes ids of {most} bytes at most, and the target allows {settings.id_length}, which a bulk load does not check"
        )
        raise PlanError(message, fix=f"add id_length={most} to the target: longer ids are then rejected and named", code="id_length_differs")


def holds(wire: Wire, layout: Layout, place: Place, ids: Sequence[str]) -> bool:
    """Return whether any of ``ids`` is at ``place`` now, at consistency Strong."""
    reader = RemoteReader(wire)
    keys = [key for key in (as_key(name, layout) for name in ids) if key is not None]
    for start in range(0, len(keys), _ASKED_AT_ONCE):
        filters = names.among(layout.key.name, keys[start : start + _ASKED_AT_ONCE])
        if reader.count(layout, place, filters):
            return True
    return False
