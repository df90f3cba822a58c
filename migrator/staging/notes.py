"""What a run remembers of the jobs that load its files: one small file, which appears whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Note:
    """What is remembered of the load of one unit."""

    before: tuple[str, ...]
    """Jobs of this unit that are not ours, or that failed."""
    job: str = ""
    """"" until it is known."""
    failed: str = ""
    """Why the first job failed."""
    done: bool = False
    """Whether the job brought what it should."""
    records: int = 0
    """That it brought, as the store counts them."""


@dataclass
class Notes:
    """The notes of a run, by the address of the unit."""

    path: Path
    units: dict[str, Note]
    done: bool = False
    """Whether all is loaded and ready: the files may be gone by now."""

    @classmethod
    def read(cls, path: Path) -> Notes:
        """Return what was noted; nothing when there is no file."""
        if not path.exists():
            return cls(path, {})
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(path, {address: _note(note) for address, note in found["units"].items()}, found["done"])

    def put(self, address: str, note: Note) -> Note:
        """Remember ``note``, durably, and return it."""
        self.units[address] = note
        self.save()
        return note

    def forget(self, address: str) -> None:
        """Remember nothing of a unit any more."""
        del self.units[address]
        self.save()

    def save(self) -> None:
        staged = self.path.with_suffix(".tmp")
        with staged.open("w", encoding="utf-8") as file:
            json.dump({"done": self.done, "units": {address: asdict(note) for address, note in self.units.items()}}, file)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _note(found: Mapping[str, object]) -> Note:
    return Note(**{**found, "before": tuple(found["before"])})  # type: ignore[arg-type]
