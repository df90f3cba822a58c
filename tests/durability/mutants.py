"""Defects planted on purpose: the tests must find every one, else they prove nothing. Each function breaks this process for good."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.datasets import places
from migrator.datasets.target import DatasetTarget
from migrator.errors import TransientError
from migrator.failpoints import failpoint
from migrator.follow import journal, state, writer
from migrator.ledger import progress
from migrator.pipeline import copy, prepare, write
from migrator.runs import passes, repair, taking_back
from migrator.verify import sides

if TYPE_CHECKING:
    from pathlib import Path

_STATE = threading.Lock()


def commit_before_write() -> None:
    """The checkpoint is written first, the records after it."""
    commit, parts = copy._commit, {}

    def pretend(job: Any, prepared: Any, part: str) -> tuple[Any, float]:
        parts[id(prepared)] = (prepared, part)
        return prepared, 0.0

    def early(job: Any, where: Any, pending: Any) -> None:
        commit(job, where, pending)
        prepared, part = parts.pop(id(pending.future.result()[0]))
        if len(prepared.batch):
            job.write(prepared, part)

    copy._write, copy._commit = pretend, early


def random_part_names() -> None:
    """A part written again does not replace what it wrote, and nobody tidies up."""
    original = DatasetTarget.write
    DatasetTarget.write = lambda self, batch, part: original(self, batch, f"{part}.{uuid.uuid4().hex[:8]}")
    DatasetTarget.keep = lambda *_: None


def trust_partial_write() -> None:
    """An error half-way through a write passes for success."""

    class Trusting:
        @staticmethod
        def call(action: Any, **_: Any) -> Any:
            try:
                return action()
            except TransientError:
                return None

    write.retry = Trusting


def no_fence() -> None:
    """A process that lost its run goes on committing."""
    progress.fence = lambda *_: None


def no_sync() -> None:
    """A file gets its final name before its bytes are on the disk."""

    def hasty(target: Path, staging: Path, pieces: Any) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir(parents=True, exist_ok=True)
        temporary = staging / f"{uuid.uuid4().hex}.tmp"
        temporary.write_bytes(b"".join(pieces))
        temporary.replace(target)

    places._save_locally = hasty


def drop_last_chunk() -> None:
    """The last chunk of every split is read and forgotten."""
    original = copy.read_patiently

    def short(*arguments: Any, **options: Any) -> Any:
        held = None
        for chunk in original(*arguments, **options):
            if held is not None:
                yield held
            held = chunk

    copy.read_patiently = short
    sides.read_patiently = original


def commit_out_of_order() -> None:
    """Whichever write is newest is committed first."""
    original = copy._commit_oldest

    def newest(job: Any, where: Any, pending: Any) -> None:
        pending.reverse()
        try:
            original(job, where, pending)
        finally:
            pending.reverse()

    copy._commit_oldest = newest


def skip_held_duplicates() -> None:
    """Repeated ids are left out without a word."""
    original = prepare._hold
    prepare._hold = lambda *arguments: ((), original(*arguments)[1])


def state_before_writes() -> None:
    """The state says that a record is in the target before it is sent there."""
    original = writer.JournalWriter.__call__

    def hasty(self: Any, prepared: Any, part: str) -> Any:
        path = self.journal.folder.parent / "state.arrow"
        rows = journal.entries(prepared, np.zeros(len(prepared.batch), np.uint8), ids_only=self.ids_only)
        with _STATE, state.Builder(path) as builder:
            builder.add(state.State(path))
            builder.add(state.as_entries(rows, sure=True))
            builder.finish()
        failpoint("state_ahead")
        return original(self, prepared, part)

    writer.JournalWriter.__call__ = hasty


def stamp_before_commit() -> None:
    """Records are marked as migrated before the ledger knows that they are."""
    original = copy._commit

    def early(job: Any, where: Any, write: Any) -> None:
        write.future.result()
        if job.after_commit is not None:
            job.after_commit(where.split.id, write.sequence)
        original(job, where, write)

    copy._commit = early


def forget_what_may_be_written() -> None:
    """A pass that was killed is begun again as if it had written nothing."""
    passes._absorb = lambda *_arguments, **_options: None


def log_after_write() -> None:
    """What a write does is noted once it is done."""
    original = write.Writer.__call__

    def late(self: Any, *words: Any) -> Any:
        noted: list[Any] = []
        written = original(replace(self, undo=lambda *told: noted.append(told)), *words)
        failpoint("written_unnoted")
        for told in noted:
            self.undo(*told)
        return written

    write.Writer.__call__ = late


def last_entry_counts() -> None:
    """Of what was noted twice, the second time counts, when the run's own records stood there."""
    taking_back.Written._first = lambda _self, batch, _number: batch


def note_before_taking() -> None:
    """A rollback notes an entry as taken back before it is."""
    original = taking_back.Taking.take

    def hasty(self: Any, done: int, note: Any) -> None:
        note(len(list(self.written)))
        failpoint("noted_too_soon")
        original(self, done, lambda _done: None)

    taking_back.Taking.take = hasty


def mended_too_soon() -> None:
    """A repair counts as done before it is."""
    original = repair._mend

    def hasty(attempt: Any, wish: Any, **options: Any) -> Any:
        repair._note(attempt, wish, repair.Tally())
        return original(attempt, wish | {"mended": True}, **options)

    repair._mend = hasty
