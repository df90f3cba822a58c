"""What stands in a target already, and whether a run may write over it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from migrator.connectors import connector, opened_source
from migrator.digest import hash_rows
from migrator.endpoints import parse
from migrator.errors import ConfigError, MigratorError
from migrator.model import Endpoint, Finding, Plan, Selection
from migrator.protocols import Placing
from migrator.transform import compile_transform

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from migrator.model import Collection, Metric
    from migrator.protocols import Source
    from migrator.transform import Transform

_PLACES = 4
"""Spots of the target looked at."""
_RECORDS = 25
"""Records looked at in each."""


def existing_collection(target: Endpoint) -> Collection | None:
    """Return what the target holds already, or None when it does not exist yet."""
    try:
        with opened_source(target) as opened:
            return opened.describe()
    except MigratorError as error:
        if error.code == "not_found":
            return None
        raise


def place_of(text: str) -> str:
    """Return where the endpoint ``text`` lies, to compare it with others; ``text`` itself where nobody can tell."""
    try:
        endpoint = parse(text)
        store = connector(endpoint.connector)
        return f"{endpoint.connector} {store.place(endpoint)}" if isinstance(store, Placing) else text
    except ConfigError:  # a variable it names is not set here
        return text


def by_own_names(plan: Plan, source: Collection, target: Collection | None) -> tuple[Plan, list[Finding]]:
    """Return ``plan`` with each side that an alias names named by its own name, and what to know of that.

    An alias leads elsewhere after a cut-over: a run resumed or proven through it would then compare the target with itself.
    """
    findings = []
    if source.alias:
        message = f"{source.alias} is an alias of {source.name}: the run reads {source.name}, wherever the alias leads later"
        findings.append(Finding("info", "source_is_alias", message))
        plan = plan.with_(source=replace(plan.source, resource=source.name))
    if target is not None and target.alias:
        message = f"{target.alias} is an alias of {target.name}: the run writes into {target.name}, and applications that open the alias see that at once"
        fix = f"copy into a new collection, and move the alias at the cut-over (--alias {target.alias})"
        findings.append(Finding("info", "target_is_alias", message, fix))
        plan = plan.with_(target=replace(plan.target, resource=target.name))
    return plan, findings


def target_scope(plan: Plan) -> tuple[str, ...] | None:
    """Return the target namespaces that the plan's records can land in, None when that may be any."""
    names = compile_transform(plan).names
    if names.field is not None:
        return None
    if names.target is not None:
        return (names.spelt(names.target),)
    return None if plan.selection.namespaces is None else tuple(map(names.own, plan.selection.namespaces))


def occupied(source: Collection, target: Collection, plan: Plan, opened: Source) -> list[Finding]:
    """Return the findings about a target that exists: another shape blocks, and so do records of others unless the user agreed to them."""
    return _shape(source, target, connector(plan.target.connector).capabilities(plan.target).metric) or _records(source, target, plan, opened)


def keeping(plan: Plan) -> list[Finding]:
    """Return what stands in the way of keeping what the run overwrites."""
    if not plan.keep_overwritten or connector(plan.target.connector).capabilities(plan.target).deletes:
        return []
    message = f"a {plan.target.connector} target is written anew by each run, so no single record is overwritten that could be kept"
    return [Finding("blocking", "keep_unsupported", message, "leave out --keep-overwritten")]


def _shape(source: Collection, target: Collection, chosen: Metric | None) -> list[Finding]:
    """Return what differs; ``chosen`` is the metric the user asked for, whatever the source's."""
    if target.dimension != source.dimension:
        message = f"the target exists with {target.dimension} dimensions; the source has {source.dimension}"
        return [Finding("blocking", "dimension_differs", message, "choose another target name, or drop the existing collection")]
    if None not in (target.metric, source.metric) and target.metric != (chosen or source.metric):
        message = f"the target exists with metric {target.metric}; {f'metric= asks for {chosen}' if chosen else f'the source has {source.metric}'}"
        fix = "choose another target name, or tell the metric of the source (metric=) if that is what its vectors mean"
        return [Finding("blocking", "metric_differs", message, fix)]
    return []


def _records(source: Collection, target: Collection, plan: Plan, opened: Source) -> list[Finding]:
    scope = target_scope(plan)
    count = sum(records for name, records in target.namespaces.items() if scope is None or name in scope)
    if not count:
        return []
    holds = f"the target already holds {count:,} records"
    if plan.merge:
        return [Finding("info", "target_not_empty", f"{holds}; equal ids are handled by the rule {plan.on_conflict}")]
    if count > source.count:
        return [_foreign(f"{holds}, more than the {source.count:,} of the source")]
    return [_looked_at(holds, *_compared(plan, opened, sorted(source.namespaces)))]


def _looked_at(holds: str, foreign: str | None, different: str | None) -> Finding:
    if foreign is not None:
        return _foreign(f"{holds}, among them {foreign!r}, which the source does not have")
    if different is not None:
        message = f"{holds}, among them {different!r} with other content than in the source"
        fix = "choose an empty target, or say what happens to such records: upsert overwrites, skip keeps them (When the target has the id; --on-conflict)"
        return Finding("blocking", "target_records_differ", message, fix)
    return Finding("info", "target_not_empty", f"{holds}; all that were looked at are the source's own, and are written again")


def _foreign(message: str) -> Finding:
    fix = "choose an empty target, or add to what is there with upsert (When the target has the id; --on-conflict upsert)"
    return Finding("blocking", "target_has_foreign_records", message, fix)


def _compared(plan: Plan, source: Source, namespaces: list[str]) -> tuple[str | None, str | None]:
    """Return an id of the target that the source does not have, and one it has with other content, as far as a sample shows."""
    transform, scope = compile_transform(plan), target_scope(plan)
    with opened_source(plan.target) as target:
        for theirs in _spots(target, Selection(scope)):
            known = _expected(transform, source, theirs, namespaces)
            for name, digest in _hashes(theirs).items():
                if name not in known:
                    return name[1], None
                if known[name] != digest:
                    return None, name[1]
    return None, None


def _expected(transform: Transform, source: Source, theirs: pa.RecordBatch, namespaces: list[str]) -> dict[tuple[str, str], bytes]:
    """Return the digests of what the source would put in the place of the target's records, looked for only where it can come from."""
    known: dict[tuple[str, str], bytes] = {}
    for name in pc.unique(theirs.column("namespace")).to_pylist():
        ids = theirs.filter(pc.equal(theirs.column("namespace"), name)).column("id").to_pylist()
        known |= _hashes(transform.look_up(source.fetch, ids, transform.names.origins(name, namespaces), source.describe().dimension))
    return known


def _spots(target: Source, selection: Selection) -> Iterator[pa.RecordBatch]:
    rules = compile_transform(Plan(Endpoint("", ""), Endpoint("", ""), selection))
    for split in target.splits(selection, _PLACES):
        for chunk in target.read(split, None, _RECORDS):
            yield rules.selected(chunk.batch)
            break


def _hashes(batch: pa.RecordBatch) -> dict[tuple[str, str], bytes]:
    names = zip(batch.column("namespace").to_pylist(), batch.column("id").to_pylist(), strict=True)
    return dict(zip(names, map(bytes, hash_rows(batch).rows), strict=True))
