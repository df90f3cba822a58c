"""What is made from an index and outlives it: collections (from pods), backups (from serverless), and the jobs that restore them."""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from migrator.local_pinecone.engine import naming
from migrator.local_pinecone.engine.account import Folder, to_definition
from migrator.local_pinecone.engine.errors import already_exists, failed_precondition, invalid, not_found
from migrator.local_pinecone.engine.journal import replay, rewrite
from migrator.local_pinecone.engine.operations import State, copy_of, writes_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migrator.local_pinecone.engine.definition import Definition
    from migrator.local_pinecone.engine.index import Index
    from migrator.local_pinecone.engine.journal import Entry
    from migrator.local_pinecone.engine.settings import Settings


@dataclass
class Snapshot:
    """The records of an index at one moment. ``ready_at`` is on the settings' clock."""

    id: str
    name: str
    definition: Definition
    source_index_id: str
    created_at: str
    records: int
    namespaces: int
    bytes: int
    description: str = ""
    source_deleted_at: str | None = None
    ready_at: float = 0.0


@dataclass(frozen=True)
class RestoreJob:
    """The filling of an index from a backup."""

    id: str
    backup_id: str
    index_name: str
    index_id: str
    created_at: str
    ready_at: float = 0.0


class Snapshots:
    """All collections, backups and restore jobs. The account's lock is held by every caller."""

    def __init__(self, settings: Settings, folder: Folder | None, kept: dict[str, Any]) -> None:
        self._settings = settings
        self._folder = folder
        self._states: dict[str, State] = {}
        self.collections = {entry["name"]: _revived(entry) for entry in kept.get("collections", [])}
        self.backups = {entry["id"]: _revived(entry) for entry in kept.get("backups", [])}
        self.restore_jobs = {entry["id"]: RestoreJob(**{**entry, "ready_at": 0.0}) for entry in kept.get("restore_jobs", [])}

    def to_json(self) -> dict[str, Any]:
        """Return what is to be kept, without the records."""
        return {
            "collections": [asdict(one) for one in self.collections.values()],
            "backups": [asdict(one) for one in self.backups.values()],
            "restore_jobs": [asdict(one) for one in self.restore_jobs.values()],
        }

    def is_ready(self, one: Snapshot | RestoreJob) -> bool:
        """Tell whether what was begun is finished."""
        return self._settings.clock() >= one.ready_at

    def collection(self, name: str) -> Snapshot:
        """Return a collection. Raise a 404 when there is none."""
        if name not in self.collections:
            raise not_found(f"Collection {name} not found.")
        return self.collections[name]

    def backup(self, backup_id: str) -> Snapshot:
        """Return a backup. Raise a 404 when there is none."""
        if backup_id not in self.backups:
            raise not_found(f"Backup {backup_id} not found.")
        return self.backups[backup_id]

    def restore_job(self, job_id: str) -> RestoreJob:
        """Return a restore job. Raise a 404 when there is none."""
        if job_id not in self.restore_jobs:
            raise not_found(f"Restore job {job_id} not found.")
        return self.restore_jobs[job_id]

    def add_collection(self, name: str, index: Index) -> Snapshot:
        """Make a collection from a pod index."""
        naming.check_name(name)
        if not index.definition.pods:
            raise invalid("Source index is serverless. Collections can only be created from pod-based indexes.")
        if name in self.collections:
            raise already_exists()
        self.collections[name] = snapshot = self._take(index, name, "")
        return snapshot

    def add_backup(self, index: Index, name: str, description: str) -> Snapshot:
        """Make a backup of a serverless index."""
        if index.definition.pods:
            raise invalid("Backups are not supported for pod-based indexes. Create a collection instead.")
        snapshot = self._take(index, name, description)
        self.backups[snapshot.id] = snapshot
        return snapshot

    def delete_collection(self, name: str) -> None:
        """Delete a collection."""
        self._drop(self.collection(name))
        del self.collections[name]

    def delete_backup(self, backup_id: str) -> None:
        """Delete a backup that no unfinished job needs."""
        backup = self.backup(backup_id)
        waiting = [job.id for job in self.restore_jobs.values() if job.backup_id == backup_id and not self.is_ready(job)]
        if waiting:
            raise failed_precondition(f"Unable to delete backup. There are pending restore jobs for this backup: {waiting}")
        self._drop(backup)
        del self.backups[backup_id]

    def add_restore_job(self, backup_id: str, index: Index) -> str:
        """Note that ``index`` is filled from a backup. Return the job's id."""
        job = RestoreJob(str(uuid.uuid4()), backup_id, index.definition.name, index.id, _now(), index.ready_at)
        self.restore_jobs[job.id] = job
        return job.id

    def writes(self, snapshot: Snapshot) -> Iterable[Entry]:
        """Return the writes that make an index of a snapshot."""
        if not self.is_ready(snapshot):
            raise failed_precondition(f"{snapshot.name or snapshot.id} is not ready yet")
        if self._folder is not None:
            return replay(self._folder.snapshot(snapshot.id))
        return writes_of(self._states[snapshot.id])

    def source_deleted(self, index: Index) -> None:
        """Note on the backups of ``index`` that it is gone."""
        for backup in self.backups.values():
            if backup.source_index_id == index.id:
                backup.source_deleted_at = _now()

    def _take(self, index: Index, name: str, description: str) -> Snapshot:
        id_ = str(uuid.uuid4())
        with index.lock:
            index.settle()
            tables = index.state.tables.values()
            records = sum(map(len, tables))
            if self._folder is not None:
                rewrite(self._folder.snapshot(id_), writes_of(index.state))
            else:
                self._states[id_] = copy_of(index.state)
            size = records * 4 * (index.definition.dimension or 0)
            snapshot = Snapshot(id_, name, index.definition, index.id, _now(), records, len(tables), size, description)
        snapshot.ready_at = self._settings.clock() + self._settings.ready_delay
        return snapshot

    def _drop(self, snapshot: Snapshot) -> None:
        self._states.pop(snapshot.id, None)
        if self._folder is not None:
            self._folder.snapshot(snapshot.id).unlink(missing_ok=True)


def _revived(entry: dict[str, Any]) -> Snapshot:
    return Snapshot(**{**entry, "definition": to_definition(entry["definition"]), "ready_at": 0.0})


def _now() -> str:
    return datetime.now(UTC).isoformat()
