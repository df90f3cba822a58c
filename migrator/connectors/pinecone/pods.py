"""Finding the ids of a pod index, which cannot list them: by queries whose completeness the index's own counts prove or disprove."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

from migrator.errors import PermanentError
from migrator.pinecone_protocol import limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Filter = dict[str, Any]

SAMPLE = 200
"""Records looked at to choose what to divide a cell by."""
_VALUES = 200
"""Values of one field that are named in rules."""
_DEEPEST = 60
_STRIKES = 8
"""Queries in a row that may find nothing new before probing ends."""
_PROBES = 200
"""Queries that probing may take."""
_RETAKES = 6
"""Queries that a cell small enough for one may take, should the first not bring all of it."""


class Questions(Protocol):
    """What can be asked of one namespace of a pod index."""

    def count(self, filter_: Filter | None) -> int:
        """Return how many records match."""

    def nearest(self, filter_: Filter | None, top_k: int) -> list[str]:
        """Return the ids nearest to a vector, another one each time."""

    def metadata(self, ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """Return the metadata of records."""


@dataclass(frozen=True)
class Found:
    """What could be found of a namespace."""

    ids: tuple[str, ...]
    """In ascending order."""
    counted: int
    """What the index counts."""
    how: str
    """``query``, ``metadata`` or ``probing``: the last means that neither of the others sufficed."""

    @property
    def complete(self) -> bool:
        return len(self.ids) >= self.counted


def find_ids(ask: Questions, split_on: Sequence[str] = ()) -> Found:
    """Return the ids of a namespace, by the safest strategy that brings them all; what is still missing then is missing."""
    counted = ask.count(None)
    found: set[str] = set()
    how = "query"
    if counted <= limits.TOP_K:
        _take(ask, None, counted, found)
    if len(found) < counted:
        how = "metadata"
        _cover(ask, (), counted, found, tuple(split_on))
    if len(found) < counted:
        how = "probing"
        _probe(ask, counted, found)
    return Found(tuple(sorted(found)), counted, how)


def _take(ask: Questions, filter_: Filter | None, count: int, found: set[str]) -> None:
    """Add the ids of a cell that one query can bring; approximate search may leave some out, so another vector is tried then."""
    cell: set[str] = set()
    for _ in range(_RETAKES):
        before = len(cell)
        cell.update(ask.nearest(filter_, limits.TOP_K))
        if len(cell) >= count or len(cell) == before:
            break
    found |= cell


def _cover(ask: Questions, conditions: tuple[Filter, ...], count: int, found: set[str], split_on: tuple[str, ...]) -> None:
    """Add the ids of the cell that ``conditions`` describe, dividing it by metadata until one query brings each part."""
    if not count:
        return
    filter_ = _all_of(conditions)
    if count <= limits.TOP_K:
        try:
            _take(ask, filter_, count, found)
        except PermanentError as error:
            if error.code not in {"bad_request", "request_too_large"}:  # 10,000 long ids can be over the 4 MB an answer may have
                raise
        else:
            return
    if len(conditions) < _DEEPEST:
        for part, size in _divided(ask, conditions, count, split_on):
            _cover(ask, part, size, found, split_on)


def _divided(ask: Questions, conditions: tuple[Filter, ...], count: int, split_on: tuple[str, ...]) -> list[tuple[tuple[Filter, ...], int]]:
    """Return the parts of a cell with their counts: by the first field that makes every part smaller than the whole and loses nothing."""
    filter_ = _all_of(conditions)
    sample = ask.metadata(ask.nearest(filter_, SAMPLE))
    best: list[tuple[tuple[Filter, ...], int]] = []
    for field in _candidates(sample, split_on):
        cells = [(*conditions, rule) for rule in _cells(field, [row[field] for row in sample if field in row], _parts(count))]
        try:
            sized = [(cell, ask.count(_all_of(cell))) for cell in cells]
        except PermanentError as error:  # a field that is not indexed cannot be filtered by
            if error.code != "bad_request":
                raise
            continue
        sized = [(cell, size) for cell, size in sized if size < count]  # a value that all records have divides nothing
        if sum(size for _, size in sized) >= count:  # cells of a list field overlap
            return sized
        if sum(size for _, size in sized) > sum(size for _, size in best):
            best = sized
    return best


def _parts(count: int) -> int:
    """Return into how many parts of equal size a cell is best divided: half of what a query can bring leaves room for unequal ones."""
    return max(2, -(-2 * count // limits.TOP_K))


def _candidates(sample: Sequence[Mapping[str, Any]], split_on: Sequence[str]) -> Iterator[str]:
    """Yield the fields to divide by: those asked for, then numbers, which halve whatever their values are, then those of many different values."""
    distinct: dict[str, set[str]] = {}
    texts: set[str] = set()
    for row in sample:
        for field, value in row.items():
            distinct.setdefault(field, set()).add(repr(value))
            if not _is_number(value):
                texts.add(field)
    yield from (field for field in split_on if field in distinct)
    for field, values in sorted(distinct.items(), key=lambda entry: (entry[0] in texts, -len(entry[1]), entry[0])):
        if field not in split_on and (len(values) > 1 or any(field not in row for row in sample)):
            yield field


def _cells(field: str, values: Sequence[Any], parts: int) -> Iterator[Filter]:
    """Yield rules that together match every record: one a half, or a group of values, one for other values, one for records without the field.

    The public accounts of ``$ne`` and ``$nin`` differ on records without the field; so the rule of the others asks for it to exist.
    """
    numbers = [value for value in values if _is_number(value)]
    if len(numbers) == len(values) and len(set(numbers)) > 1:
        middle = median(numbers)
        yield {field: {"$lt": middle}}
        yield {field: {"$gte": middle}}
    else:
        common = Counter(_texts(values)).most_common(_VALUES)
        yield from ({field: {"$in": group}} for group in _groups(common, parts))
        if common:
            yield {"$and": [{field: {"$exists": True}}, {field: {"$nin": [value for value, _ in common]}}]}
    yield {field: {"$exists": False}}


def _groups(common: Sequence[tuple[Any, int]], parts: int) -> list[list[Any]]:
    """Divide values, each with how often it was seen, the commonest first, into groups seen about equally often."""
    groups: list[list[Any]] = [[] for _ in range(min(parts, len(common)))]
    seen = [0] * len(groups)
    for value, often in common:
        least = seen.index(min(seen))
        groups[least].append(value)
        seen[least] += often
    return groups


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _texts(values: Sequence[Any]) -> list[Any]:
    """Return the values a filter can name; each item of a list is one."""
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _all_of(conditions: Sequence[Filter]) -> Filter | None:
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return {"$and": list(conditions)}


def _probe(ask: Questions, count: int, found: set[str]) -> None:
    """Add what random queries find: no number of them proves anything, only the count does."""
    strikes = 0
    for _ in range(_PROBES):
        before = len(found)
        found.update(ask.nearest(None, limits.TOP_K))
        strikes = strikes + 1 if len(found) == before else 0
        if len(found) >= count or strikes == _STRIKES:
            return
