"""Writes one prepared chunk: what the target already holds, retries, and records the store refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator import retry
from migrator.digest import hash_rows
from migrator.errors import PermanentError, RejectedRecordsError, TransientError
from migrator.protocols import Locating

if TYPE_CHECKING:
    import threading
    from collections import abc
    from collections.abc import Callable

    import numpy.typing as npt

    from migrator.model import OnConflict
    from migrator.pipeline.prepare import Prepared
    from migrator.protocols import Source, Target


Rows: TypeAlias = "npt.NDArray[np.bool_]"
Intend: TypeAlias = "Callable[[Prepared], None]"


class ChunkWriter(Protocol):
    """Writes a chunk as ``part`` and returns what was in fact written; see ``Writer``."""

    def __call__(self, prepared: Prepared, part: str, ours: Rows | None = None, intend: Intend | None = None) -> Prepared: ...


@dataclass(frozen=True)
class Writer:
    """Writes chunks to one target under a plan's rule for ids that are there already."""

    target: Target
    present: Source | None
    """The target as a source, to look ids up in; None when the rule is to overwrite."""
    on_conflict: OnConflict
    new_only: bool
    stop: threading.Event
    log: Callable[[str, str], None]
    everywhere: tuple[str, ...] = ()
    """The target's namespaces where an id can be in one of them only: then it is looked up in all."""
    undo: Callable[[pa.RecordBatch, pa.RecordBatch | None], None] | None = None
    """Told, before each write, ``namespace`` and ``id`` of the records this run writes for the first time, and what the target holds under their ids."""
    occupied: Callable[[str], bool] = lambda _namespace: True
    """Whether a namespace held records before the run: else nothing needs to be looked up there for ``undo`` alone."""

    def __call__(self, prepared: Prepared, part: str, ours: Rows | None = None, intend: Intend | None = None) -> Prepared:
        """Write ``prepared`` as ``part`` and return what was in fact written.

        Rows of ``ours`` are this run's own in the target, so no rule about ids that are there holds for them. ``intend`` is told
        what is about to be written.
        """
        own = set(names_of(prepared.batch.filter(pa.array(ours)))) if ours is not None and ours.any() else set()
        there = self._looked_up(prepared.batch, self.present, own) if self.present is not None else None
        if there is not None and self._decides:
            prepared = self._unless_present(prepared, there, own)
            if not len(prepared.batch):
                return prepared
        if self.undo is not None:  # before ``intend``: what that remembers as the run's own is not looked up again
            _tell(self.undo, prepared.batch, there, own, everywhere=bool(self.everywhere))
        if intend is not None:
            intend(prepared)

        def noted(attempt: int, pause: float, error: TransientError) -> None:
            self.log("warning", f"writing {part} again in {pause:.1f} s (attempt {attempt + 1}): {error.message}")

        try:
            retry.call(lambda: self.target.write(prepared.batch, part), stop=self.stop, on_retry=noted)
        except RejectedRecordsError as refusal:
            refused = {(record.namespace, record.id) for record in refusal.rejected}
            return prepared.without(~named(prepared.batch, refused), rejected=tuple(replace(record, refused=True) for record in refusal.rejected))
        return prepared

    @property
    def _decides(self) -> bool:
        """Whether what the target holds decides what is written."""
        return self.new_only or self.on_conflict != "upsert"

    def _looked_up(self, batch: pa.RecordBatch, present: Source, own: abc.Set[tuple[str, str]]) -> pa.RecordBatch | None:
        """Return what the target holds under the ids of ``batch``, as far as it matters; None when nothing had to be asked."""
        if own and not self._decides:
            batch = batch.filter(pa.array(~named(batch, own)))
        if self.everywhere and isinstance(present, Locating):
            ids = pc.unique(batch.column("id")).to_pylist()
            return retry.call(lambda: present.locate(ids), stop=self.stop)
        found = []
        for namespace in self.everywhere or pc.unique(batch.column("namespace")).to_pylist():
            if self._decides or self.everywhere or self.occupied(namespace):
                rows = batch if self.everywhere else batch.filter(pc.equal(batch.column("namespace"), namespace))
                ids = pc.unique(rows.column("id")).to_pylist()
                found.append(retry.call(lambda ids=ids, namespace=namespace: present.fetch(ids, namespace), stop=self.stop))  # type: ignore[misc]
        return pa.concat_batches(found) if found else None

    def _unless_present(self, prepared: Prepared, there: pa.RecordBatch, own: abc.Set[tuple[str, str]]) -> Prepared:
        """Leave out ids the target holds with other content (or at all, when only new ones are wanted); fail if told to."""
        ours = dict(zip(names_of(prepared.batch), map(bytes, prepared.hashes.rows), strict=True))
        sought = {name: (space, name) for space, name in ours} if self.everywhere else {}
        # the same record may be there from an attempt that was killed before its checkpoint: writing it again changes nothing
        theirs = zip(names_of(there), map(bytes, hash_rows(there).rows), strict=True)
        conflicting = {sought.get(name[1], name) for name, digest in theirs if self.new_only or ours.get(name) != digest} - own
        if conflicting and self.on_conflict == "fail":
            namespace, record = min(conflicting)
            raise PermanentError(
                f"the target already holds {record!r} in namespace {namespace!r} with other content",
                fix="choose --on-conflict upsert to overwrite or skip to keep the target's, or an empty target",
                code="conflict",
            )
        return prepared.without(~named(prepared.batch, conflicting), present=len(conflicting)) if conflicting else prepared


def _tell(
    undo: Callable[[pa.RecordBatch, pa.RecordBatch | None], None],
    batch: pa.RecordBatch,
    there: pa.RecordBatch | None,
    own: abc.Set[tuple[str, str]],
    *,
    everywhere: bool,
) -> None:
    """Tell ``undo`` which names of ``batch`` are not the run's ``own``, and which records are ``there`` under them."""
    names = batch.select(["namespace", "id"])
    if own:
        names = names.filter(pa.array(~named(batch, own)))
    if not len(names):
        return
    if there is not None and everywhere:
        there = there.filter(pc.is_in(there.column("id"), value_set=names.column("id")))
    elif there is not None:
        there = there.filter(pa.array(named(there, set(names_of(names)))))
    undo(names, there if there is not None and len(there) else None)


def names_of(batch: pa.RecordBatch) -> list[tuple[str, str]]:
    """Return (namespace, id) of each row."""
    return list(zip(batch.column("namespace").to_pylist(), batch.column("id").to_pylist(), strict=True))


def named(batch: pa.RecordBatch, names: abc.Set[tuple[str, str]]) -> Rows:
    """Return which rows have one of the (namespace, id) ``names``."""
    return np.fromiter((name in names for name in names_of(batch)), np.bool_, len(batch))
