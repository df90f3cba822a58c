"""Metadata filters as Milvus expressions, with the meaning that ``migrator.filters`` gives them.

A missing field matches only ``$exists: false``, ``$ne`` and ``$nin``; a list matches when an item does. Both stores' readings of an
absent JSON key differ under ``not`` (2.3.5: true, Lite: false), so absence is always asked for by ``exists``.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from migrator.connectors.milvus import names
from migrator.connectors.milvus.fieldtypes import Type
from migrator.errors import ConfigError
from migrator.filters import compile_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from migrator.connectors.milvus.fieldtypes import Field
    from migrator.connectors.milvus.layout import Layout

_ORDER = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_INTEGERS = frozenset({Type.Int8, Type.Int16, Type.Int32, Type.Int64})
_FLOATS = frozenset({Type.Float, Type.Double})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = frozenset({"and", "or", "not", "in", "like", "is", "null", "exists", "iso", "interval", "true", "false"})
"""What an identifier must not be, in whatever case."""


def expression(filter_: Mapping[str, Any], layout: Layout) -> str:
    """Return the expression that selects in ``layout`` the records matching ``filter_``.

    Raise ``ConfigError``: of no filter, or ``filter_unsupported`` for a condition that Milvus has no words for.
    """
    compile_filter(filter_)
    return _all(filter_, layout)


def _all(filter_: Mapping[str, Any], layout: Layout) -> str:
    return names.both(*(_condition(name, rule, layout) for name, rule in filter_.items()))


def _condition(name: str, rule: Any, layout: Layout) -> str:
    if name == "$and":
        return names.both(*(_all(part, layout) for part in rule))
    if name == "$or":
        return " or ".join(f"({_all(part, layout)})" for part in rule)
    tests = rule if isinstance(rule, dict) else {"$eq": rule}
    column = next((scalar for scalar in layout.scalars if scalar.name == name), None)
    if column is None and not layout.dynamic:
        raise _unsupported(f"the collection {layout.collection} has no column {name!r}")
    build = _key(layout.escape().escape_key(name), layout) if column is None else _column(column)
    return names.both(*(build(operator, operand) for operator, operand in tests.items()))


def _key(key: str, layout: Layout) -> Callable[[str, Any], str]:
    """Return what writes the tests of a key of the dynamic field."""
    place = f"$meta[{_text(key)}]"
    there = f"exists {place}"
    plain = _IDENTIFIER.fullmatch(key) is not None and key.lower() not in _WORDS
    if layout.lite and not plain:  # its json_contains takes a bare name only
        raise _unsupported(f"Milvus Lite cannot look into lists of the key {key!r}, which is no plain name")
    listed = key if plain else place

    def equal(value: Any) -> str:
        return f"({place} == {_literal(value)} or json_contains({listed}, {_literal(value)}))"

    def test(operator: str, operand: Any) -> str:
        if operator == "$exists":
            return there if operand else f"not ({there})"
        if operator in _ORDER:
            return f"{place} {_ORDER[operator]} {_literal(operand)}"
        among = " or ".join(equal(value) for value in (operand if operator in {"$in", "$nin"} else [operand]))
        return f"({among})" if operator in {"$eq", "$in"} else f"(not ({there})) or (not ({among}))"

    return test


def _column(column: Field) -> Callable[[str, Any], str]:
    """Return what writes the tests of a typed column; releases that have columns without a value also know ``is null``."""
    if column.type == Type.JSON:
        raise _unsupported(f"the column {column.name!r} holds JSON of any kind")
    absent = f"{column.name} is null" if column.nullable else ""

    def equal(value: Any) -> str:
        kind = column.element if column.type == Type.Array else column.type
        if not _fits(value, kind):
            raise _unsupported(f"the column {column.name!r} ({column.kind}) never holds {value!r}")
        text = _literal(int(value) if kind in _INTEGERS else value)
        return f"array_contains({column.name}, {text})" if column.type == Type.Array else f"{column.name} == {text}"

    def test(operator: str, operand: Any) -> str:
        if operator == "$exists":
            if not absent:
                raise _unsupported(f"every record has the column {column.name!r}")
            return f"{column.name} is not null" if operand else absent
        if operator in _ORDER:
            if column.type not in _INTEGERS | _FLOATS:
                raise _unsupported(f"the column {column.name!r} ({column.kind}) holds no numbers")
            return _ordered(column, operator, operand)
        among = " or ".join(f"({equal(value)})" for value in (operand if operator in {"$in", "$nin"} else [operand]))
        if operator in {"$eq", "$in"}:
            return f"({among})"
        return f"({absent}) or (not ({among}))" if absent else f"not ({among})"

    return test


def _ordered(column: Field, operator: str, operand: float) -> str:
    """Return a comparison; servers take no fraction beside an integer column."""
    if column.type in _INTEGERS and operand != math.floor(operand):
        return f"{column.name} > {math.floor(operand)}" if operator in {"$gt", "$gte"} else f"{column.name} <= {math.floor(operand)}"
    return f"{column.name} {_ORDER[operator]} {_literal(int(operand) if column.type in _INTEGERS else operand)}"


def _fits(value: Any, kind: int) -> bool:
    """Return whether a column of ``kind`` can hold ``value``."""
    if isinstance(value, bool) or kind == Type.Bool:
        return isinstance(value, bool) and kind == Type.Bool
    if isinstance(value, str):
        return bool(kind == Type.VarChar)
    return bool(kind in _FLOATS or (kind in _INTEGERS and float(value).is_integer()))


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    return names.literal(value)


def _unsupported(why: str) -> ConfigError:
    return ConfigError(f"Milvus cannot search by this filter: {why}", fix="ask with another filter, or without one", code="filter_unsupported")
