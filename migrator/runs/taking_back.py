"""Takes back what the undo log says a run wrote, entry by entry, and then looks whether it is gone and what was there before is back."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors import connector
from migrator.digest import hash_rows
from migrator.errors import PlanError, RejectedRecordsError
from migrator.failpoints import failpoint
from migrator.follow.state import State
from migrator.follow.undo_log import Entry, entries, index, keys_of
from migrator.model import Selection
from migrator.pipeline.copy import read_patiently
from migrator.pipeline.write import named
from migrator.protocols import Deletable, KeyScanner
from migrator.runs import undoing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from migrator.model import Plan
    from migrator.protocols import Source, Target
    from migrator.runs.context import Attempt

LISTED = 100
_INDEXING = threading.Lock()
_KEYS = 50_000


@dataclass(frozen=True)
class Written:
    """The log of a run, of each record the first entry only: that one says what was there before."""

    path: Path
    state: State
    ids_only: bool

    @classmethod
    def of(cls, folder: Path, plan: Plan) -> Written | None:
        """Return the log in a run's ``folder``, with an index that is made when the log grew since the last time; None when there is no log."""
        path = undoing.log_of(folder)
        if not path.exists():
            return None
        unique = connector(plan.target.connector).capabilities(plan.target).ids_unique_across_namespaces
        into = folder / f"undo-{path.stat().st_size}.arrow"
        with _INDEXING:  # two pages may look at one run
            if not into.exists():
                for old in folder.glob("undo-*.arrow"):
                    old.unlink()
                index(path, into, ids_only=unique)
        return cls(path, State(into), unique)

    def __iter__(self) -> Iterator[Entry]:
        for number, entry in enumerate(entries(self.path)):
            before = None if entry.before is None else self._first(entry.before, number)
            yield Entry(self._first(entry.names, number), before if before is not None and len(before) else None)

    def _first(self, batch: pa.RecordBatch, number: int) -> pa.RecordBatch:
        """Return the rows of ``batch`` that no earlier entry than ``number`` has."""
        keys = keys_of(batch, ids_only=self.ids_only)
        return batch.filter(pa.array(self.state.look_up(keys["low"], keys["high"]).hashes[:, 0] == number)) if len(batch) else batch

    def knows(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Return which rows of ``batch`` have a name that the run wrote, or that stood where it wrote."""
        keys = keys_of(batch, ids_only=self.ids_only)
        return self.state.look_up(keys["low"], keys["high"]).found

    def counted(self) -> Counter[str]:
        """Return how many records are ``written`` anew, and of those before them how many are ``kept`` and ``unkept``."""
        found = Counter[str]()
        for entry in self:
            found["written"] += len(only_new(entry))
            found["kept" if entry.kept else "unkept"] += 0 if entry.before is None else len(entry.before)
        return found


def only_new(entry: Entry) -> pa.RecordBatch:
    """Return the names of an entry under which, in their namespaces, there was nothing before."""
    if entry.before is None or not len(entry.names):
        return entry.names
    there = set(zip(entry.before.column("namespace").to_pylist(), entry.before.column("id").to_pylist(), strict=True))
    return entry.names.filter(pa.array(~named(entry.names, there)))


def stranger(attempt: Attempt, target: Source, written: Written | None) -> str | None:
    """Return the id of a record of ``target`` that the run did not write, None when there is none."""
    for split in attempt.patiently("splitting the target", lambda: list(target.splits(Selection(), 1))):
        for batch in _names(attempt, target, split):
            attempt.poll()
            attempt.raise_if_stopped()
            known = written.knows(batch) if written is not None else np.zeros(len(batch), np.bool_)
            if not known.all():
                return str(batch.column("id")[int(np.flatnonzero(~known)[0])].as_py())
    return None


def _names(attempt: Attempt, target: Source, split: Any) -> Iterator[pa.RecordBatch]:
    if isinstance(target, KeyScanner):
        yield from target.keys(split)
        return
    for chunk in read_patiently(target, split, None, _KEYS, stop=attempt.stop, log=attempt.log):
        yield chunk.batch.select(["id", "namespace"])


@dataclass
class Taking:
    """Takes one run back. Every step can be done twice."""

    attempt: Attempt
    target: Target
    present: Source
    written: Written
    records: int
    """Records written back at once."""
    counts: Counter[str] = field(default_factory=Counter)
    """``deleted``, ``restored``; and by ``check``: ``checked``, ``still_there``, ``not_restored``, and ``lost``, which nobody kept."""
    listed: list[dict[str, str]] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    _settled: bool = False

    def take(self, done: int, note: Callable[[int], None]) -> None:
        """Take every entry from the number ``done`` on back; ``note`` is told how many are done."""
        for number, entry in enumerate(self.written):
            if number < done:
                continue
            self.attempt.poll()
            self.attempt.raise_if_stopped()
            self._delete(only_new(entry))
            if entry.before is not None:
                self._before(entry, entry.before)
            failpoint("rollback_entry")
            note(number + 1)
            failpoint("rollback_noted")

    def _before(self, entry: Entry, before: pa.RecordBatch) -> None:
        """Write back what was kept; of what was not, delete what is not as it was any more."""
        if entry.kept:
            for start in range(0, len(before), self.records):
                self._restore(before.slice(start, self.records))
            self.counts["restored"] += len(before)
        else:
            self._delete(before.filter(pa.array(~self._as_before(entry, before))))

    def _restore(self, batch: pa.RecordBatch) -> None:
        self.touched.update(pc.unique(batch.column("namespace")).to_pylist())
        failpoint("before_restore")
        try:
            self.attempt.patiently("restoring what was overwritten", lambda: self.target.write(batch, f"rollback.{self.counts['restored']}"))
        except RejectedRecordsError as refusal:  # the check that follows finds and counts them
            self.attempt.log("error", f"{refusal.rejected[0].id!r} cannot be restored: {refusal.rejected[0].message}")

    def _delete(self, names: pa.RecordBatch) -> None:
        target = self.target
        if not isinstance(target, Deletable):
            raise PlanError("the target cannot delete records", fix="drop the collection yourself", code="deletes_unsupported")
        for namespace, ids in _by_namespace(names):
            self.touched.add(namespace)
            failpoint("before_delete")
            self.attempt.patiently("deleting what was written", lambda ids=ids, namespace=namespace: target.delete(ids, namespace))  # type: ignore[misc]
        self.counts["deleted"] += len(names)

    def check(self) -> None:
        """Look every record up again and count what is not as it was before the run."""
        for entry in self.written:
            self.attempt.poll()
            self.attempt.raise_if_stopped()
            found = self._problems(entry)
            if found and self._settle():
                found = self._problems(entry)
            self.counts["checked"] += len(only_new(entry)) + (0 if entry.before is None else len(entry.before))
            for problem, namespace, name in found:
                self.counts[problem] += 1
                if len(self.listed) < LISTED:
                    self.listed.append({"namespace": namespace, "id": name, "problem": problem})

    def _problems(self, entry: Entry) -> list[tuple[str, str, str]]:
        found = []
        for namespace, ids in _by_namespace(only_new(entry)):
            found += [("still_there", namespace, name) for name in self._fetched(ids, namespace).column("id").to_pylist()]
        if entry.before is not None:
            missed = entry.before.filter(pa.array(~self._as_before(entry, entry.before)))
            problem = "not_restored" if entry.kept else "lost"
            found += [(problem, namespace, name) for namespace, ids in _by_namespace(missed) for name in ids]
        return found

    def _settle(self) -> bool:
        """Wait once for the target to show its last writes; return whether there is reason to look again."""
        plan = self.attempt.plan
        seconds = connector(plan.target.connector).capabilities(plan.target).settling_seconds
        if self._settled or not seconds:
            return False
        self.attempt.rest(seconds)
        self._settled = True
        return True

    def _as_before(self, entry: Entry, before: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Return which records of ``before`` the target holds now with just their content."""
        names = list(zip(before.column("namespace").to_pylist(), before.column("id").to_pylist(), strict=True))
        now: dict[tuple[str, str], bytes] = {}
        for namespace, ids in _by_namespace(before):
            found = self._fetched(ids, namespace)
            now |= {(namespace, name): bytes(row) for name, row in zip(found.column("id").to_pylist(), hash_rows(found).rows, strict=True)}
        return np.array([now.get(name) == bytes(row) for name, row in zip(names, entry.before_hashes(), strict=True)], np.bool_)

    def _fetched(self, ids: list[str], namespace: str) -> pa.RecordBatch:
        return self.attempt.patiently("looking records up in the target", lambda: self.present.fetch(ids, namespace))


def _by_namespace(names: pa.RecordBatch) -> Iterator[tuple[str, list[str]]]:
    """Yield the ids of each namespace."""
    for namespace in pc.unique(names.column("namespace")).to_pylist():
        yield namespace, names.filter(pc.equal(names.column("namespace"), namespace)).column("id").to_pylist()
