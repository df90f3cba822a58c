"""Pinecone's own bulk import: Parquet files in a bucket become namespaces of a serverless index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migrator.connectors.pinecone.failures import translate
from migrator.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.connectors.pinecone.control import Control, Index

_FAILED = {"Failed", "Cancelled"}


@dataclass(frozen=True)
class Progress:
    """How far an import is."""

    done: bool
    share: float
    """0 to 1."""
    records: int
    """Imported so far."""


class BulkImport:
    """Starts and watches imports of one index. Namespaces that the files name must not exist yet."""

    def __init__(self, control: Control, index: Index) -> None:
        if index.pod:
            raise PermanentError(f"index {index.name} is a pod index, which cannot import files", fix="use the direct route", code="not_supported")
        self._address = index.host
        self._index: Any = control.client.index(host=index.host)

    def load(self, uri: str) -> str:
        """Start to import the folder ``uri`` (s3://…, gs://… or an Azure address) and return the job's id; the first bad record ends it."""
        return str(self._call(f"import {uri}", lambda: self._index.start_import(uri=uri, error_mode="abort")).id)

    def poll(self, job: str) -> Progress:
        """Return how far the job is. Raise ``PermanentError`` with Pinecone's reason when it failed."""
        found = self._call(f"look at import {job}", lambda: self._index.describe_import(job))
        if found.status in _FAILED:
            reason = found.error or found.status.lower()
            raise PermanentError(
                f"import {job} ended: {reason}", fix="correct the files named, and load into namespaces that do not exist", code="import_failed"
            )
        return Progress(found.status == "Completed", (found.percent_complete or 0.0) / 100, found.records_imported or 0)

    def _call(self, what: str, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except Exception as error:
            raise translate(error, what=what, address=self._address) from error

    def close(self) -> None:
        """Close the connections. Safe twice."""
        self._index.close()
