"""Options that a plan fixes for a new collection because the source decides on them: typed columns, and, from Milvus, the source's own schema."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from migrator.connectors.milvus.fieldtypes import declared, parse_type, proposed, spelt
from migrator.connectors.milvus.options import read_options
from migrator.connectors.milvus.vectors import BY_OPTION
from migrator.model import Finding
from migrator.records import dump_json, parse_json

if TYPE_CHECKING:
    from migrator.model import Collection, Endpoint, FieldStats, Plan, SampleStats

Release = tuple[int, int]


def settle(endpoint: Endpoint, plan: Plan, collection: Collection, stats: SampleStats, release: Release, *, lite: bool) -> tuple[Endpoint, list[Finding]]:
    """Return ``endpoint`` with what the source decides spelt out as options, and what to know about it. What the user chose stays."""
    options, findings = dict(endpoint.options), list[Finding]()
    if plan.source.connector == endpoint.connector:
        findings += _keep(options, collection, release, lite=lite)
    settings = read_options(replace(endpoint, options=options))
    seen = {key.name: key for key in stats.keys}
    if settings.fields is None and not settings.dynamic:
        columns, unclear = _columns(collection, seen)
        findings += [_unclear(name) for name in unclear]
        if not unclear and (columns or not collection.fields):
            options["fields"] = dump_json(columns)
            if not columns:
                findings.append(Finding("info", "no_metadata_fields", "no record looked at has metadata, so the new collection gets no field for any"))
    elif settings.partition_key and settings.partition_key not in (settings.fields or {}):
        kind = _type(settings.partition_key, collection, seen)
        if kind is not None:
            options["fields"] = dump_json({**(settings.fields or {}), settings.partition_key: f"{kind} not null"})
    return replace(endpoint, options=options), findings


def _unclear(name: str) -> Finding:
    message = f"no one Milvus type holds all values of metadata field {name!r} that were looked at exactly"
    return Finding("blocking", "unsupported_field", message, "leave dynamic=false out, or name the columns to make with fields=")


def _columns(collection: Collection, seen: dict[str, FieldStats]) -> tuple[dict[str, str], list[str]]:
    """Return the types of columns for all metadata known of, and the names of those no type holds."""
    kinds = {name: _type(name, collection, seen) for name in (*collection.fields, *seen)}
    return {name: kind for name, kind in kinds.items() if kind is not None}, [name for name, kind in kinds.items() if kind is None]


def _type(name: str, collection: Collection, seen: dict[str, FieldStats]) -> str | None:
    """Return the type of a column for metadata ``name``: as its values ask for, else as the source declares it."""
    found = proposed(seen[name]) if name in seen else declared(name, collection.fields.get(name, ""))
    return spelt(found) if found is not None else None


def _keep(options: dict[str, str], collection: Collection, release: Release, *, lite: bool) -> list[Finding]:
    """Add the options that make the new collection like the source; return where it cannot be."""
    native, findings = dict(collection.native), list[Finding]()
    kind = BY_OPTION[native.get("vector_type", "float32")]
    if "vector_type" not in options and kind.option != "float32":
        if release >= kind.since and not lite:
            options["vector_type"] = kind.option
            if kind.option == "binary" and native.get("metric"):
                options.setdefault("metric", native["metric"])
        else:
            message = f"the source has {kind.option} vectors; this server holds none that can be searched, and gets them as float32, which is exact"
            findings.append(Finding("info", "vectors_widened", message))
    wanted = ["id_field", "vector_field", "sparse_field"]
    wanted += ["id_length"] if "id_type" not in options else []
    wanted += ["namespace_field"] if options.get("namespace_mode", "partition_key") == "partition_key" else []
    if "fields" not in options and "dynamic" not in options:
        findings += _keep_columns(options, native, release)
    for name in wanted:
        if native.get(name):
            options.setdefault(name, native[name])
    return findings


def _keep_columns(options: dict[str, str], native: dict[str, str], release: Release) -> list[Finding]:
    columns: dict[str, str] = parse_json(native.get("fields", "{}"))
    loose = [name for name, kind in columns.items() if parse_type(name, kind).nullable and release < (2, 5)]
    kept = {name: kind for name, kind in columns.items() if name not in loose}
    if kept:
        options["fields"] = dump_json(kept)
    if native.get("dynamic") == "false" and not loose:
        options["dynamic"] = "false"
        options.setdefault("fields", "{}")
    if not loose:
        return []
    message = f"columns that may be null go to the dynamic field, since Milvus has them from 2.5 on only: {', '.join(loose)}"
    return [Finding("info", "columns_not_nullable", message, "give fields= to have them as columns all the same; records without a value are then rejected")]
