"""From a chunk as the source gave it to the records the target should hold. Copying and proving both go through here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from migrator.digest import NamespaceDigest, RowHashes, hash_rows, namespace_digests
from migrator.duplicates import Repeats, rows_of
from migrator.ledger.checkpoint import Held
from migrator.validate import problems, raw_record, reject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from migrator.model import Capabilities, Chunk, Metric, Rejected
    from migrator.transform import Transform
    from migrator.validate import Problem


@dataclass(frozen=True)
class Rules:
    """What decides how a source row becomes a target record."""

    transform: Transform
    capabilities: Capabilities
    """Of the target."""
    metric: Metric | None
    repeats: Repeats
    origins: bool = False
    """Whether every prepared record is to remember its id and namespace in the source: those that are stamped there."""


@dataclass(frozen=True)
class Prepared:
    """A chunk ready to be written."""

    batch: pa.RecordBatch
    hashes: RowHashes
    digests: Mapping[str, NamespaceDigest]
    cursor: str
    read: int
    """Rows of the source this stands for, in the selected namespaces, whether the filter matches them or not."""
    scanned: int
    """Of those, the ones the filter matches, and those that vanished before the filter could see them."""
    rejected: tuple[Rejected, ...]
    held: tuple[Held, ...]
    present: int = 0
    """Records left out because the target's own of that id is to stay."""
    vanished: int = 0
    """Records of the scan that were gone when they were to be read; not in ``read``, because the source no longer counts them."""
    origin: pa.RecordBatch | None = None
    """``id`` and ``namespace`` in the source of each row of ``batch``, if the rules ask for it."""
    unread: pa.RecordBatch | None = None
    """``id`` and ``namespace`` in the target of records that are there and were not read, because the target holds them."""
    kept: int = 0
    """Records of ``unread`` whose digests are in ``digests``: they count as copied."""
    verified: int = 0
    """Records that were read back from the target and found as they were written."""

    @property
    def duplicate(self) -> int:
        """Records not written because their id is, by another occurrence or by the target's own record."""
        return sum(not held.winner for held in self.held) + self.present

    def without(self, keep: npt.NDArray[np.bool_], *, rejected: tuple[Rejected, ...] = (), present: int = 0) -> Prepared:
        """Return what remains when only the rows of ``keep`` are written; the others are ``rejected``, or ``present`` in the target."""
        batch = self.batch.filter(pa.array(keep))
        hashes = RowHashes(self.hashes.keys[keep], self.hashes.rows[keep])
        digests = namespace_digests(hashes, batch.column("namespace"))
        refused = {(record.namespace, record.id) for record in rejected}
        # a refused record was not written: those held back for its sake are no duplicates of anything
        held = tuple(one for one in self.held if not (one.winner and (one.namespace, one.id) in refused))
        origin = None if self.origin is None else self.origin.filter(pa.array(keep))
        kept = replace(self, batch=batch, hashes=hashes, digests=digests, held=held, origin=origin)
        return replace(kept, rejected=(*self.rejected, *rejected), present=self.present + present)


def prepare(chunk: Chunk, split_position: int, rules: Rules) -> Prepared:
    """Select, route, judge, hold duplicates back and hash the rows of ``chunk``."""
    batch, rows = chunk.batch, rows_of(chunk.start, chunk.rows, len(chunk.batch))
    batch, rows = _keep(batch, rows, rules.transform.in_namespaces(batch))
    unreadable = [r for r in chunk.rejected if rules.transform.namespaces is None or r.namespace in rules.transform.namespaces]
    unread = _unread(chunk, rules.transform)
    read = len(batch) + len(unreadable) + (len(unread) if unread is not None else 0)
    batch, rows = _keep(batch, rows, rules.transform.matching(batch))
    scanned = len(batch) + len(unreadable) + chunk.vanished + (len(unread) if unread is not None else 0)
    unroutable = rules.transform.unroutable(batch)
    rejected = (*unreadable, *reject(batch, unroutable))
    batch, rows = _keep(batch, rows, _without(batch, unroutable))
    batch = rules.transform.route(batch)
    found = problems(batch, rules.capabilities, rules.metric)
    rejected += tuple(reject(batch, found))
    batch, rows = _keep(batch, rows, _without(batch, found))
    hashes = hash_rows(batch)
    held, written = _hold(batch, rows, hashes, split_position, rules.repeats)
    if written is not None:
        batch = batch.filter(pa.array(written))
        hashes, rows = RowHashes(hashes.keys[written], hashes.rows[written]), rows[written]
    origin = _origin(chunk, rows) if rules.origins else None
    digests = namespace_digests(hashes, batch.column("namespace"))
    return Prepared(batch, hashes, digests, chunk.cursor, read, scanned, rejected, held, vanished=chunk.vanished, origin=origin, unread=unread)


def _unread(chunk: Chunk, transform: Transform) -> pa.RecordBatch | None:
    """Return the names in the target of the rows that were not read; their selection and routing take no metadata."""
    if chunk.unread is None:
        return None
    mask = transform.in_namespaces(chunk.unread)
    return replace(transform, unstamps=False).route(chunk.unread if mask is None else chunk.unread.filter(pa.array(mask)))


def _origin(chunk: Chunk, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Return id and namespace, as the source has them, of the rows of ``chunk`` at the positions ``rows`` of its split."""
    places = np.searchsorted(rows_of(chunk.start, chunk.rows, len(chunk.batch)), rows)
    return chunk.batch.select(["id", "namespace"]).take(pa.array(places))


def _without(batch: pa.RecordBatch, found: Sequence[Problem]) -> npt.NDArray[np.bool_] | None:
    if not found:
        return None
    good = np.ones(len(batch), np.bool_)
    good[[problem.row for problem in found]] = False
    return good


def _keep(batch: pa.RecordBatch, rows: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_] | None) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
    return (batch, rows) if mask is None else (batch.filter(pa.array(mask)), rows[mask])


def _hold(
    batch: pa.RecordBatch, rows: npt.NDArray[np.int64], hashes: RowHashes, split_position: int, repeats: Repeats
) -> tuple[tuple[Held, ...], npt.NDArray[np.bool_] | None]:
    """Return the occurrences of repeated ids and which rows are written all the same."""
    places, winners = repeats.locate(batch)
    if not len(places):
        return (), None
    written = np.ones(len(batch), np.bool_)
    held = []
    for place, winner in zip(places.tolist(), winners, strict=True):
        wins = bool(winner["split"] == split_position and winner["row"] == rows[place])
        written[place] = wins
        record = batch.slice(place, 1).to_pylist()[0]
        key = f"{int(winner['low']):016x}{int(winner['high']):016x}"
        digest = f"{int(hashes.rows[place, 0]):016x}{int(hashes.rows[place, 1]):016x}"
        held.append(Held(key, digest, wins, record["namespace"], record["id"], None if wins else raw_record(record)))
    return tuple(held), written
