"""Looks at records that differ a second time, by their ids: what was written meanwhile is not blamed, and what differs gets its fields.

A store may show a write late, and a side may change while it is read. So the first differences are looked up on both sides, after the time
in which a write may stay unseen, and judged by what is there then.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from migrator.digest import NamespaceDigest, hash_rows, merge
from migrator.records import to_dicts
from migrator.verify.fields import differing_fields, distance
from migrator.verify.sides import LOOKED_UP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from migrator.model import Difference, Scope
    from migrator.verify.diff import Found, Hashes
    from migrator.verify.proof import Way
    from migrator.verify.sides import Side

    Digests = Mapping[str, NamespaceDigest]

LOOKED_AT_AGAIN = 10_000
"""Differences looked at again; more than that are no matter of time."""

_WRAP = (1 << 64) - 1


@dataclass
class Recheck:
    """What looking again found out."""

    source: Side
    target: Side
    way: Way
    settled: int = 0
    """Differences that were none any more."""
    unlooked: int = 0
    """Differences beyond ``LOOKED_AT_AGAIN``, reported as they were found."""
    moved: dict[str, tuple[NamespaceDigest, NamespaceDigest]] = field(default_factory=dict)
    """By how much each namespace's digests on the two sides are others now than when they were read."""

    def __call__(self, found: Iterable[Found]) -> Iterator[Difference]:
        """Yield the differences that still are, the first ``LOOKED_AT_AGAIN`` of them as they are now."""
        looked = 0
        for group in _groups(found, LOOKED_UP):
            counting = [one for one in group if not (self.way.extra_allowed and one.difference.kind == "extra")]
            yield from (one.difference for one in group if self.way.extra_allowed and one.difference.kind == "extra")
            if looked >= LOOKED_AT_AGAIN:
                self.unlooked += len(counting)
                yield from (one.difference for one in counting)
                continue
            if counting and not looked:
                self.way.wait()
            looked += len(counting)
            yield from self._group(counting)

    def _group(self, group: Sequence[Found]) -> Iterator[Difference]:
        ours, theirs = self._looked_up(self.source, group), self._looked_up(self.target, group)
        for one in group:
            if _several(one):
                yield one.difference
                continue
            name = one.difference.namespace, one.difference.id
            left, right = ours.get(name), theirs.get(name)
            now = _judged(one.difference, left, right, self.way.scope)
            if not self.way.settles:
                yield now if now is not None and now.kind == one.difference.kind else one.difference
                continue
            self._note(one, left, right)
            if now is not None:
                yield now
            else:
                self.settled += 1

    def _looked_up(self, side: Side, group: Sequence[Found]) -> dict[tuple[str, str], _Seen]:
        sought: dict[str, list[str]] = {}
        for one in group:
            if not _several(one):
                sought.setdefault(one.difference.namespace, []).append(one.difference.id)
        seen: dict[tuple[str, str], _Seen] = {}
        for namespace, ids in sought.items():
            seen |= _seen(side.fetch(ids, namespace))
        return seen

    def _note(self, one: Found, left: _Seen | None, right: _Seen | None) -> None:
        moves = _moved(one.source, left), _moved(one.target, right)
        if any(move.count or move.low or move.high for move in moves):
            known = self.moved.get(one.difference.namespace, (NamespaceDigest(), NamespaceDigest()))
            self.moved[one.difference.namespace] = known[0] + moves[0], known[1] + moves[1]

    def as_now(self, ours: Digests, theirs: Digests) -> tuple[Digests, Digests]:
        """Return the digests of both sides with what was looked up in the place of what was read."""
        left, right = ({name: both[side] for name, both in self.moved.items()} for side in (0, 1))
        return merge(ours, left), merge(theirs, right)


@dataclass(frozen=True)
class _Seen:
    """A record as it is now."""

    batch: pa.RecordBatch
    row: int
    hash: tuple[int, int]

    @property
    def record(self) -> dict[str, Any]:
        """The record as Python objects, which take eight times the room."""
        return to_dicts(self.batch.slice(self.row, 1))[0]


def _seen(batch: pa.RecordBatch) -> dict[tuple[str, str], _Seen]:
    names = zip(batch.column("namespace").to_pylist(), batch.column("id").to_pylist(), strict=True)
    hashes = hash_rows(batch).rows.tolist()
    return {name: _Seen(batch, row, (low, high)) for row, (name, (low, high)) in enumerate(zip(names, hashes, strict=True))}


def _several(one: Found) -> bool:
    """Whether a side had more than one of the record: a look-up shows one of them only, and may show one that is equal."""
    return max(len(one.source), len(one.target)) > 1


def _moved(before: Hashes, now: _Seen | None) -> NamespaceDigest:
    """Return what a namespace's digest gains when a record that was ``before`` is ``now``."""
    low = sum(low for low, _ in before)
    high = sum(high for _, high in before)
    gained = NamespaceDigest(1, *now.hash) if now is not None else NamespaceDigest()
    return gained + NamespaceDigest(-len(before), -low & _WRAP, -high & _WRAP)


def _judged(difference: Difference, ours: _Seen | None, theirs: _Seen | None, scope: Scope) -> Difference | None:
    """Return the difference as it is now, None when there is none."""
    if ours is None or theirs is None:
        if ours is theirs:  # gone from both sides
            return None
        return replace(difference, kind="missing" if theirs is None else "extra", fields=())
    if ours.hash == theirs.hash or scope.level == "ids":
        return None
    left, right = ours.record, theirs.record
    fields = differing_fields(left, right)
    most = scope.tolerance.most
    delta, cosine = distance(left["values"], right["values"]) if "values" in fields else (None, None)
    if most and fields == ("values",) and delta is not None and delta <= most:  # bit by bit, 0.0 and -0.0 are two values
        return None
    return replace(difference, kind="changed", fields=fields, largest_delta=delta, cosine=cosine)


def _groups(found: Iterable[Found], most: int) -> Iterator[list[Found]]:
    rest = iter(found)
    while group := list(islice(rest, most)):
        yield group
