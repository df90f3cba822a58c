"""Pinecone's own bulk import: Parquet files in a bucket become namespaces of a serverless index."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from migrator.connectors.pinecone.failures import translate
from migrator.errors import PermanentError, PlanError
from migrator.model import Finding, LoadProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.connectors.pinecone.control import Control, Index
    from migrator.connectors.pinecone.options import Settings
    from migrator.model import LoadUnit


def check(settings: Settings, index: Index | None, uri: str, server: str, controller: str) -> list[Finding]:
    """Return what to know before ``index``, None when it is yet to be made, imports from ``uri`` on ``server``, "" for AWS or a folder.

    Raise ``PlanError`` when it cannot.
    """
    if settings.pods is not None if index is None else index.pod:
        raise PlanError(f"index {settings.index} is a pod index, which cannot import files", fix="use --route direct", code="not_supported")
    cloud = settings.cloud if index is None else index.place.partition(" ")[0] if index.kind.startswith("serverless") else ""
    if uri.startswith("s3://") and cloud not in {"", "aws"}:  # what a BYOC index stands on is not said
        message = f"index {settings.index} stands on {cloud}, and only those on AWS import from S3"
        raise PlanError(message, fix="use --route direct, or an index with cloud=aws", code="staging_unreachable")
    if uri.startswith("file:") and not _on_this_machine(controller):
        message = "Pinecone cannot read a folder of this machine"
        raise PlanError(message, fix="stage in a bucket: --staging parquet:s3://bucket/prefix", code="staging_unreachable")
    if server and not _on_this_machine(controller):
        message = f"Pinecone imports from buckets on AWS, and {uri} is kept by {server}"
        raise PlanError(message, fix="stage in a bucket on AWS, or use --route direct", code="staging_unreachable")
    return [] if uri.startswith("file:") else list(_told(settings, uri, controller))


def _told(settings: Settings, uri: str, controller: str) -> Iterator[Finding]:
    if settings.integration is None:
        message = f"Pinecone reads {uri} by itself: the bucket's keys are for writing only and are not sent to it"
        fix = "for a private bucket add a storage integration to your Pinecone project, and integration=ID to the target"
        yield Finding("info", "staging_access", message, fix)
    if not _on_this_machine(controller):  # "Data ingestion overview", Import limitations
        message = "every import takes Pinecone ten minutes or more, however little there is; the estimate leaves that out"
        yield Finding("info", "import_takes", message, "for few records use --route direct")


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

    def load(self, unit: LoadUnit) -> str:
        """Start to import the folder of ``unit`` (s3://…, gs://… or an Azure address) and return the job's id; the first bad record ends it."""
        uri = unit.address
        started = self._call(f"import {uri}", lambda: self._index.start_import(uri=uri, error_mode="abort", integration_id=self._integration))
        return str(started.id)

    def loads(self, unit: LoadUnit) -> list[str]:
        """Return the ids of all imports of ``unit`` that Pinecone remembers, newest first."""
        uri = unit.address
        found = self._call("list the imports", lambda: [one for one in self._index.list_imports() if one.uri.rstrip("/") == uri.rstrip("/")])
        return [str(one.id) for one in sorted(found, key=lambda one: str(one.created_at), reverse=True)]

    def poll(self, job: str) -> LoadProgress:
        """Return how far the job is. Raise ``PermanentError``: ``import_failed`` with Pinecone's reason, or ``import_cancelled``."""
        found = self._call(f"look at import {job}", lambda: self._index.describe_import(job))
        if found.status == "Cancelled":
            raise PermanentError(f"import {job} was cancelled at Pinecone", fix="resume: the staged files are then imported anew", code="import_cancelled")
        if found.status == "Failed":
            reason = found.error or "Pinecone gives no reason"
            fix = "mend what it names, or empty the namespaces it names, then resume: the staged files are imported anew"
            raise PermanentError(f"import {job} failed: {reason}", fix=fix, code="import_failed")
        return LoadProgress(found.status == "Completed", (found.percent_complete or 0.0) / 100, found.records_imported or 0)

    def cancel(self, job: str) -> None:
        """End the job; it has no effect on one that is finished ("Cancel an import")."""
        self._call(f"cancel import {job}", lambda: self._index.cancel_import(job))

    def _call(self, what: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:
            raise translate(error, what=what, address=self._address) from error

    def close(self) -> None:
        """Close the connections. Safe twice."""
        self._index.close()
