"""Pinecone's own bulk import: Parquet files in a bucket become namespaces of a serverless index."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from migrator.connectors.pinecone.failures import translate
from migrator.errors import PermanentError, PlanError
from migrator.model import LoadProgress

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.connectors.pinecone.control import Control, Index
    from migrator.connectors.pinecone.options import Settings

_FAILED = {"Failed", "Cancelled"}


def check(settings: Settings, index: Index | None, uri: str, controller: str) -> None:
    """Raise ``PlanError`` when ``index``, None when it is yet to be made, cannot import from ``uri``."""
    if settings.pods is not None if index is None else index.pod:
        raise PlanError(f"index {settings.index} is a pod index, which cannot import files", fix="use --route direct", code="not_supported")
    cloud = settings.cloud if index is None else index.place.partition(" ")[0] if index.kind.startswith("serverless") else ""
    if uri.startswith("s3://") and cloud not in {"", "aws"}:  # what a BYOC index stands on is not said
        message = f"index {settings.index} stands on {cloud}, and only those on AWS import from S3"
        raise PlanError(message, fix="use --route direct, or an index with cloud=aws", code="staging_unreachable")
    if uri.startswith("file:") and not _on_this_machine(controller):
        message = "Pinecone cannot read a folder of this machine"
        raise PlanError(message, fix="stage in a bucket: --staging parquet:s3://bucket/prefix", code="staging_unreachable")


def _on_this_machine(controller: str) -> bool:
    host = urlsplit(controller).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class BulkImport:
    """Starts and watches imports of one index. Namespaces that the files name must not exist yet."""

    def __init__(self, control: Control, index: Index, integration: str | None = None) -> None:
        """``integration`` is the id of the storage integration that lets Pinecone read a private bucket."""
        if index.pod:
            raise PermanentError(f"index {index.name} is a pod index, which cannot import files", fix="use the direct route", code="not_supported")
        self._address = index.host
        self._integration = integration
        self._index: Any = control.client.index(host=index.host)

    def load(self, uri: str) -> str:
        """Start to import the folder ``uri`` (s3://…, gs://… or an Azure address) and return the job's id; the first bad record ends it."""
        started = self._call(f"import {uri}", lambda: self._index.start_import(uri=uri, error_mode="abort", integration_id=self._integration))
        return str(started.id)

    def loads(self, uri: str) -> list[str]:
        """Return the ids of all imports from ``uri`` that Pinecone remembers, newest first."""
        found = self._call("list the imports", lambda: [one for one in self._index.list_imports() if one.uri.rstrip("/") == uri.rstrip("/")])
        return [str(one.id) for one in sorted(found, key=lambda one: str(one.created_at), reverse=True)]

    def poll(self, job: str) -> LoadProgress:
        """Return how far the job is. Raise ``PermanentError`` with Pinecone's reason when it failed."""
        found = self._call(f"look at import {job}", lambda: self._index.describe_import(job))
        if found.status in _FAILED:
            reason = found.error or found.status.lower()
            raise PermanentError(
                f"import {job} ended: {reason}", fix="correct the files named, and load into namespaces that do not exist", code="import_failed"
            )
        return LoadProgress(found.status == "Completed", (found.percent_complete or 0.0) / 100, found.records_imported or 0)

    def _call(self, what: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:
            raise translate(error, what=what, address=self._address) from error

    def close(self) -> None:
        """Close the connections. Safe twice."""
        self._index.close()
