"""The files a run leaves, with sizes and checksums, for downloading."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from migrator import planning
from migrator.configs import dump_plan
from migrator.runs import result, searches
from migrator.verify.comparison import DIFFERENCES

if TYPE_CHECKING:
    from pathlib import Path

    from migrator.runs.manager import Manager


def listed(manager: Manager, run: str) -> list[dict[str, Any]]:
    """Return the run's report, all its differences, what its last search found, its rejected records, its plan, and what it exported."""
    plan, folder = manager.plan(run), manager.folder(run)
    plan_file = folder / "plan.yaml"
    plan_file.write_text(dump_plan(plan), encoding="utf-8")
    rejected = result.write_rejected(manager.ledger, run, folder)
    own = [
        ("report", folder / "report.html"),
        ("differences", folder / DIFFERENCES),
        ("search", folder / searches.FILE),
        ("rejected", rejected),
        ("plan", plan_file),
    ]
    found = [_artifact(kind, path) for kind, path in own if path is not None and path.exists() and path.stat().st_size]
    return found + list(planning.exported_files(plan))


def differences(folder: Path) -> Path | None:
    """Return the file in ``folder`` with all differences of the last proof, None when there are none."""
    path = folder / DIFFERENCES
    return path if path.exists() and path.stat().st_size else None


def _artifact(kind: str, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"kind": kind, "name": path.name, "path": str(path), "bytes": path.stat().st_size, "sha256": digest}
