"""Writes what differs from the state and journals it first; what the target holds already counts as copied without being sent again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from migrator.digest import RowHashes, merge, namespace_digests
from migrator.duplicates import hashed
from migrator.failpoints import failpoint
from migrator.follow.journal import CHANGED, NEW, UNCHANGED, entries, held
from migrator.pipeline.write import named

if TYPE_CHECKING:
    import numpy.typing as npt

    from migrator.follow.journal import Journal
    from migrator.follow.state import State
    from migrator.model import Changes
    from migrator.pipeline.prepare import Prepared
    from migrator.pipeline.write import ChunkWriter


@dataclass(frozen=True)
class JournalWriter:
    """Writes chunks through ``inner``, but only what ``state`` does not know to be in the target."""

    inner: ChunkWriter
    journal: Journal
    state: State
    changes: Changes
    ids_only: bool
    """Whether the target's ids are unique over all namespaces."""

    def __call__(self, prepared: Prepared, part: str) -> Prepared:
        """Write ``prepared`` as ``part`` and return what the target holds of it."""
        kinds, prepared = self._judged(prepared)
        sending = prepared.without(kinds != UNCHANGED)
        intended: list[Prepared] = []
        written = sending
        if len(sending.batch):

            def intend(rest: Prepared) -> None:
                kept = _whole(prepared, sending, rest)
                self._save(part, kept, kinds[_rows_of(prepared, kept)], durable=True)
                intended.append(rest)
                failpoint("journalled")

            written = self.inner(sending, part, (kinds != NEW)[kinds != UNCHANGED], intend)
            failpoint("sent")
        whole = replace(_whole(prepared, sending, written), verified=written.verified)
        if not intended or len(intended[0].batch) != len(written.batch):  # nothing was sent, or the store refused some
            self._save(part, whole, kinds[_rows_of(prepared, whole)], durable=bool(intended))
        return self._with_unread(whole)

    def _judged(self, prepared: Prepared) -> tuple[npt.NDArray[np.uint8], Prepared]:
        """Return what is to be done with each row, and the rows with the hashes of what the target will hold."""
        keys = hashed(prepared.batch.column("id"), prepared.batch.column("namespace"), ids_only=self.ids_only)
        known = self.state.look_up(keys["low"], keys["high"])
        sure = known.found & known.sure
        kinds = np.where(known.found, CHANGED, NEW).astype(np.uint8)
        if self.changes == "all":
            kinds[sure & (known.hashes == prepared.hashes.rows).all(axis=1)] = UNCHANGED
            return kinds, prepared
        kinds[sure] = UNCHANGED
        rows = np.where(sure[:, None], known.hashes, prepared.hashes.rows)
        hashes = RowHashes(prepared.hashes.keys, rows)
        return kinds, replace(prepared, hashes=hashes, digests=namespace_digests(hashes, prepared.batch.column("namespace")))

    def _save(self, part: str, prepared: Prepared, kinds: npt.NDArray[np.uint8], *, durable: bool) -> None:
        rows = entries(prepared, kinds, ids_only=self.ids_only)
        if prepared.unread is not None:
            rows = pa.concat_batches([rows, held(prepared.unread, *self._held(prepared.unread))])
        self.journal.save(part, rows, durable=durable)

    def _held(self, names: pa.RecordBatch) -> tuple[npt.NDArray[np.void], npt.NDArray[np.uint64]]:
        """Return the keys of records the target holds, and the hashes of their contents there."""
        keys = hashed(names.column("id"), names.column("namespace"), ids_only=self.ids_only)
        return keys, self.state.look_up(keys["low"], keys["high"]).hashes

    def _with_unread(self, prepared: Prepared) -> Prepared:
        """Return ``prepared`` with the records that were not read counted among what the target holds."""
        if prepared.unread is None:
            return prepared
        _, rows = self._held(prepared.unread)
        digests = namespace_digests(RowHashes(rows[:, 0], rows), prepared.unread.column("namespace"))
        return replace(prepared, kept=len(prepared.unread), digests=merge(prepared.digests, digests))


def _whole(prepared: Prepared, sent: Prepared, written: Prepared) -> Prepared:
    """Return ``prepared`` less the rows that were to be ``sent`` and are not among the ``written`` ones."""
    if len(written.batch) == len(sent.batch):
        return prepared
    lost = _names(sent) - _names(written)
    refused, present = written.rejected[len(sent.rejected) :], written.present - sent.present
    return prepared.without(~named(prepared.batch, lost), rejected=refused, present=present)


def _rows_of(prepared: Prepared, part: Prepared) -> npt.NDArray[np.int64]:
    """Return the rows of ``prepared`` that ``part`` has."""
    if len(part.batch) == len(prepared.batch):
        return np.arange(len(prepared.batch))
    return np.flatnonzero(named(prepared.batch, _names(part)))


def _names(prepared: Prepared) -> set[tuple[str, str]]:
    batch: pa.RecordBatch = prepared.batch
    return set(zip(batch.column("namespace").to_pylist(), batch.column("id").to_pylist(), strict=True))
