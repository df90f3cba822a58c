"""The Pinecone Index Migrator's keys on namespaces, filter and delta mode, as our rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.errors import ConfigError
from migrator.filters import compile_filter
from migrator.model import DEFAULT_NAMESPACE, Follow, Mapping
from migrator.records import parse_json

if TYPE_CHECKING:
    from collections import abc

    from migrator.configs.settings import Settings
    from migrator.model import Finding

_STAMPS = ("migrated", "migrated_at")
_BOOLEANS = ("true", "false", "")


def _namespace(found: Settings, key: str) -> str | None:
    name = found.text(key)
    return DEFAULT_NAMESPACE if name == "__default__" else name


def namespaces_of(found: Settings, notes: list[Finding]) -> tuple[str, ...] | None:
    """Return the source namespaces to read; None for all."""
    one = _namespace(found, "source_namespace")
    if not found.flag("iterate_over_namespaces"):
        if one is None:
            notes.append(found.note("source_namespace", "is not given: the default namespace is read, as the tool did", "iterate_over_namespaces reads all"))
        return (one or DEFAULT_NAMESPACE,)
    if one:
        notes.append(found.note("source_namespace", f"is not used: {found.spelling('iterate_over_namespaces')} reads all namespaces"))
    return None


def mapping_of(found: Settings, notes: list[Finding]) -> Mapping:
    """Return the rules for target namespaces."""
    given, field = _namespace(found, "target_namespace"), _field(found, notes)
    if found.flag("use_source_as_target_namespace"):
        if given:
            notes.append(found.note("target_namespace", "is not used: records keep the namespace of the source"))
        return Mapping(None, field)
    if field is not None:
        if given:
            notes.append(found.note("target_namespace", f"takes the records that have no usable {field}"))
        return Mapping(given or None, field)
    if given is None and found.flag("iterate_over_namespaces"):
        message = "is not given: each record keeps its namespace; the tool put those of all namespaces together into the default one"
        notes.append(found.note("target_namespace", message, 'write "target_namespace": "" to have that'))
        return Mapping()
    if found.flag("iterate_over_namespaces"):
        message = f"puts the records of all namespaces into {given or 'the default namespace'}; ids that occur in several stop the run"
        notes.append(found.note("target_namespace", message, "use_source_as_target_namespace keeps them apart"))
    return Mapping(given or DEFAULT_NAMESPACE)


def _field(found: Settings, notes: list[Finding]) -> str | None:
    """Return the metadata field to route by: a key of its own in the code, and the value of the flag in the README."""
    value, name = found.value("namespace_from_metadata_field"), found.text("metadata_field_to_namespace_from")
    if isinstance(value, str) and value.strip().lower() not in _BOOLEANS:
        if name and name != value:
            found.refuse("namespace_from_metadata_field", f"another field than metadata_field_to_namespace_from, {name}", "keep one of them")
        field: str | None = value
    elif found.flag("namespace_from_metadata_field"):
        if not name:
            key = found.spelling("namespace_from_metadata_field")
            raise ConfigError(f"{key} is true, but no field is named", fix="add metadata_field_to_namespace_from", code="missing_key")
        field = name
    else:
        if name:
            notes.append(found.note("metadata_field_to_namespace_from", "is not used: namespace_from_metadata_field is not true"))
        return None
    message = f"routes by {field}: names that are not ASCII are percent-encoded, one each (the tool put them all into the default namespace), "
    notes.append(found.note("namespace_from_metadata_field", f"{message}and records without the field are copied too"))
    return field


def filter_of(found: Settings, notes: list[Finding], *, follows: bool) -> abc.Mapping[str, Any] | None:
    """Return the metadata filter, None for none."""
    use, given = found.flag("use_filter"), found.value("filter_to_use")
    if given in (None, "", {}):
        if use:
            raise ConfigError(f"{found.spelling('use_filter')} is true, but there is no filter", fix="add filter_to_use", code="missing_key")
        return None
    if use is False:
        notes.append(found.note("filter_to_use", "is not used: use_filter is false"))
        return None
    filter_ = _parsed(found, given)
    if not follows:
        return filter_
    kept = {name: rule for name, rule in filter_.items() if name not in _STAMPS}
    if kept != filter_:
        notes.append(found.note("filter_to_use", "asks for stamps, which is not needed: each pass finds by itself what is new or changed"))
    return kept or None


def _parsed(found: Settings, given: Any) -> dict[str, Any]:
    try:
        filter_ = parse_json(given) if isinstance(given, str) else given
    except ValueError:
        found.refuse("filter_to_use", "no JSON", 'write "{\\"year\\": {\\"$gte\\": 1900}}", or the object itself')
    if not isinstance(filter_, dict):
        found.refuse("filter_to_use", "no JSON object", 'write "{\\"year\\": {\\"$gte\\": 1900}}", or the object itself')
    try:
        compile_filter(filter_)
    except ConfigError as error:
        raise ConfigError(f"{found.spelling('filter_to_use')}: {error.message}", fix=error.fix, code=error.code) from None
    return filter_


def follow_of(found: Settings, notes: list[Finding], *, possible: bool) -> tuple[Follow | None, bool]:
    """Return how to go on after the first copy, and whether the target may hold records already."""
    delay, seconds = found.flag("delta_delay_between_runs"), found.number("delta_delay_duration", unit="seconds")
    if not found.flag("delta_mode") or not possible:
        why = "delta_mode is not set" if not found.flag("delta_mode") else "nothing is followed here"
        notes += [found.note(key, f"is not needed: {why}") for key in ("delta_delay_between_runs", "delta_delay_duration") if found.has(key)]
        if found.flag("delta_mode"):
            notes.append(found.note("delta_mode", "is not possible here: Parquet files and comparisons are made anew each time"))
        elif possible:
            notes.append(found.note("delta_mode", "is not set: the run ends with its proof (the tool went on polling)", "run it with --follow to go on"))
        return None, False
    message = "follows the source, pass after pass: new and changed records are copied, found by comparing contents; nothing is written to the source"
    notes.append(found.note("delta_mode", message, "add --deletes to remove what is gone from the source, --stamp to mark what was copied"))
    if delay is False:
        return Follow(interval=0.0), True
    return (Follow() if seconds is None else Follow(interval=seconds)), True
