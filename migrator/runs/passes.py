"""One pass of a run that follows its source: scan it, send what differs from the state, remove what is gone, renew the state.

The order makes a kill harmless anywhere: what a part will write is journalled before it is written, the state is replaced when everything
it says is done, and the pass counts as finished after that. A pass that was killed is begun again, knowing what it may have written.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors import connector
from migrator.errors import PermanentError
from migrator.failpoints import failpoint
from migrator.follow.journal import CHANGED, NEW, UNCHANGED, Journal, sync
from migrator.follow.state import Builder, State, as_entries
from migrator.follow.unread import UnknownOnly
from migrator.follow.writer import JournalWriter
from migrator.ledger import passes, progress
from migrator.ledger.duplicates import resolve
from migrator.ledger.passes import Found
from migrator.protocols import SelectiveReader
from migrator.runs import stamping, steps
from migrator.runs.gone import Gone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from migrator.model import Collection, Follow
    from migrator.pipeline.prepare import Rules
    from migrator.protocols import Source, Target
    from migrator.runs.context import Attempt


@dataclass(frozen=True)
class Trail:
    """What the passes of one attempt share."""

    attempt: Attempt
    how: Follow
    target: Target

    @property
    def folder(self) -> Path:
        """Where the state and the journal of the present pass lie."""
        return self.attempt.folder / "follow"

    @property
    def state(self) -> Path:
        return self.folder / "state.arrow"

    def journal(self, number: int) -> Journal:
        return Journal(self.folder / f"pass-{number}")

    @property
    def first(self) -> bool:
        """Whether the first copy is still to be done, or to be finished."""
        return not passes.history(self.attempt.ledger, self.attempt.run, 1)


def one_pass(trail: Trail) -> tuple[Found, Rules]:
    """Make the target what the source is now; return what was different and the rules that were applied."""
    attempt, first = trail.attempt, trail.first
    with steps.opened(attempt) as source:
        collection = steps.unchanged(attempt, source, may_change=True)
        if first:
            attempt.phase("preparing", f"preparing the target for {collection.count:,} records of {collection.dimension} dimensions")
        steps.prepare(attempt, trail.target, collection)
        number, rules = _begun(trail, source, collection, first=first)
        journal = trail.journal(number)
        if first:
            attempt.phase("copying", "copying")
        _scan(trail, source, rules, journal)
        resolve(attempt.ledger, attempt.lease, policy=attempt.plan.on_duplicate)
        steps.count_again(attempt, source)
        if first:
            attempt.phase("finishing", "making the target ready")
            steps.finish(attempt, trail.target)
        progress.audit(attempt.ledger, attempt.run)
        found = _settle(trail, source, rules, journal)
        passes.end(attempt.ledger, attempt.lease, number, progress.counts(attempt.ledger, attempt.run), found)
    shutil.rmtree(journal.folder, ignore_errors=True)
    return found, rules


def _scan(trail: Trail, source: Source, rules: Rules, journal: Journal) -> None:
    attempt = trail.attempt
    stamps = stamping.stamper(attempt, source, journal, keeps_journal=True)
    with steps.writing(attempt, trail.target, attempt.plan) as write:
        writer = JournalWriter(write, journal, State(trail.state), trail.how.changes, _ids_only(attempt))
        steps.copy_splits(attempt, _reader(trail, source, rules, writer), rules, writer, stamps)


def _reader(trail: Trail, source: Source, rules: Rules, writer: JournalWriter) -> Source:
    """Return what the splits are read with: where ids alone decide, the source without what the target holds."""
    undecided = rules.transform.needs_metadata or len(rules.repeats.winners)
    if trail.how.changes != "new" or undecided or not len(writer.state) or not isinstance(source, SelectiveReader):
        return source
    return cast("Source", UnknownOnly(source, writer.state, rules.transform, writer.ids_only))


def _ids_only(attempt: Attempt) -> bool:
    return connector(attempt.plan.target.connector).capabilities(attempt.plan.target).ids_unique_across_namespaces


def _begun(trail: Trail, source: Source, collection: Collection, *, first: bool) -> tuple[int, Rules]:
    """Begin a pass, or go on with a first copy that was stopped midway; return its number and rules."""
    attempt = trail.attempt
    trail.folder.mkdir(parents=True, exist_ok=True)
    left = passes.unfinished(attempt.ledger, attempt.run)
    if left is not None:
        goes_on = first and left["version"] == collection.version
        journal = trail.journal(left["pass"])
        if (stamps := stamping.stamper(attempt, source, journal, keeps_journal=True)) is not None:
            stamps.catch_up()
        _absorb(trail, journal, only_uncommitted=goes_on)
        if goes_on:
            return left["pass"], steps.rules_of(attempt, source, collection)
    number = passes.begin(attempt.ledger, attempt.lease, collection.version)
    (attempt.folder / "repeats.npy").unlink(missing_ok=True)  # of an earlier scan
    for old in trail.folder.glob("pass-*"):
        shutil.rmtree(old, ignore_errors=True)
    return number, steps.rules_of(attempt, source, collection)


def _absorb(trail: Trail, journal: Journal, *, only_uncommitted: bool) -> None:
    """Take over into the state what a pass that was stopped midway wrote, or may have written."""
    committed = progress.parts(trail.attempt.ledger, trail.attempt.run)
    parts = [part for part in journal.parts() if not (only_uncommitted and part in committed)]
    if not parts:
        return
    with Builder(trail.state) as builder:
        builder.add(State(trail.state))
        for part in parts:
            rows = journal.load(part)
            if rows is not None:
                sent = rows.filter(pa.array(rows.column("kind").to_numpy() != UNCHANGED))
                builder.add(as_entries(sent, sure=part in committed))
        builder.finish()
    sync(trail.folder)
    for part in parts:
        journal.drop(part)


def _settle(trail: Trail, source: Source, rules: Rules, journal: Journal) -> Found:
    """Renew the state from the journal, remove from the target what is gone from the source, and return what the pass found."""
    attempt = trail.attempt
    before, renewed = State(trail.state), trail.folder / "renewed.arrow"
    kinds = np.zeros(3, np.int64)
    with Builder(renewed) as builder:
        for part in progress.parts(attempt.ledger, attempt.run):
            # a journal that a power cut took with it costs nothing: its records stay in the state as the ones before
            if (rows := journal.load(part)) is not None:
                kinds += np.bincount(rows.column("kind").to_numpy(), minlength=3)
                builder.add(as_entries(rows, sure=True))
        builder.finish()
    gone = Gone(attempt, source, trail.target, rules.transform, deletes=trail.how.deletes)
    seen = State(renewed)
    if trail.how.deletes and len(before) and not progress.counts(attempt.ledger, attempt.run).scanned:
        raise PermanentError(
            f"the source is empty now, so this pass would delete all {len(before):,} records of the target",
            fix="look whether it is still the same source (index, project, key); if it is meant to be empty, empty the target yourself",
            code="source_emptied",
        )
    if any(len(batch) for batch in _missing(before, seen)):
        with Builder(renewed) as builder:
            builder.add(seen)
            builder.add(gone.stay(_missing(before, seen)))
            builder.finish()
    failpoint("before_state")
    renewed.replace(trail.state)
    sync(trail.folder)
    return Found(int(kinds[NEW]), int(kinds[CHANGED]), gone.deleted, gone.left, gone.missed)


def _missing(before: State, seen: State) -> Iterator[pa.RecordBatch]:
    """Yield the entries of ``before`` whose records were not met by the scan that gave ``seen``."""
    for batch in before:
        known = seen.look_up(batch.column("key_low").to_numpy(), batch.column("key_high").to_numpy())
        yield batch.filter(pc.invert(pa.array(known.found)))
