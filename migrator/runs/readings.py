"""One side of a run read whole for a search: its records named as in the target, and those to be asked for chosen among them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from migrator.digest import NamespaceDigest, fingerprint, hash_rows, merge, namespace_digests
from migrator.executors import local
from migrator.existing import target_scope
from migrator.model import Mapping, Selection
from migrator.pipeline.copy import read_patiently
from migrator.protocols import KeyScanner
from migrator.records import matrix
from migrator.runs.proof_sides import routed_fetch, rows_at_once
from migrator.runs.prove import as_it_is
from migrator.transform import compile_transform
from migrator.verify.search.queries import Query
from migrator.verify.search.sample import Sampler
from migrator.verify.sides import LOOKED_UP

if TYPE_CHECKING:
    from collections import abc
    from collections.abc import Callable, Sequence

    import pyarrow as pa

    from migrator.model import Plan, Split
    from migrator.protocols import Source
    from migrator.runs.context import Attempt
    from migrator.transform import Transform


@dataclass(frozen=True)
class Reading:
    """One side of a run."""

    side: str
    opened: Source
    rules: Transform
    splits: Sequence[Split]
    counts: abc.Mapping[str, int]
    """Records in each namespace of the target's, as the store counts them."""
    known: abc.Collection[str]
    """All namespaces of the run's, also those that are not asked in."""
    fetch: Callable[[Sequence[str], str], pa.RecordBatch]
    """Looks records up by the ids and namespace they have in the target."""
    rows: int
    """Read at once."""

    @property
    def records(self) -> int:
        return sum(self.counts.values())

    def each(self, attempt: Attempt, visit: Callable[[pa.RecordBatch], None]) -> None:
        """Call ``visit`` with all records, from several threads, one at a time; ends the attempt here if it was asked to stop."""
        lock = threading.Lock()

        def one(split: Split) -> None:
            for chunk in read_patiently(self.opened, split, None, self.rows, stop=attempt.stop, log=attempt.log):
                batch = self.rules.expected(chunk.batch)
                with lock:
                    visit(batch)
                attempt.on_rows(chunk.scanned)

        local.run(one, self.splits, workers=attempt.plan.workers, stop=attempt.stop, poll=attempt.poll)
        attempt.raise_if_stopped()

    def sample(self, attempt: Attempt, wanted: abc.Mapping[str, int]) -> list[Query]:
        """Return the stored vectors to ask for: ``wanted`` of each namespace. From the ids alone where the store lists them."""
        sampler = Sampler(wanted)
        if isinstance(self.opened, KeyScanner) and not self.rules.renames and self.rules.matches is None:
            for split in self.splits:
                for keys in self.opened.keys(split):
                    attempt.poll()
                    attempt.raise_if_stopped()
                    sampler.add(keys.column("id"), keys.column("namespace"))
                    attempt.on_rows(len(keys))
        else:
            self.each(attempt, lambda batch: sampler.add(batch.column("id"), batch.column("namespace")))
        return [query for namespace, ids in sampler.chosen().items() for query in self._looked_up(attempt, namespace, ids)]

    def _looked_up(self, attempt: Attempt, namespace: str, ids: Sequence[str]) -> list[Query]:
        found: dict[str, np.ndarray] = {}
        for start in range(0, len(ids), LOOKED_UP):
            part = ids[start : start + LOOKED_UP]
            batch = attempt.patiently("reading the sample", lambda part=part: self.fetch(part, namespace))  # type: ignore[misc]
            found |= zip(batch.column("id").to_pylist(), matrix(batch), strict=True)
        return [Query(name, found[name].copy(), namespace) for name in ids if name in found and np.isfinite(found[name]).all()]


@dataclass
class Seen:
    """The digest of all records of a reading, by which it is known again."""

    namespaces: dict[str, NamespaceDigest] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch) -> None:
        self.namespaces = merge(self.namespaces, namespace_digests(hash_rows(batch), batch.column("namespace")))

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.namespaces)


def of_target(attempt: Attempt, target: Source, kind: str, namespaces: tuple[str, ...] | None) -> Reading:
    """Return how to read of the target what a proof of the run reads, or of that only ``namespaces``."""
    plan = attempt.plan
    whole = target_scope(plan)
    scope = whole if namespaces is None else namespaces
    filter_ = plan.selection.filter if kind == "verify" else None
    rules = as_it_is(plan.with_(selection=Selection(scope, filter_), mapping=Mapping()))
    found = attempt.patiently("looking at the target", target.describe)
    known = {name: count for name, count in found.namespaces.items() if count and (whole is None or name in whole)}
    counts = {name: count for name, count in known.items() if scope is None or name in scope}
    return Reading("target", target, rules, _splits(attempt, target, scope), counts, known, routed_fetch(target, rules), rows_at_once(found.dimension))


def of_source(attempt: Attempt, source: Source, known: abc.Mapping[str, int], namespaces: tuple[str, ...] | None) -> Reading:
    """Return how to read of the source what the run copies; ``known`` is how many records a proof counted in each namespace of the target."""
    plan = attempt.plan
    rules = compile_transform(plan)
    found = attempt.patiently("looking at the source", source.describe)
    read = [name for name in found.namespaces if rules.namespaces is None or name in rules.namespaces]
    counts = every = dict(known) if rules.names.field is not None else _routed(plan, {name: found.namespaces[name] for name in read})
    if namespaces is not None:
        counts = {name: count for name, count in counts.items() if name in namespaces}
        read = sorted({origin for name in namespaces for origin in rules.names.origins(name, read)})
    return Reading("source", source, rules, _splits(attempt, source, tuple(read)), counts, every, routed_fetch(source, rules), rows_at_once(found.dimension))


def _routed(plan: Plan, found: abc.Mapping[str, int]) -> dict[str, int]:
    names, counts = compile_transform(plan).names, dict[str, int]()
    for name, count in found.items():
        counts[names.own(name)] = counts.get(names.own(name), 0) + count
    return counts


def _splits(attempt: Attempt, opened: Source, scope: tuple[str, ...] | None) -> list[Split]:
    return attempt.patiently("splitting a collection", lambda: list(opened.splits(Selection(scope), attempt.plan.workers)))
