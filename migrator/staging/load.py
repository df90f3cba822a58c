"""One bulk load, started once and watched to its end, whatever kills happen meanwhile.

A start cannot be taken back, and a kill may come between the store's answer and our note of it. So the intention is noted first, with
the jobs that stood at the address before: a job found there later that was not among them is ours, and is watched instead of starting another.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from migrator.errors import MigratorError, PermanentError
from migrator.failpoints import failpoint
from migrator.model import LoadProgress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from migrator.protocols import BulkLoader

PAUSES = (0.2, 15.0)
"""Seconds between two looks at a job: the first, growing to the longest. A load takes minutes to hours."""
_OVER = ("import_failed", "import_cancelled", "not_found")
"""Codes of errors after which a job will not bring anything any more."""
_NOTHING = LoadProgress(done=False, share=0.0, records=0)
_SHARE_SAID = 0.1
"""How much further a job must be to be worth another line in the log."""


class Patiently(Protocol):
    """Calls again after transient errors (``migrator.retry``)."""

    def __call__(self, doing: str, action: Callable[[], Any]) -> Any: ...


@dataclass(frozen=True)
class Watch:
    """What a load needs of the run it belongs to."""

    note: Path
    """File in which the run remembers its load."""
    rest: Callable[[float], None]
    """Waits so many seconds; raises when the run was asked to stop."""
    log: Callable[[str, str], None]
    patiently: Patiently
    saw: Callable[[str, LoadProgress], None]
    """Told at each look how far a job is; of the job "" when one is over without having brought anything."""
    cancelled: Callable[[], bool]
    """Whether the run was asked to end for good: its job at the store is then to end with it."""


@dataclass(frozen=True)
class Note:
    """What the run remembers of its load."""

    before: tuple[str, ...]
    """Jobs of this address that are not ours, or that failed."""
    job: str = ""
    """"" until it is known."""
    failed: str = ""
    """Why the first job failed."""
    done: bool = False

    def save(self, path: Path) -> None:
        """Write the note; it appears whole or not at all, and stays."""
        staged = path.with_suffix(".tmp")
        with staged.open("w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def noted(path: Path) -> Note | None:
    """Return what was noted, or None when nothing was."""
    if not path.exists():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))
    return Note(**{**found, "before": tuple(found["before"])})


def load(loader: BulkLoader, uri: str, watch: Watch) -> LoadProgress:
    """Have ``uri`` loaded, or go on watching the load begun before; return its last state.

    A failed job is started once more. Raise ``PermanentError`` with the store's reason when that fails as well, or when somebody cancelled it;
    a later call starts anew.
    """
    note = noted(watch.note)
    while True:
        note = _started(loader, uri, note, watch)
        try:
            return _watched(loader, note.job, watch)
        except PermanentError as error:
            if error.code not in _OVER:  # the job goes on though we may not look: a key was revoked
                raise
            watch.saw("", _NOTHING)
            if error.code == "import_cancelled":  # by whoever may: it is not for us to overrule that
                raise
            if note.failed or error.code == "not_found":
                watch.note.unlink()
                raise _with_first_reason(error, note.failed) from error
            watch.log("warning", f"{error.message}; started once more")
            note = _intended(loader, uri, watch, failed=error.message)


def cancel(loader: BulkLoader, job: str, log: Callable[[str, str], None]) -> None:
    """Ask the store to end ``job``, and say in the log what came of it: a run that is cancelled ends either way."""
    try:
        if loader.poll(job).done:
            log("info", f"import {job} is complete already: what it brought stays in the target")
            return
        loader.cancel(job)
    except MigratorError as error:
        over = error.code in _OVER
        log("info" if over else "warning", error.message if over else f"import {job} could not be cancelled and may go on at the store: {error.message}")
    else:
        log("info", f"import {job} cancelled at the store; the staged files stay")


def left_behind(loader: BulkLoader, uri: str, path: Path) -> str:
    """Return the job that a run which nobody drives any more started and did not see through, "" when there is none."""
    note = noted(path)
    if note is None or note.done:
        return ""
    return note.job or next((job for job in loader.loads(uri) if job not in note.before), "")


def done(watch: Watch) -> None:
    """Note that what was loaded is ready, so that the job is not asked for again: stores forget them."""
    if (note := noted(watch.note)) is not None and not note.done:
        replace(note, done=True).save(watch.note)


def _started(loader: BulkLoader, uri: str, note: Note | None, watch: Watch) -> Note:
    """Return the note with a job: that of an earlier attempt if it was not cancelled meanwhile, else a new one."""
    if note is None:
        note, ours = _intended(loader, uri, watch), []
    else:
        ours = [note.job] if note.job else [job for job in _known(loader, uri, watch) if job not in note.before]
    going = next((job for job in ours if not _cancelled_meanwhile(loader, job, watch)), "")
    if going and note.job:
        watch.log("info", f"going on with import {going} from {uri}")
        return note
    if ours and not going:
        note = _intended(loader, uri, watch, failed=note.failed)
    job = going or loader.load(uri)
    failpoint("staging.load_started")
    note = replace(note, job=job)
    note.save(watch.note)
    watch.log("info", f"import {job} from {uri} " + ("was started before: going on with it" if going else "started"))
    failpoint("staging.load_noted")
    return note


def _cancelled_meanwhile(loader: BulkLoader, job: str, watch: Watch) -> bool:
    """Return whether the job of an earlier attempt was cancelled; resuming the run then asks for another."""
    try:
        watch.patiently(f"looking at import {job}", lambda: loader.poll(job))
    except PermanentError as error:
        if error.code != "import_cancelled":  # what else there is to say of it is said while it is watched
            return False
        watch.log("info", f"{error.message}: starting another")
        return True
    return False


def _intended(loader: BulkLoader, uri: str, watch: Watch, *, failed: str = "") -> Note:
    note = Note(tuple(_known(loader, uri, watch)), failed=failed)
    note.save(watch.note)
    failpoint("staging.load_intended")
    return note


def _known(loader: BulkLoader, uri: str, watch: Watch) -> list[str]:
    return list(watch.patiently("looking at the target's imports", lambda: loader.loads(uri)))


def _watched(loader: BulkLoader, job: str, watch: Watch) -> LoadProgress:
    """Look at the job until it is done; end it when the run was asked to end for good."""
    try:
        return _looked(loader, job, watch)
    except Exception:
        if watch.cancelled():
            cancel(loader, job, watch.log)
        raise


def _looked(loader: BulkLoader, job: str, watch: Watch) -> LoadProgress:
    pause, longest = PAUSES
    said = 0.0
    while True:
        progress: LoadProgress = watch.patiently(f"looking at import {job}", lambda: loader.poll(job))
        watch.saw(job, progress)
        if progress.done:
            return progress
        if progress.share >= said + _SHARE_SAID:
            said = progress.share
            watch.log("info", f"import {job}: {said:.0%}, {progress.records:,} records")
        watch.rest(pause)
        pause = min(pause * 1.5, longest)


def _with_first_reason(error: PermanentError, first: str) -> PermanentError:
    """Return ``error`` with the reason of the job before it: the second may fail only because of what the first left behind."""
    if not first or first == error.message:
        return error
    return PermanentError(f"{error.message}; before that: {first}", fix=error.fix, code=error.code)
