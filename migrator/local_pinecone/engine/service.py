"""The whole account: API keys, indexes and what is made from them, kept in a folder when there is one."""

from __future__ import annotations

import threading
import uuid
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from migrator.local_pinecone.engine import account, naming
from migrator.local_pinecone.engine.errors import already_exists, forbidden, invalid, not_found, unauthenticated
from migrator.local_pinecone.engine.imports import Imports
from migrator.local_pinecone.engine.index import Index
from migrator.local_pinecone.engine.settings import Settings
from migrator.local_pinecone.engine.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from migrator.local_pinecone.engine.definition import Definition
    from migrator.local_pinecone.engine.journal import Entry
    from migrator.local_pinecone.engine.snapshots import Snapshot

T = TypeVar("T")


class Engine:
    """Thread-safe. With ``data``, every acknowledged change is in that folder (how safely: see ``journal``) and is there at the next start."""

    def __init__(self, settings: Settings | None = None, data: Path | None = None) -> None:
        self.settings = settings or Settings()
        self.lock = threading.RLock()
        self.indexes: dict[str, Index] = {}
        self.host_of: Callable[[str], str | None] = lambda _: None
        """The address of the data plane of the index with a name, scheme included; set by the server that listens there."""
        self.folder = account.Folder(data) if data else None
        kept: dict[str, Any] = self.folder.load() if self.folder else {}
        self.snapshots = Snapshots(self.settings, self.folder, kept)
        self.imports = Imports(self.settings)
        for entry in kept.get("indexes", []):
            self._reopen(entry)

    def authenticate(self, api_key: str | None) -> None:
        """Raise a 401 unless the key is let in."""
        keys = self.settings.api_keys
        if not api_key or (keys is not None and api_key not in keys):
            raise unauthenticated()

    def index(self, name: str) -> Index:
        """Return the index called ``name``. Raise a 404 when there is none."""
        with self.lock:
            if name not in self.indexes:
                raise not_found(f"Index {name} not found.")
            return self.indexes[name]

    def has_index(self, name: str) -> bool:
        """Tell whether there is an index called ``name``."""
        with self.lock:
            return name in self.indexes

    def index_for(self, host_header: str) -> Index:
        """Return the index a data-plane request is meant for, by its ``Host`` header: the address we gave, or a name whose first part is the index's."""
        with self.lock:
            for index in self.indexes.values():
                own = self.host_of(index.definition.name)
                if (own and urlsplit(own).netloc == host_header) or host_header.split(".", maxsplit=1)[0] == index.definition.name:
                    return index
        raise not_found(f"No index is served at {host_header}")

    def create(self, definition: Definition) -> Index:
        """Create an index, filled from its source collection if it names one."""
        naming.check_name(definition.name)
        naming.check_tags(definition.tags)
        with self.lock:
            if definition.name in self.indexes:
                raise already_exists()
            if definition.pods and not self.settings.pods_creatable:
                raise forbidden("Pod-based indexes are not available to this account. Create a serverless index instead.")
            source = None if definition.source_collection is None else self.snapshots.collection(definition.source_collection)
            if source is not None and source.definition.dimension != definition.dimension:
                raise invalid(f"Dimension {definition.dimension} does not match the dimension {source.definition.dimension} of the source collection")
            return self._add(definition, () if source is None else self.snapshots.writes(source))

    def restore(self, backup_id: str, changes: Mapping[str, Any]) -> dict[str, str]:
        """Create an index from a backup; ``changes`` are attributes of its definition. Return ids of the restore job and the index."""
        naming.check_name(str(changes.get("name", "")))
        naming.check_tags(changes.get("tags", {}))
        with self.lock:
            backup = self.snapshots.backup(backup_id)
            definition = replace(backup.definition, deletion_protection="disabled", source_backup_id=backup_id)
            definition = replace(definition, source_collection=None, **changes)
            if definition.name in self.indexes:
                raise already_exists()
            index = self._add(definition, self.snapshots.writes(backup))
            job = self.snapshots.add_restore_job(backup_id, index)
            self.save()
        return {"restore_job_id": job, "index_id": index.id}

    def make_collection(self, name: str, source: str) -> Snapshot:
        """Make a collection from the pod index called ``source``."""
        return self._kept(lambda: self.snapshots.add_collection(name, self.index(source)))

    def delete_collection(self, name: str) -> None:
        """Delete a collection."""
        self._kept(lambda: self.snapshots.delete_collection(name))

    def make_backup(self, index_name: str, name: str, description: str) -> Snapshot:
        """Make a backup of a serverless index."""
        return self._kept(lambda: self.snapshots.add_backup(self.index(index_name), name, description))

    def delete_backup(self, backup_id: str) -> None:
        """Delete a backup."""
        self._kept(lambda: self.snapshots.delete_backup(backup_id))

    def configure(self, name: str, **changes: Any) -> Index:
        """Change attributes of an index's definition; tags are merged, an empty value removes one."""
        with self.lock:
            index = self.index(name)
            if "tags" in changes:
                naming.check_tags(changes["tags"])
                tags = {**index.definition.tags, **changes["tags"]}
                changes["tags"] = {key: value for key, value in tags.items() if value != ""}
            if {"deployment", "read_capacity"} & changes.keys():
                index.settled_at = self.settings.clock() + self.settings.ready_delay
            index.definition = replace(index.definition, **changes)
            self.save()
            return index

    def delete(self, name: str) -> None:
        """Delete an index with all its records."""
        with self.lock:
            index = self.index(name)
            if index.definition.deletion_protection == "enabled":
                raise forbidden("Deletion protection is enabled for this index. Disable deletion protection before retrying.")
            del self.indexes[name]
            self.snapshots.source_deleted(index)
            self.save()
        self.imports.forget(index)
        index.discard()

    def save(self) -> None:
        """Keep what the control plane knows."""
        if self.folder is None:
            return
        entries = [{"id": index.id, "created_at": index.created_at, "definition": asdict(index.definition)} for index in self.indexes.values()]
        self.folder.save({"indexes": entries, **self.snapshots.to_json()})

    def close(self) -> None:
        """Stop what is under way, and leave everything on the disk."""
        self.imports.close()
        with self.lock:
            self.save()
            for index in self.indexes.values():
                index.close()
            if self.folder is not None:
                self.folder.release()
                self.folder = None

    def _kept(self, change: Callable[[], T]) -> T:
        with self.lock:
            result = change()
            self.save()
        return result

    def _add(self, definition: Definition, writes: Iterable[Entry]) -> Index:
        index = self._open(definition, str(uuid.uuid4()), datetime.now(UTC).isoformat())
        index.ready_at = index.settled_at = self.settings.clock() + self.settings.ready_delay
        index.load(writes)
        self.indexes[definition.name] = index
        self.save()
        return index

    def _open(self, definition: Definition, id_: str, created_at: str) -> Index:
        journal = self.folder.journal(id_) if self.folder else None
        return Index(definition, self.settings, id_=id_, created_at=created_at, journal=journal)

    def _reopen(self, entry: dict[str, Any]) -> None:
        definition = account.to_definition(entry["definition"])
        index = self._open(definition, entry["id"], entry["created_at"])
        self.indexes[definition.name] = index
