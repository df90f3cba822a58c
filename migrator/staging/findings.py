"""What the staged route asks of both ends and of the plan, as findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator import preview
from migrator.connectors import REGISTRY, connector, opened_target
from migrator.errors import ConfigError, PlanError
from migrator.model import Finding
from migrator.protocols import BulkLoader
from migrator.staging.target import area, capabilities_of, records_of
from migrator.transform import compile_transform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from migrator.model import Collection, Endpoint, Plan

_SHOWN = 3
_LITTLE = 0.1
"""Megabytes below which a size is not worth a figure."""


def staged_findings(plan: Plan, collection: Collection, existing: Collection | None, sample: list[pa.RecordBatch]) -> list[Finding]:
    """Return what stands in the way of ``plan``'s route; ``existing`` is the target as it is, None when it does not exist yet."""
    if plan.route == "direct":
        unused = Finding("blocking", "staging_unused", "the direct route writes no files", "add --route staged, or leave --staging out")
        return [unused] if plan.staging is not None else list(_staged_pays(plan, collection, existing))
    if loaded_from(plan.target) is None:
        return [Finding("blocking", "route_unavailable", f"{plan.target.connector} cannot load staged files by itself", "use --route direct")]
    if plan.staging is None:
        fix = f"say where they go: --staging {loaded_from(plan.target)}:s3://bucket/prefix"
        return [Finding("blocking", "staging_missing", "the staged route needs a place for its files", fix)]
    if plan.target.connector not in connector(plan.staging.connector).capabilities().stages_for:
        message = f"{plan.target.connector} does not load the files of {plan.staging.connector}"
        return [Finding("blocking", "staging_unsuitable", message, f"use --staging {loaded_from(plan.target)}:s3://bucket/prefix")]
    try:
        uri = area(plan.staging).address(plan.staging)
        told = _ask_target(plan, plan.staging, uri)
    except (ConfigError, PlanError) as error:
        return [Finding("blocking", error.code, error.message, error.fix)]
    names = _filled(plan, collection, sample)
    findings = [*_options(plan), *_namespaces(plan, plan.staging, names, existing), *_sizes(plan, collection, names)]
    written = f"the files at {uri} are loaded as they are" if plan.in_place else f"the records are written to {uri} first, {_size(plan, collection, sample)}"
    kept = f"{written}; the files stay there when the run is done"
    findings += _direct_pays(plan, collection)
    return [*findings, *told, Finding("info", "staging_kept", kept, "remove them once you need them no more")]


def _staged_pays(plan: Plan, collection: Collection, existing: Collection | None) -> Iterator[Finding]:
    """Yield the advice to take the staged route where the target can, and where it was measured to take no longer."""
    capabilities, records = connector(plan.target.connector).capabilities(plan.target), _records(plan, collection)
    least = capabilities.staging_pays_records if capabilities.bulk_loads else None
    occupied = existing is not None and existing.count > 0
    if least is None or records < least or occupied or collection.sparse or any(True for _ in _options(plan)):
        return
    message = f"{records:,} records go to a new collection: from {least:,} on, having files loaded was measured to take no longer"
    fix = f"add --route staged --staging {loaded_from(plan.target)}:s3://bucket/prefix, in storage that the server itself reads"
    yield Finding("info", "staged_pays", f"{message} than writing them, and it spares the store its write path", fix)


def _direct_pays(plan: Plan, collection: Collection) -> Iterator[Finding]:
    least, records = connector(plan.target.connector).capabilities(plan.target).staging_pays_records, _records(plan, collection)
    if least is not None and records < least and not plan.in_place:
        message = f"{records:,} records are few: below {least:,} the direct route was measured to be faster"
        yield Finding("info", "direct_faster", message, "use --route direct")


def _records(plan: Plan, collection: Collection) -> int:
    chosen = plan.selection.namespaces
    return sum(count for name, count in collection.namespaces.items() if chosen is None or name in chosen)


def loaded_from(target: Endpoint) -> str | None:
    """Return the connector whose files ``target`` can load by itself; None where it can load none."""
    if not connector(target.connector).capabilities(target).bulk_loads:
        return None
    return next(name for name in REGISTRY if target.connector in connector(name).capabilities().stages_for)


def _ask_target(plan: Plan, staging: Endpoint, uri: str) -> Sequence[Finding]:
    with opened_target(plan.target) as target:
        return target.loadable(uri, area(staging).server(staging)) if isinstance(target, BulkLoader) else ()


def _size(plan: Plan, collection: Collection, sample: list[pa.RecordBatch]) -> str:
    """Return about how much will be staged, judged from a sample as uncompressed."""
    rows = sum(map(len, sample))
    a_record = sum(batch.nbytes for batch in sample) / rows if rows else 0.0
    megabytes = _records(plan, collection) * a_record / 1_000_000
    if megabytes < _LITTLE:
        return f"under {_LITTLE} MB"
    return f"{'at most' if plan.selection.filter is not None else 'about'} {megabytes:,.1f} MB"


def _options(plan: Plan) -> Iterator[Finding]:
    if plan.new_only or plan.on_conflict != "upsert":
        message = "a bulk load fills new namespaces only, so there is nothing to compare new records with"
        yield Finding("blocking", "staged_conflict", message, "leave out --on-conflict and --new-only, or use --route direct")
    if plan.follow is not None:
        message = "a bulk load fills new namespaces only, so a run cannot go on adding to them"
        yield Finding("blocking", "staged_follow", message, "copy with --route staged first, then follow with --route direct --follow into the same target")
    if plan.stamp:
        message = "a stamp says that a record is in the target, and on the staged route it is in a file by then"
        yield Finding("blocking", "staged_stamp", message, "leave out --stamp, or use --route direct")


def _namespaces(plan: Plan, staging: Endpoint, names: set[str], existing: Collection | None) -> Iterator[Finding]:
    held = {name for name, count in existing.namespaces.items() if count} if existing is not None else set()
    # what a field of the records names is known of a sample only, so there any namespace may be one of them; and a bulk load does not ask
    # whether an id is in another namespace
    anywhere = plan.mapping.namespace_from is not None or connector(plan.target.connector).capabilities(plan.target).ids_unique_across_namespaces
    if taken := sorted(held if anywhere else held & names):
        message = f"a bulk load fills new namespaces only, and the target has {_listed(taken)} already"
        begun = "go on with the load where it was begun (its MIGRATOR_HOME), or name another collection in the plan"
        fix = begun if plan.in_place else "choose a new target, another --target-namespace, or --route direct"
        yield Finding("blocking", "namespaces_exist", message, fix)
    if misspelt := sorted(name for name in names if not area(staging).spells(name)):
        message = f"a bulk load takes the folder's name for the namespace, and no folder can be named after {_listed(misspelt)}"
        yield Finding("blocking", "namespace_unspellable", message, "give a --target-namespace, leave them out with --namespace, or use --route direct")


def _sizes(plan: Plan, collection: Collection, names: set[str]) -> Iterator[Finding]:
    """Yield what is too many for one load: each chunk becomes a file a namespace, and a field may name all of them in each chunk."""
    capabilities, records = capabilities_of(plan), records_of(plan)
    if capabilities.max_load_namespaces is not None and len(names) > capabilities.max_load_namespaces:
        message = f"one bulk load fills at most {capabilities.max_load_namespaces:,} namespaces, and these are {len(names):,}"
        yield Finding("blocking", "too_many_namespaces", message, "copy some of them with --namespace, or use --route direct")
    chosen = collection.namespaces if plan.selection.namespaces is None else plan.selection.namespaces
    chunks = sum(-(-collection.namespaces.get(name, 0) // records) for name in chosen)
    files = chunks * (min(len(names), records) if plan.mapping.namespace_from is not None else 1)
    if capabilities.max_load_files is not None and files > capabilities.max_load_files:
        message = f"one bulk load takes at most {capabilities.max_load_files:,} files, and these would be about {files:,} of up to {records:,} records"
        yield Finding("blocking", "too_many_files", message, "give a larger --batch, or use --route direct")


def _filled(plan: Plan, collection: Collection, sample: list[pa.RecordBatch]) -> set[str]:
    """Return the namespaces of the target that records go to, as far as is known."""
    if plan.mapping.namespace_from is not None:
        return {str(row["namespace"]) for row in preview.routed(plan, sample) if row["namespace"] is not None}
    chosen, names = plan.selection.namespaces, compile_transform(plan).names
    return {names.own(name) for name in (collection.namespaces if chosen is None else chosen)}


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name or "(default)") for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"
