"""Bulk loads, each unit's started once and watched to its end, whatever kills happen meanwhile.

A start cannot be taken back, and a kill may come between the store's answer and our note of it. So the intention is noted first, with
the jobs that stood for the unit before: a job found there later that was not among them is ours, and is watched instead of starting another.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from migrator.errors import MigratorError, PermanentError, RunBusyError
from migrator.failpoints import failpoint
from migrator.model import LoadProgress
from migrator.staging.notes import Note, Notes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from migrator.model import LoadUnit
    from migrator.protocols import BulkLoader
    from migrator.staging.watch import Watch

PAUSES = (0.2, 15.0)
"""Seconds between two looks at the jobs: the shortest and the longest. A load takes seconds to hours."""
PATIENCE = 0.03
"""Of the time since a job was done: how long the next look may be late."""
_OVER = ("import_failed", "import_cancelled", "not_found")
"""Codes of errors after which a job will not bring anything any more."""
_NOTHING = LoadProgress(done=False, share=0.0, records=0)
_SHARE_SAID = 0.1
"""How much further the load must be to be worth another line in the log."""


def load(loader: BulkLoader, units: Sequence[LoadUnit], watch: Watch, at_once: int = 1, arrived: Callable[[LoadUnit], bool | None] = lambda _: None) -> int:
    """Have ``units`` loaded, ``at_once`` at a time, or go on watching the loads begun before; return the records they brought.

    A failed job is started once more. Raise ``PermanentError`` with the store's reason when that fails as well, or when somebody cancelled it;
    a later call starts anew what failed. ``arrived`` tells of a unit whose job the store has forgotten whether its records are there; None is unknown.
    """
    loads = _Loads(loader, units, watch, arrived)
    try:
        return loads.run(max(1, at_once))
    except Exception:
        if watch.cancelled():
            for job in loads.going():
                cancel(loader, job, watch.log)
        raise


class _Loads:
    """The loads of one run."""

    def __init__(self, loader: BulkLoader, units: Sequence[LoadUnit], watch: Watch, arrived: Callable[[LoadUnit], bool | None]) -> None:
        self._loader = loader
        self._units = units
        self._watch = watch
        self._arrived = arrived
        self._notes = Notes.read(watch.note)
        self._ours: set[str] = set()
        """Units whose job this call started or found."""
        self._seen: dict[str, LoadProgress] = {}
        self._said = 0.0

    def _note(self, unit: LoadUnit) -> Note | None:
        return self._notes.units.get(unit.address)

    def _done(self, unit: LoadUnit) -> bool:
        return (note := self._note(unit)) is not None and note.done

    def going(self) -> list[str]:
        """Return the jobs under way."""
        return [note.job for note in self._notes.units.values() if note.job and not note.done]

    def run(self, at_once: int) -> int:
        shortest, longest = PAUSES
        since = time.monotonic()
        while left := [unit for unit in self._units if not self._done(unit)]:
            before = len(left)
            for unit in left[:at_once]:
                self._advance(unit)
            self._tell()
            if len([unit for unit in self._units if not self._done(unit)]) < before:
                since = time.monotonic()
                continue
            self._watch.rest(min(longest, max(shortest, PATIENCE * (time.monotonic() - since))))
        return sum(note.records for unit in self._units if (note := self._note(unit)) is not None)

    def _advance(self, unit: LoadUnit) -> None:
        """Start the unit's job, or look at it once; if it failed, start it once more."""
        note = self._note(unit)
        if note is None or unit.address not in self._ours:
            if note is not None and not note.job and not note.failed and not self._ours_of(unit, note) and self._arrived(unit):
                self._notes.put(unit.address, replace(note, done=True, records=unit.records))
                return
            note = self._started(unit, note)
            self._ours.add(unit.address)
        try:
            progress: LoadProgress = self._watch.patiently(f"looking at import {note.job}", lambda: self._loader.poll(note.job))
        except PermanentError as error:
            if error.code not in _OVER:  # the job goes on though we may not look: a key was revoked
                raise
            self._over(unit, note, error)
            return
        self._seen[unit.address] = progress
        if progress.done:
            self._notes.put(unit.address, replace(note, done=True, records=progress.records))

    def _over(self, unit: LoadUnit, note: Note, error: PermanentError) -> None:
        self._watch.saw("", _NOTHING)
        self._seen.pop(unit.address, None)
        if error.code == "import_cancelled":  # by whoever may: it is not for us to overrule that
            raise error
        there = self._arrived(unit) if error.code == "not_found" else False
        if there:
            self._watch.log("info", f"{error.message}, but its records are in the target")
            self._notes.put(unit.address, replace(note, done=True, records=unit.records))
            return
        if note.failed or there is None:
            self._notes.forget(unit.address)
            raise _with_first_reason(error, note.failed) from error
        self._watch.log("warning", f"{error.message}; started once more")
        self._intended(unit, failed=error.message)
        self._ours.discard(unit.address)

    def _started(self, unit: LoadUnit, note: Note | None) -> Note:
        """Return the note with a job: that of an earlier attempt if it was not cancelled meanwhile, else a new one."""
        if note is None:
            self._refuse_another(unit)
            note, ours = self._intended(unit), []
        else:
            ours = self._ours_of(unit, note)
        going = next((job for job in ours if not self._cancelled_meanwhile(job)), "")
        if going and note.job:
            self._watch.log("info", f"going on with import {going} from {unit.address}")
            return note
        if ours and not going:
            note = self._intended(unit, failed=note.failed)
        job = going or self._loader.load(unit)
        failpoint("staging.load_started")
        note = self._notes.put(unit.address, replace(note, job=job))
        self._watch.log("info", f"import {job} from {unit.address} " + ("was started before: going on with it" if going else "started"))
        failpoint("staging.load_noted")
        return note

    def _ours_of(self, unit: LoadUnit, note: Note) -> list[str]:
        """Return the jobs that an earlier attempt started."""
        return [note.job] if note.job else [job for job in self._known(unit) if job not in note.before]

    def _refuse_another(self, unit: LoadUnit) -> None:
        """Raise ``RunBusyError`` when somebody else has the same files loaded at this moment: they would be in the target twice."""
        for job in self._known(unit):
            try:
                going = not self._watch.patiently(f"looking at import {job}", lambda job=job: self._loader.poll(job)).done  # type: ignore[misc]
            except PermanentError:  # it is over, or it can be seen no more
                continue
            if going:
                raise RunBusyError(f"import {job} loads {unit.address} already", fix="wait until it is over, or resume the run that began it", code="load_busy")

    def _cancelled_meanwhile(self, job: str) -> bool:
        """Return whether the job of an earlier attempt was cancelled; resuming the run then asks for another."""
        try:
            self._watch.patiently(f"looking at import {job}", lambda: self._loader.poll(job))
        except PermanentError as error:
            if error.code != "import_cancelled":  # what else there is to say of it is said while it is watched
                return False
            self._watch.log("info", f"{error.message}: starting another")
            return True
        return False

    def _intended(self, unit: LoadUnit, *, failed: str = "") -> Note:
        note = self._notes.put(unit.address, Note(tuple(self._known(unit)), failed=failed))
        failpoint("staging.load_intended")
        return note

    def _known(self, unit: LoadUnit) -> list[str]:
        return list(self._watch.patiently("looking at the target's imports", lambda: self._loader.loads(unit)))

    def _tell(self) -> None:
        """Say how far all loads together are: units weigh what they hold."""
        jobs = [note.job for unit in self._units if (note := self._note(unit)) is not None and note.job]
        if not jobs:
            return
        name = jobs[0] if len(self._units) == 1 else f"{jobs[0]} and {len(self._units) - 1:,} more"
        weights = [max(1, unit.records) for unit in self._units]
        seen = [self._progress(unit) for unit in self._units]
        share = sum(weight * one.share for weight, one in zip(weights, seen, strict=True)) / sum(weights)
        progress = LoadProgress(all(one.done for one in seen), share, sum(one.records for one in seen))
        self._watch.saw(name, progress)
        if not progress.done and share >= self._said + _SHARE_SAID:
            self._said = share
            self._watch.log("info", f"import {name}: {share:.0%}, {progress.records:,} records")

    def _progress(self, unit: LoadUnit) -> LoadProgress:
        note = self._note(unit)
        if note is not None and note.done:
            return LoadProgress(done=True, share=1.0, records=note.records)
        return self._seen.get(unit.address, _NOTHING)


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


def left_behind(loader: BulkLoader, units: Sequence[LoadUnit], path: Path) -> list[str]:
    """Return the jobs that a run which nobody drives any more started and did not see through."""
    notes, found = Notes.read(path), []
    for unit in units:
        note = notes.units.get(unit.address)
        if note is not None and not note.done:
            found += [note.job] if note.job else [job for job in loader.loads(unit) if job not in note.before][:1]
    return found


def _with_first_reason(error: PermanentError, first: str) -> PermanentError:
    """Return ``error`` with the reason of the job before it: the second may fail only because of what the first left behind."""
    if not first or first == error.message:
        return error
    return PermanentError(f"{error.message}; before that: {first}", fix=error.fix, code=error.code)
