"""How far the reading of one side is, kept on disk: a proof that was interrupted goes on where it was."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from migrator.digest import BUCKETS, Digest, NamespaceDigest
from migrator.failpoints import failpoint
from migrator.model import Rejected, Split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

SECONDS = 10.0
"""Between two times that the state is written."""


@dataclass
class Reading:
    """What was read of one side, and where reading goes on."""

    splits: Sequence[Split]
    path: Path | None = None
    """Of the file that keeps the state; None keeps nothing."""
    same: Mapping[str, Any] = field(default_factory=dict)
    """What the collection looked like when the reading began: of another one nothing can be gone on with."""
    digest: Digest = field(default_factory=Digest)
    cursors: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    unreadable: list[Rejected] = field(default_factory=list)
    rows: int = 0
    """Rows of the side gone through."""
    _saved: float = field(default_factory=time.monotonic)

    def save(self, *, now: bool = False) -> None:
        """Write the state if that is due, or ``now``. The caller keeps others from changing it meanwhile."""
        if self.path is None or (not now and time.monotonic() - self._saved < SECONDS):
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "same": dict(self.same),
            "splits": [asdict(split) for split in self.splits],
            "namespaces": {name: digest.to_json() for name, digest in self.digest.namespaces.items()},
            "cursors": self.cursors,
            "done": sorted(self.done.copy()),
            "unreadable": [asdict(record) for record in self.unreadable],
            "rows": self.rows,
        }
        staged = self.path.with_suffix(".tmp")
        with staged.open("wb") as file:
            np.savez(file, counts=self.digest.counts, sums=self.digest.sums, state=np.frombuffer(json.dumps(state).encode(), np.uint8))
            file.flush()
            os.fsync(file.fileno())
        staged.replace(self.path)
        self._saved = time.monotonic()
        failpoint("proof_state_saved")


def begin(path: Path | None, same: Mapping[str, Any], splits: Callable[[], Sequence[Split]]) -> Reading:
    """Return the reading that ``path`` kept, if the collection is the ``same``, else a new one over ``splits()``.

    A store without a version cannot tell that nothing was changed since, so what was read of it before counts for nothing.
    """
    kept = _load(path, same) if path is not None and same.get("version") else None
    return kept or Reading(list(splits()), path, same)


def _load(path: Path, same: Mapping[str, Any]) -> Reading | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            state = json.loads(file["state"].tobytes())
            counts, sums = file["counts"], file["sums"]
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):  # none was kept, or the disk lost it: reading begins anew
        return None
    if state["same"] != json.loads(json.dumps(dict(same))) or counts.shape != (BUCKETS,) or sums.shape != (BUCKETS, 2):
        return None
    namespaces = {name: NamespaceDigest.from_json(row) for name, row in state["namespaces"].items()}
    return Reading(
        [Split(**split) for split in state["splits"]],
        path,
        same,
        Digest(counts, sums, namespaces),
        state["cursors"],
        set(state["done"]),
        [Rejected(**record) for record in state["unreadable"]],
        state["rows"],
    )
