"""A sample of what a run copied or compared, the same each time: some records from many places of the source, looked up in the target."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors import opened_source
from migrator.ledger.cursors import beginnings
from migrator.model import Plan, Selection
from migrator.records import dimension_of, matrix
from migrator.runs.proof_sides import routed_fetch
from migrator.runs.prove import as_it_is
from migrator.transform import compile_transform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from migrator.ledger import Ledger
    from migrator.model import Split
    from migrator.protocols import Source

PLACES = 24
"""Places of the source that are looked at."""
LOOKED_THROUGH = 10
"""Records read at most for each that is wanted: a filter, or rows that are no records, may leave few."""
LOOKED_UP = 200
"""Records asked for at once."""

Name = tuple[str, str]
"""Namespace and id in the target."""
Vectors = dict[Name, "npt.NDArray[np.float32]"]


@dataclass(frozen=True)
class Place:
    """Where reading begins: in ``split`` just after ``cursor``, and how many records ``size`` lie from there to the next place; 0 where nobody knows."""

    split: Split
    cursor: str | None = None
    size: float = 0


def of_source(ledger: Ledger, run: str, plan: Plan, records: int) -> Vectors:
    """Return up to ``records`` vectors of the source by the names they have in the target, those the plan selects and can place."""
    rules = compile_transform(plan)
    found: Vectors = {}
    with opened_source(plan.source) as source:
        for place, wanted in _shared(list(_places(ledger, run, plan, source)), records):
            here: Vectors = {}
            for batch in _batches(source, place, wanted):
                here |= dict(_named(rules.expected(batch)))
                if len(here) >= wanted:
                    break
            found |= dict(islice(here.items(), wanted))
    names = list(found)
    return {names[number]: found[names[number]] for number in _spread(len(names), records)}


def of_target(plan: Plan, names: Sequence[Name]) -> Vectors:
    """Return the vectors that the target has under ``names``."""
    found: Vectors = {}
    asked: dict[str, list[str]] = {}
    for namespace, record in names:
        asked.setdefault(namespace, []).append(record)
    with opened_source(plan.target) as target:
        fetch = routed_fetch(target, as_it_is(Plan(plan.source, plan.target)))
        for namespace, ids in asked.items():
            for start in range(0, len(ids), LOOKED_UP):
                found |= dict(_named(fetch(ids[start : start + LOOKED_UP], namespace)))
    return found


def _places(ledger: Ledger, run: str, plan: Plan, source: Source) -> Iterator[Place]:
    """Yield where reading can begin. Cutting files costs nothing; cutting a store takes listing its ids, unless a copy left its checkpoints."""
    collection = source.describe()
    checkpoints = [] if collection.version else beginnings(ledger, run)
    if checkpoints:
        yield from (Place(split, cursor, records) for split, cursor, records in checkpoints)
        return
    splits = list(source.splits(Selection(plan.selection.namespaces), PLACES if collection.version else 1))
    sharing = Counter(split.namespace for split in splits)
    for split in splits:
        known = 0 if split.namespace is None else collection.namespaces.get(split.namespace, 0) / sharing[split.namespace]
        yield Place(split, None, split.records or known)


def _shared(places: Sequence[Place], records: int) -> list[tuple[Place, int]]:
    """Return at most ``PLACES`` of ``places``, spread evenly, and how many records each is to give, by its size where that is known of all."""
    chosen = [places[number] for number in _spread(len(places), PLACES)]
    sizes = [place.size for place in chosen] if all(place.size for place in chosen) else [1.0] * len(chosen)
    return [(place, math.ceil(records * size / sum(sizes))) for place, size in zip(chosen, sizes, strict=True)]


def _spread(number: int, wanted: int) -> list[int]:
    """Return at most ``wanted`` of the positions below ``number``, evenly spread, the first and the last among them."""
    if number <= wanted:
        return list(range(number))
    return [position * (number - 1) // max(1, wanted - 1) for position in range(wanted)]


def _batches(source: Source, place: Place, wanted: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows from ``place`` on, as long as few were of use."""
    read = 0
    for chunk in source.read(place.split, place.cursor, max(wanted, 10)):
        yield chunk.batch
        read += chunk.scanned
        if read >= wanted * LOOKED_THROUGH:
            return


def _named(batch: pa.RecordBatch) -> Iterator[tuple[Name, npt.NDArray[np.float32]]]:
    """Yield the vectors whose numbers are all finite, by name."""
    if not dimension_of(batch):
        return
    vectors = matrix(batch)
    spaces, ids = batch.column("namespace").to_pylist(), pc.cast(batch.column("id"), pa.string()).to_pylist()
    for row in np.flatnonzero(np.isfinite(vectors).all(axis=1)).tolist():
        yield (spaces[row], ids[row]), vectors[row].copy()
