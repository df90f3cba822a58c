"""The two sides of a search: how each is asked, and how its answers get the names that records have in the target."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migrator.errors import ConfigError, PermanentError, PlanError
from migrator.protocols import Searchable
from migrator.transform import compile_transform
from migrator.verify.search.measures import Answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from migrator.model import Collection, Plan
    from migrator.protocols import Source
    from migrator.routing import Namespaces
    from migrator.runs.context import Attempt
    from migrator.verify.search.measures import Hits
    from migrator.verify.search.queries import Query

REFUSALS = (ConfigError, PermanentError, PlanError)
"""What trying again does not change."""
WARM_UP = 3
"""Questions asked before the clock runs: connections are made and indexes loaded."""
_NO_SEARCH = frozenset({"filter_unsupported", "metric_outside", "sparse_only"})
"""Refusals that say that a collection has no such search, not that it failed."""


class UnsearchableError(Exception):
    """A side has no search that would answer the question; the text says why."""


@dataclass(frozen=True)
class Asked:
    """One side: what it is called, and how to ask it."""

    side: str
    ask: Callable[[Query, int], Hits]


def target_side(target: Source, connector: str, own: Mapping[str, Any] | None) -> Asked:
    """Return how to ask the target, of which only what matches ``own`` is compared."""
    search = _searchable(target, connector)

    def ask(query: Query, k: int) -> Hits:
        return search.search([query.vector.tolist()], k, query.namespace, all_of(own, query.filter))[0]

    return Asked("target", ask)


def source_side(source: Source, collection: Collection, plan: Plan) -> Asked:
    """Return how to ask the source for what a query of the target's asks: in the namespaces its records come from, of what was copied only."""
    search = _searchable(source, plan.source.connector)
    rules = compile_transform(plan)

    def ask(query: Query, k: int) -> Hits:
        origins = [name for name in rules.names.origins(query.namespace or "", collection.namespaces) if rules.namespaces is None or name in rules.namespaces]
        vector = query.vector.tolist()
        chosen = {origin: all_of(plan.selection.filter, query.filter, routed(rules.names, query.namespace or "", origin)) for origin in origins}
        hits = [hit for origin, filter_ in chosen.items() for hit in search.search([vector], k, origin, filter_)[0]]
        if len(origins) > 1:
            hits.sort(key=lambda hit: hit[1], reverse=collection.metric != "euclidean")
        named: dict[str, float] = {}
        for name, score in hits:
            named.setdefault(rules.target_id(name), score)
        return list(named.items())[:k]

    return Asked("source", ask)


def routed(names: Namespaces, namespace: str, origin: str) -> Mapping[str, Any] | None:
    """Return the filter for those records of the source's ``origin`` that a metadata field routes to the target's ``namespace``; None without such a rule.

    A value that is a list, or null, names no namespace, and no filter can ask for it: such records are left to the rule for missing values.
    """
    if names.field is None:
        return None
    parts: list[dict[str, Any]] = [{names.field: {"$eq": value}} for value in names.values(namespace)]
    if names.without_value(origin) == namespace:
        parts.append({names.field: {"$exists": False}})
    return {"$or": parts} if len(parts) > 1 else parts[0]


def _searchable(opened: Source, connector: str) -> Searchable:
    if not isinstance(opened, Searchable):
        raise UnsearchableError(f"{connector} has no search of its own")
    return opened


def all_of(*filters: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the filter that demands all those given."""
    given = [filter_ for filter_ in filters if filter_]
    return {"$and": [dict(filter_) for filter_ in given]} if len(given) > 1 else given[0] if given else None


def answers(attempt: Attempt, asked: Asked, queries: Sequence[Query], k: int, weight: int) -> Answers:
    """Ask the questions one after the other and time each, after a few to warm up; each counts as ``weight`` rows of the progress.

    Raise ``UnsearchableError`` when the side turns out to have no such search.
    """
    found = Answers()

    def one(query: Query) -> tuple[Hits, float]:
        began = time.perf_counter()
        hits = asked.ask(query, k)
        return hits, time.perf_counter() - began

    try:
        for query in queries[:WARM_UP]:
            _patiently(attempt, asked.side, lambda query=query: one(query))  # type: ignore[misc]
        for query in queries:
            hits, seconds = _patiently(attempt, asked.side, lambda query=query: one(query))  # type: ignore[misc]
            found.hits.append(hits)
            found.seconds.append(seconds)
            attempt.on_rows(weight)
    except REFUSALS as error:
        if asked.side == "source" or error.code in _NO_SEARCH:
            raise UnsearchableError(error.message) from error
        raise
    return found


def _patiently(attempt: Attempt, side: str, ask: Callable[[], tuple[Hits, float]]) -> tuple[Hits, float]:
    attempt.poll()
    attempt.raise_if_stopped()
    return attempt.patiently(f"asking the {side}", ask)
