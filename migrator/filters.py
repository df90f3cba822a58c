"""Metadata filters in Pinecone's language, evaluated here: ``{"year": {"$gte": 1900}, "$or": [{"party": "Whig"}, …]}``.

A field that is missing matches only ``$exists: false``, ``$ne`` and ``$nin``. A list matches when any of its items does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from migrator.errors import ConfigError

Predicate = Callable[[Mapping[str, Any]], bool]

_MISSING = object()
_SCALARS = frozenset({str, int, float, bool, type(None)})


def compile_filter(filter_: Mapping[str, Any]) -> Predicate:
    """Return a function telling whether metadata matches. Raise ``ConfigError`` naming what is not a filter."""
    if not isinstance(filter_, Mapping) or not filter_:
        raise _bad("a filter is a JSON object with at least one condition")
    predicates = [_condition(name, rule) for name, rule in filter_.items()]
    if len(predicates) == 1:
        return predicates[0]
    return lambda metadata: all(predicate(metadata) for predicate in predicates)


def _condition(name: str, rule: Any) -> Predicate:
    if name in {"$and", "$or"}:
        return _combination(name, rule)
    if name.startswith("$"):
        raise _bad(f"there is no operator {name} here")
    if not isinstance(rule, Mapping):
        rule = {"$eq": rule}
    if not rule:
        raise _bad(f"the condition on {name} is empty")
    tests = [_test(name, operator, operand) for operator, operand in rule.items()]
    if len(tests) == 1:
        (only,) = tests
        return lambda metadata: only(metadata.get(name, _MISSING))
    return lambda metadata: all(test(metadata.get(name, _MISSING)) for test in tests)


def _combination(name: str, rule: Any) -> Predicate:
    if not isinstance(rule, list) or not rule:
        raise _bad(f"{name} takes a list of filters")
    parts = [compile_filter(part) for part in rule]
    combine = all if name == "$and" else any
    return lambda metadata: combine(part(metadata) for part in parts)


def _test(field: str, operator: str, operand: Any) -> Callable[[Any], bool]:
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise _bad(f"$exists on {field} takes true or false")
        return lambda value: (value is not _MISSING) == operand
    if operator in {"$in", "$nin"}:
        return _membership(field, operator, operand)
    if operator in {"$eq", "$ne"}:
        if not isinstance(operand, (str, bool, int, float)):
            raise _bad(f"{operator} on {field} takes a string, number or boolean")
        return _among([operand], found=operator == "$eq")
    if operator in _ORDER:
        if isinstance(operand, bool) or not isinstance(operand, (int, float)):
            raise _bad(f"{operator} on {field} takes a number")
        compare = _ORDER[operator]
        return lambda value: any(_is_number(item) and compare(item, operand) for item in _items(value))
    raise _bad(f"there is no operator {operator} (on {field})")


def _membership(field: str, operator: str, operand: Any) -> Callable[[Any], bool]:
    if not isinstance(operand, list) or not operand:
        raise _bad(f"{operator} on {field} takes a list of values")
    return _among(operand, found=operator == "$in")


def _among(wanted: Sequence[Any], *, found: bool) -> Callable[[Any], bool]:
    """Return what tells whether a value, or an item of a list, is one of ``wanted``; with ``found`` false, whether none is."""
    try:
        keys = frozenset(map(_key, wanted))
    except TypeError:  # objects and lists have no hash
        return lambda value: any(_equal(item, one) for item in _items(value) for one in wanted) == found

    def among(value: Any) -> bool:
        if type(value) in _SCALARS:
            return (_key(value) in keys) == found
        return any(type(item) in _SCALARS and _key(item) in keys for item in _items(value)) == found

    return among


def _key(value: Any) -> tuple[bool, Any]:
    # True == 1 in Python, but a boolean is no number in metadata
    return isinstance(value, bool), value


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda value, bound: value > bound,
    "$gte": lambda value, bound: value >= bound,
    "$lt": lambda value, bound: value < bound,
    "$lte": lambda value, bound: value <= bound,
}


def _items(value: Any) -> list[Any]:
    if value is _MISSING:
        return []
    return value if isinstance(value, list) else [value]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equal(value: Any, wanted: Any) -> bool:
    return isinstance(value, bool) == isinstance(wanted, bool) and bool(value == wanted)


def _bad(reason: str) -> ConfigError:
    return ConfigError(f"the filter is wrong: {reason}", fix='write it as {"field": {"$eq": value}}, joined with $and or $or', code="bad_filter")
