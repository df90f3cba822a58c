"""Metadata filters over stored records: compiled once a request, with the service's words for what is not a filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.errors import ConfigError
from migrator.filters import compile_filter
from migrator.local_pinecone.engine.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from migrator.local_pinecone.engine.metadata import Metadata


def predicate(filter_: Mapping[str, Any], *, ne_matches_missing: bool, indexed: Collection[str] | None) -> Callable[[Metadata | None], bool]:
    """Return a function telling whether a record's metadata matches. Raise ``ApiError`` for what is not a filter.

    ``indexed`` are the only fields a filter can see, where an index or a namespace was told to index only some; None means all.
    """
    try:
        matches = compile_filter(filter_ if ne_matches_missing else _strict(filter_))
        matches({})  # what is too deep to be evaluated is refused now
    except ConfigError as error:
        raise invalid(f"Invalid filter: {error.message.removeprefix('the filter is wrong: ')}") from None
    except RecursionError:
        raise invalid("Invalid filter: it is nested too deeply") from None

    def holds(metadata: Metadata | None) -> bool:
        fields = {} if metadata is None else metadata.fields
        if indexed is not None:
            fields = {name: value for name, value in fields.items() if name in indexed}
        return matches(fields)

    return holds


def _strict(filter_: Any) -> Any:
    """Return a filter whose ``$ne`` and ``$nin`` ask that the field is there."""
    if not isinstance(filter_, dict):
        return filter_
    conditions: list[Any] = []
    for name, rule in filter_.items():
        if name in {"$and", "$or"} and isinstance(rule, list):
            conditions.append({name: [_strict(part) for part in rule]})
            continue
        conditions.append({name: rule})
        if isinstance(rule, dict) and ("$ne" in rule or "$nin" in rule):
            conditions.append({name: {"$exists": True}})
    return {"$and": conditions} if conditions else filter_
