"""What a search asks for: the user's own queries, or stored vectors, each in a namespace of the target."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from migrator.errors import ConfigError
from migrator.model import Finding
from migrator.verify.search.queries import MOST_QUERIES, Query, read_queries
from migrator.verify.search.sample import quotas

if TYPE_CHECKING:
    from migrator.runs.readings import Reading
    from migrator.runs.searching import Search

_NAMED = 10


def queries(search: Search, reading: Reading) -> list[Query]:
    """Return the questions, of which ``reading`` gives the stored vectors. Raise ``ConfigError`` when there is none to ask."""
    options, dimension = search.options, search.collections["target"].dimension
    if not dimension:
        raise ConfigError("the target holds sparse vectors only", fix="search quality is measured for dense vectors", code="sparse_only")
    source = search.collections.get("source")
    if source is not None and source.dimension != dimension:
        message = f"the source's vectors have {source.dimension:,} dimensions and the target's {dimension:,}: no vector can be asked for on both sides"
        raise ConfigError(message, fix="copy anew into a collection of the source's dimension", code="dimension_differs")
    held = {name: count for name, count in reading.counts.items() if count}
    if unknown := [name for name in options.namespaces or () if name not in held]:
        known = ", ".join(map(repr, sorted(reading.known)[:_NAMED])) or "none with records"
        raise ConfigError(f"there is no namespace {unknown[0]!r} in the target", fix=f"it has: {known}", code="unknown_namespace")
    found = _own(search, read_queries(options.queries, dimension), held) if options.queries else _stored(search, reading, held)
    if not found:
        raise ConfigError("there is no record to ask for", fix="choose a run that copied some, or other namespaces", code="nothing_to_search")
    return [query if query.filter is not None else replace(query, filter=options.filter) for query in found]


def _stored(search: Search, reading: Reading, held: dict[str, int]) -> list[Query]:
    wanted = quotas(held, search.options.samples)
    if left := len(held) - len(wanted):
        message = f"{left:,} of {len(held):,} namespaces are not asked in: there are more of them than samples"
        search.findings.append(Finding("info", "namespaces_not_sampled", message, "raise --samples, or choose some with --namespace"))
    found = reading.sample(search.attempt, wanted)
    return [query for query in found if query.vector.any()] if search.metric == "cosine" else found


def _own(search: Search, given: list[Query], held: dict[str, int]) -> list[Query]:
    """Return the user's queries, those without a namespace in each that is chosen."""
    chosen = search.options.namespaces
    if search.metric == "cosine" and (zero := next((query for query in given if not query.vector.any()), None)):
        raise ConfigError(f"{zero.name} of the queries has length zero, and so no cosine with anything", fix="leave it out", code="bad_queries")
    strange = next((query for query in given if query.namespace is not None and chosen is None and query.namespace not in held), None)
    if strange is not None:
        known = ", ".join(map(repr, sorted(held)[:_NAMED])) or "none with records"
        raise ConfigError(f"{strange.name} asks in the namespace {strange.namespace!r}, which has no records", fix=f"there are: {known}", code="bad_queries")
    names = sorted(held if chosen is None else chosen)
    spread = sum(query.namespace is None for query in given) * len(names)
    if spread > MOST_QUERIES:
        message = f"the queries name no namespace, and asking each in all {len(names):,} makes {spread:,}, more than {MOST_QUERIES:,}"
        raise ConfigError(message, fix="name a namespace with each, or choose some with --namespace", code="bad_queries")
    return [replace(query, namespace=name) for query in given for name in ([query.namespace] if query.namespace is not None else names) if name in names]
