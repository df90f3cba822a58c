"""``plan.yaml``: written, read and checked."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, get_args

import yaml

from migrator.endpoints import parse, render
from migrator.errors import ConfigError
from migrator.filters import compile_filter
from migrator.model import (
    Changes,
    Collection,
    Endpoint,
    Finding,
    Follow,
    IdEncoding,
    IdType,
    Mapping,
    Metric,
    NamespaceEncoding,
    OnConflict,
    OnDuplicate,
    Plan,
    Selection,
    Severity,
)

if TYPE_CHECKING:
    from collections import abc

VERSION = 1

_CHOICES = {
    "route": ("direct", "staged"),
    "executor": ("local", "ray"),
    "on_conflict": get_args(OnConflict),
    "on_duplicate": get_args(OnDuplicate),
}
_FIELDS = {
    "target_namespace": (str, type(None)),
    "namespace_from": (str, type(None)),
    "id_encoding": get_args(IdEncoding),
    "namespace_encoding": (*get_args(NamespaceEncoding), None),
    "severity": get_args(Severity),
    "metric": (*get_args(Metric), None),
    "id_type": get_args(IdType),
    "dimension": (int,),
    "namespaces": (dict,),
    "fields": (dict,),
    "native": (dict,),
    "sparse": (bool,),
    "unique_ids": (bool,),
    "findings": (list,),
    "interval": (int, float),
    "deletes": (bool,),
    "changes": get_args(Changes),
}
"""The types, or the values, that the parts' fields may have; the others are texts."""
_PLACES = ("staging", "shaped_for")
_FLAGS = ("merge", "accept_lossy", "new_only", "stamp", "verify_batches", "keep_overwritten")
_PLAIN = ("route", "batch", "workers", "executor", "on_conflict", "on_duplicate", *_FLAGS)


def to_data(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON types. Secrets appear as their references only."""
    data: dict[str, Any] = {"version": VERSION, "source": render(plan.source), "target": render(plan.target)}
    data["selection"] = {
        "namespaces": list(plan.selection.namespaces) if plan.selection.namespaces is not None else None,
        "filter": dict(plan.selection.filter) if plan.selection.filter is not None else None,
    }
    data["mapping"] = dataclasses.asdict(plan.mapping)
    data |= {name: getattr(plan, name) for name in _PLAIN}
    data |= {name: None if (place := getattr(plan, name)) is None else render(place) for name in _PLACES}
    data["follow"] = dataclasses.asdict(plan.follow) if plan.follow is not None else None
    data["collection"] = _collection_data(plan.collection)
    data["findings"] = [dataclasses.asdict(finding) for finding in plan.findings]
    data["estimate"] = dict(plan.estimate)
    return data


def _collection_data(collection: Collection | None) -> dict[str, Any] | None:
    if collection is None:
        return None
    return {**dataclasses.asdict(dataclasses.replace(collection, findings=())), "findings": [dataclasses.asdict(f) for f in collection.findings]}


def from_data(data: Any) -> Plan:
    """Return the plan ``to_data`` gave. Raise ``ConfigError`` naming the key that is wrong."""
    if not isinstance(data, dict):
        raise ConfigError(
            "the plan is not a mapping of keys to values", fix="make one with: python -m migrator plan SOURCE TARGET -o plan.yaml", code="bad_plan"
        )
    known = {"version", "source", "target", "selection", "mapping", "follow", "collection", "findings", "estimate", *_PLAIN, *_PLACES}
    _only(data, known, "plan")
    if data.get("version") != VERSION:
        raise ConfigError(f"the plan has version {data.get('version')!r}; this program reads {VERSION}", fix="make the plan again", code="bad_plan")
    for name in ("source", "target"):
        if not isinstance(data.get(name), str):
            raise ConfigError(f"the plan has no {name}", fix=f"add {name}: connector:resource", code="bad_plan")
    return Plan(
        source=parse(data["source"]),
        target=parse(data["target"]),
        selection=_selection(data.get("selection") or {}),
        mapping=_part(Mapping, data.get("mapping") or {}, "mapping"),
        staging=_place(data.get("staging"), "staging"),
        shaped_for=_place(data.get("shaped_for"), "shaped_for"),
        follow=None if data.get("follow") is None else _part(Follow, data["follow"], "follow"),
        collection=_collection(data.get("collection")),
        findings=_findings(data.get("findings"), "findings"),
        estimate=_json_mapping(data.get("estimate") or {}, "estimate"),
        **{name: _typed(name, data[name]) for name in _PLAIN if name in data},
    )


def _typed(name: str, value: Any) -> Any:
    if name in _FLAGS:
        valid = isinstance(value, bool)
    elif name in ("batch", "workers"):
        valid = (value is None and name == "batch") or (isinstance(value, int) and not isinstance(value, bool) and value >= 1)
    else:
        valid = value in _CHOICES[name]
    if not valid:
        raise ConfigError(f"{name}: {value!r} is not a valid value", fix=f"correct {name} in the plan", code="bad_plan")
    return value


def _place(text: Any, name: str) -> Endpoint | None:
    if not isinstance(text, (str, type(None))):
        raise ConfigError(f"{name} of the plan is no endpoint", fix=f"write {name}: parquet:s3://bucket/prefix, or leave it out", code="bad_plan")
    return None if text is None else parse(text)


def _selection(data: Any) -> Selection:
    _only(data, {"namespaces", "filter"}, "selection")
    namespaces = data.get("namespaces")
    if namespaces is not None and not (isinstance(namespaces, list) and all(isinstance(name, str) for name in namespaces)):
        raise ConfigError("selection.namespaces is not a list of names", fix="write namespaces: [name, …] or leave it out for all", code="bad_plan")
    filter_ = data.get("filter")
    if filter_ is not None:
        compile_filter(_json_mapping(filter_, "selection.filter"))
    return Selection(None if namespaces is None else tuple(namespaces), filter_)


def _json_mapping(data: Any, where: str) -> Any:
    """Check what is kept as it is; YAML knows dates and other keys than texts, which JSON does not."""
    try:
        if isinstance(data, dict) and json.loads(json.dumps(data, allow_nan=False)) == data:
            return data
    except (TypeError, ValueError, RecursionError):
        pass
    raise ConfigError(f"{where} of the plan is not a JSON object", fix="put dates in quotes, and make the plan again if it is damaged", code="bad_plan")


def _findings(data: Any, where: str) -> tuple[Finding, ...]:
    if not isinstance(data, (list, type(None))):
        raise ConfigError(f"{where} of the plan is not a list", fix="make the plan again", code="bad_plan")
    return tuple(_part(Finding, finding, where) for finding in data or ())


def _collection(data: Any) -> Collection | None:
    if data is None:
        return None
    found: Collection = _part(Collection, data, "collection")
    return dataclasses.replace(found, findings=_findings(found.findings, "collection.findings"))


def _part(kind: Any, data: Any, where: str) -> Any:
    _only(data, {field.name for field in dataclasses.fields(kind)}, where)
    for name, value in data.items():
        allowed = _FIELDS.get(name, (str,))
        if not (type(value) in allowed or (isinstance(value, str) and value in allowed) or (value is None and None in allowed)):
            raise ConfigError(f"{where}.{name}: {value!r} is not a valid value", fix=f"correct {name} in the plan, or make it again", code="bad_plan")
    try:
        return kind(**data)
    except TypeError as error:
        raise ConfigError(f"{where} of the plan is incomplete: {error}", fix="make the plan again", code="bad_plan") from None


def _only(data: Any, known: abc.Set[str], where: str) -> None:
    if not isinstance(data, dict):
        raise ConfigError(f"{where} of the plan is not a mapping", fix="make the plan again", code="bad_plan")
    for name in data:
        if name not in known:
            raise ConfigError(f"the {where} has an unknown key {name!r}", fix=f"use: {', '.join(sorted(known))}", code="bad_plan")


def dump_plan(plan: Plan) -> str:
    """Return the plan as YAML."""
    data = to_data(plan)
    text = str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    # PyYAML leaves the rarer line breaks (U+0085, U+2028) unescaped then, and reads them as spaces
    return text if yaml.safe_load(text) == data else str(yaml.safe_dump(data, sort_keys=False))


def load_plan(text: str) -> Plan:
    """Return the plan in YAML ``text``. Raise ``ConfigError`` saying where it is wrong."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(f"the plan is no YAML{where}", fix="correct it, or make the plan again", code="bad_plan") from None
    return from_data(data)
