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

    def __call__(self, prepared: Prepared, part: str, ours: Rows | None = None, intend: Intend | None = None) -> Prepared:
        """Write ``prepared`` as ``part`` and return what was in fact written.

        Rows of ``ours`` are this run's own in the target, so no rule about ids that are there holds for them. ``intend`` is told
        what is about to be written.
        """
        if self.present is not None:
            prepared = self._unless_present(prepared, self.present, ours)
            if not len(prepared.batch):
                return prepared
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

    def _unless_present(self, prepared: Prepared, present: Source, own: Rows | None) -> Prepared:
        """Leave out ids the target holds with other content (or at all, when only new ones are wanted); fail if told to."""
        conflicting: set[tuple[str, str]] = set()
        ours = dict(zip(names_of(prepared.batch), map(bytes, prepared.hashes.rows), strict=True))
        for namespace in self.everywhere or pc.unique(prepared.batch.column("namespace")).to_pylist():
            sought = {name: (space, name) for space, name in ours if self.everywhere or space == namespace}
            ids = list(sought)
            found = retry.call(lambda ids=ids, namespace=namespace: present.fetch(ids, namespace), stop=self.stop)  # type: ignore[misc]
            # the same record may be there from an attempt that was killed before its checkpoint: writing it again changes nothing
            theirs = dict(zip(names_of(found), map(bytes, hash_rows(found).rows), strict=True))
            conflicting |= {sought[name[1]] for name, digest in theirs.items() if self.new_only or ours.get(name) != digest}
        if own is not None:
            conflicting -= set(names_of(prepared.batch.filter(pa.array(own))))
        if conflicting and self.on_conflict == "fail":
            namespace, record = min(conflicting)
            raise PermanentError(
                f"the target already holds {record!r} in namespace {namespace!r} with other content",
                fix="choose --on-conflict upsert to overwrite or skip to keep the target's, or an empty target",
                code="conflict",
            )
        return prepared.without(~named(prepared.batch, conflicting), present=len(conflicting)) if conflicting else prepared


def names_of(batch: pa.RecordBatch) -> list[tuple[str, str]]:
    """Return (namespace, id) of each row."""
    return list(zip(batch.column("namespace").to_pylist(), batch.column("id").to_pylist(), strict=True))


def named(batch: pa.RecordBatch, names: abc.Set[tuple[str, str]]) -> Rows:
    """Return which rows have one of the (namespace, id) ``names``."""
    return np.fromiter((name in names for name in names_of(batch)), np.bool_, len(batch))
