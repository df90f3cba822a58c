"""Takes an export away again: the files its manifest names, those only that still have the content it names, and what is staged for it."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.datasets import manifest as manifests
from migrator.datasets import staging
from migrator.datasets.naming import STAGING_FOLDER
from migrator.errors import PermanentError
from migrator.failpoints import failpoint

if TYPE_CHECKING:
    from migrator.datasets.manifest import Entry
    from migrator.datasets.places import Place

_BLOCK = 4 << 20


def published(place: Place, plan: str) -> list[Entry]:
    """Return the files of the export of ``plan`` (``manifest.identity``) that are there."""
    complete = manifests.load_manifest(place)
    if complete is None or complete.run.plan != plan:
        return []
    return [entry for entry in complete.files if place.size(entry.path) is not None]


def retract(place: Place, plan: str) -> tuple[int, list[str]]:
    """Remove the export of ``plan``, finished or not; return how many files that were, and those left because somebody changed them since.

    The manifest goes last: a call that was killed is taken up by the next. Raise ``PermanentError`` when another export is being written there.
    """
    if begun := manifests.load_publication(place):
        _own(place, begun[0].run.plan, plan)
        staging.carry_out(place, *begun)
    unfinished = manifests.load_run(place)
    if unfinished is not None:
        _own(place, unfinished.plan, plan)
    removed, left = 0, []
    for entry in published(place, plan):
        if not _unchanged(place, entry):
            left.append(entry.path)
            continue
        place.remove(entry.path)
        removed += 1
        failpoint("dataset.file_retracted")
    _forget(place, plan, left)
    return removed, left


def _own(place: Place, found: str, plan: str) -> None:
    if found != plan:
        message = f"another export is being written to {place.shown}"
        raise PermanentError(message, fix="let it come to its end, or choose by hand what is to be removed", code="target_busy")


def _unchanged(place: Place, entry: Entry) -> bool:
    """Whether the file is still what was published."""
    if place.size(entry.path) != entry.bytes:
        return False
    digest = hashlib.sha256()
    with place.open(entry.path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest() == entry.sha256


def _forget(place: Place, plan: str, left: list[str]) -> None:
    """Remove the manifest, what is staged, and the folders that are empty now; the manifest stays beside files that stay."""
    complete = manifests.load_manifest(place)
    own = complete if complete is not None and complete.run.plan == plan else None
    folders = {entry.path.rpartition("/")[0] for entry in own.files} if own is not None else set()
    if place.load(manifests.RUN) is not None:
        staging.clear(place)
    for folder in sorted(folders, reverse=True):
        place.sync(folder)
    if own is not None and not left:
        place.remove(manifests.MANIFEST)
    failpoint("dataset.retracted")
    if place.local:
        for folder in [*sorted(folders | {folder.rpartition("/")[0] for folder in folders}, reverse=True), STAGING_FOLDER]:
            if folder:
                with suppress(OSError):  # it is not empty, or not there
                    Path(place.full(folder)).rmdir()
    place.sync("")
