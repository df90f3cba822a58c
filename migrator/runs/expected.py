"""What the target should hold under some ids: the plan's rules applied to the source's own records, as a copy applies them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from migrator import duplicates, staging
from migrator.ledger.duplicates import source_splits
from migrator.model import Chunk
from migrator.pipeline.copy import read_patiently
from migrator.pipeline.prepare import Rules, prepare
from migrator.pipeline.write import named
from migrator.records import constant
from migrator.runs import steps
from migrator.transform import compile_transform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.model import Collection
    from migrator.pipeline.prepare import Prepared
    from migrator.protocols import Source
    from migrator.runs.context import Attempt

_READ_RECORDS = 5_000


def rules_of(attempt: Attempt, source: Source, collection: Collection, *, pair: bool) -> Rules:
    """Return the rules of the attempt's run; of a ``pair``, which nobody here copied, those of its plan alone."""
    if not pair:
        return steps.rules_of(attempt, source, collection)
    plan = attempt.plan
    return Rules(compile_transform(plan), staging.capabilities_of(plan), collection.metric, duplicates.none())


@dataclass(frozen=True)
class Expected:
    """Looks up in an open source what the target should hold."""

    attempt: Attempt
    source: Source
    rules: Rules
    namespaces: tuple[str, ...]
    """Of the source, as far as the plan selects them."""

    def __call__(self, ids: Sequence[str], namespace: str) -> Iterator[Prepared]:
        """Yield, ready to be written, the records that belong under ``ids`` into the target's ``namespace``; those the source does not have are left out.

        An id that the source has more than once is read where the run found the one that counts.
        """
        once, repeated = self._told_apart(ids, namespace)
        if once:
            yield self._fetched(once, namespace)
        for place, wanted in repeated.items():
            yield from self._scanned(place, wanted, namespace)

    def _told_apart(self, ids: Sequence[str], namespace: str) -> tuple[list[str], dict[int, set[str]]]:
        """Return those of ``ids`` that occur once, and the others by the position of the split that has the one that counts."""
        names = pa.RecordBatch.from_arrays([pa.array(ids, pa.string()), constant(namespace, len(ids))], ["id", "namespace"])
        places, winners = self.rules.repeats.locate(names)
        repeated: dict[int, set[str]] = defaultdict(set)
        for place, winner in zip(places.tolist(), winners, strict=True):
            repeated[int(winner["split"])].add(ids[place])
        several = set().union(*repeated.values())
        return [name for name in ids if name not in several], repeated

    def _fetched(self, ids: Sequence[str], namespace: str) -> Prepared:
        transform = self.rules.transform
        origins = transform.names.origins(namespace, self.namespaces)
        found = self.attempt.patiently(
            "looking records up in the source", lambda: transform.originals(self.source.fetch, ids, origins, self.source.describe().dimension)
        )
        return _only(prepare(Chunk(found, ""), -1, replace(self.rules, repeats=duplicates.none())), ids, namespace)

    def _scanned(self, place: int, wanted: set[str], namespace: str) -> Iterator[Prepared]:
        attempt = self.attempt
        splits = [where.split for where in source_splits(attempt.ledger, attempt.run)]
        for chunk in read_patiently(self.source, splits[place], None, _READ_RECORDS, stop=attempt.stop, log=attempt.log):
            prepared = _only(prepare(chunk, place, self.rules), wanted, namespace)
            if len(prepared.batch):
                yield prepared


def _only(prepared: Prepared, ids: Sequence[str] | set[str], namespace: str) -> Prepared:
    """Return the records of ``prepared`` that are named, and of its rejected ones those that would be."""
    keep = named(prepared.batch, {(namespace, name) for name in ids})
    return prepared if keep.all() else prepared.without(keep)


def opened(attempt: Attempt, source: Source, collection: Collection, *, pair: bool) -> Expected:
    """Return what looks records up in ``source``."""
    chosen = attempt.plan.selection.namespaces
    known = tuple(name for name in collection.namespaces if chosen is None or name in chosen)
    return Expected(attempt, source, rules_of(attempt, source, collection, pair=pair), known)
