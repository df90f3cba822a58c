"""The folder an account is kept in: one JSON file of what the control plane knows, one journal for each index and snapshot."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Any

import orjson

from migrator.errors import ConfigError
from migrator.local_pinecone.engine.definition import Definition, Deployment

if TYPE_CHECKING:
    from pathlib import Path


class Folder:
    """``account.json``, ``indexes/<id>.log`` and ``snapshots/<id>.log`` below ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        try:
            for name in ("indexes", "snapshots"):
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the folder {root} cannot be used: {error}", fix="name a folder that can be written to", code="bad_data_folder") from error
        self._lock = (root / "lock").open("wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise ConfigError(f"another local server uses the folder {root}", fix="stop it, or name another folder", code="data_folder_busy") from None

    def release(self) -> None:
        """Let another server have the folder."""
        self._lock.close()

    def journal(self, index_id: str) -> Path:
        """Return where an index is kept."""
        return self._root / "indexes" / f"{index_id}.log"

    def snapshot(self, snapshot_id: str) -> Path:
        """Return where a collection or a backup is kept."""
        return self._root / "snapshots" / f"{snapshot_id}.log"

    def load(self) -> dict[str, Any]:
        """Return what was last saved, an empty dictionary at first."""
        file = self._root / "account.json"
        if not file.exists():
            return {}
        try:
            kept: dict[str, Any] = orjson.loads(file.read_bytes())
        except orjson.JSONDecodeError as error:
            raise ConfigError(f"{file} is not what this server wrote: {error}", fix="name another folder", code="bad_data_folder") from error
        return kept

    def save(self, state: dict[str, Any]) -> None:
        """Replace what was saved; it is whole on the disk before it takes the name."""
        file = self._root / "account.json"
        fresh = file.with_suffix(".new")
        with fresh.open("wb") as stream:
            stream.write(orjson.dumps(state, option=orjson.OPT_INDENT_2))
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)


def to_definition(saved: dict[str, Any]) -> Definition:
    """Return a definition from what ``dataclasses.asdict`` and JSON made of it."""
    deployment = dict(saved["deployment"])
    if deployment["indexed"] is not None:
        deployment["indexed"] = tuple(deployment["indexed"])
    return Definition(**{**saved, "deployment": Deployment(**deployment)})
