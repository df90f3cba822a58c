"""Bulk imports: Parquet files below ``URI/<namespace>/`` become namespaces that did not exist before, in the background."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from migrator.local_pinecone.engine.errors import ApiError, invalid, not_found
from migrator.local_pinecone.engine.parquet import ImportStoppedError, read_import

if TYPE_CHECKING:
    from migrator.local_pinecone.engine.index import Index
    from migrator.local_pinecone.engine.settings import Settings

_URI_LENGTH = 1500


@dataclass
class Import:
    """One import: ``status`` is Pending, InProgress, Failed, Completed or Cancelled."""

    id: str
    uri: str
    skip_bad_records: bool
    created_at: str
    status: str = "Pending"
    finished_at: str | None = None
    percent_complete: float = 0.0
    records_imported: int = 0
    error: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)


class Imports:
    """The imports of all indexes, each in a thread of its own. They are not kept over a restart; what they completed is."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Import]] = {}
        self._threads: list[threading.Thread] = []

    def start(self, index: Index, uri: str, error_mode: str = "continue") -> Import:
        """Begin an import from ``uri``: a local folder (a path or ``file://``) or ``s3://bucket/prefix``."""
        if index.definition.pods:
            raise invalid("Bulk import is not supported for pod-based indexes")
        if not uri or len(uri) > _URI_LENGTH:
            raise invalid(f"uri must be 1-{_URI_LENGTH} characters long")
        if error_mode not in {"abort", "continue"}:
            raise invalid(f"errorMode.onError must be 'abort' or 'continue', got '{error_mode}'")
        with self._lock:
            known = self._known.setdefault(index.id, {})
            import_ = Import(str(101 + len(known)), uri, error_mode == "continue", datetime.now(UTC).isoformat())
            known[import_.id] = import_
            thread = threading.Thread(target=self._run, args=(index, import_), name=f"import {import_.id}", daemon=True)
            self._threads.append(thread)
        thread.start()
        return import_

    def get(self, index: Index, import_id: str) -> Import:
        """Return an import. Raise a 404 when there is none."""
        found = self._known.get(index.id, {}).get(import_id)
        if found is None:
            raise not_found(f"Import {import_id} not found")
        return found

    def list(self, index: Index) -> list[Import]:
        """Return the imports of an index, newest first."""
        return list(self._known.get(index.id, {}).values())[::-1]

    def cancel(self, index: Index, import_id: str) -> None:
        """Stop an import that is not finished; its namespaces stay as they were, absent."""
        import_ = self.get(index, import_id)
        with self._lock:
            import_.stop.set()
            if import_.status in {"Pending", "InProgress"}:
                import_.status = "Cancelled"

    def forget(self, index: Index) -> None:
        """Stop every import of an index that is gone."""
        for import_ in self._known.pop(index.id, {}).values():
            import_.stop.set()

    def close(self) -> None:
        """Stop every import and wait until each has stopped."""
        for known in self._known.values():
            for import_ in known.values():
                import_.stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, index: Index, import_: Import) -> None:
        try:
            import_.stop.wait(self._settings.import_delay)
            with self._lock:
                _go_on(import_)
                import_.status = "InProgress"
            writes = read_import(index, import_, self._settings.s3_options)
            with self._lock:  # from here on it is too late to cancel
                _go_on(import_)
                index.load(writes)
                import_.percent_complete = 100.0
                import_.status = "Completed"
        except ImportStoppedError:
            import_.status = "Cancelled"
        except ApiError as error:
            if not import_.stop.is_set():
                import_.status, import_.error = "Failed", error.message
        finally:
            if import_.status == "InProgress":
                import_.status, import_.error = "Failed", "Internal error"
            import_.finished_at = datetime.now(UTC).isoformat()
            import_.finished.set()


def _go_on(import_: Import) -> None:
    if import_.stop.is_set():
        raise ImportStoppedError
