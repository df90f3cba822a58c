"""A look at some records of every namespace before a run: where they would go, and which the target could not hold."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors import opened_source
from migrator.endpoints import parse
from migrator.model import Finding, Selection
from migrator.records import dump_json, parse_json, to_dicts
from migrator.routing import DEFAULT, KEEP, REJECT, Namespaces, usable
from migrator.transform import compile_transform
from migrator.validate import problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from migrator.model import Capabilities, Collection, Plan
    from migrator.protocols import Source

RECORDS = 20
"""Looked at in each namespace."""
NAMESPACES = 100
"""Looked into, the largest first."""
_ROWS = 2_000
"""Read at most where a split holds several namespaces."""
_SHOWN = 60
"""Characters of an id in a message."""
_SAID_ELSEWHERE = frozenset({"sparse_not_supported", "metadata_not_supported", "id_not_ascii"})
"""Problems that have a finding of their own."""


def sample(source: Source, collection: Collection, plan: Plan, records: int = RECORDS) -> list[pa.RecordBatch]:
    """Return up to ``records`` records of every selected namespace, those the filter matches, as the source has them."""
    chosen = plan.selection.namespaces
    sizes = {name: count for name, count in collection.namespaces.items() if chosen is None or name in chosen}
    wanted = dict.fromkeys(sorted(sizes, key=lambda name: -sizes[name])[:NAMESPACES], records)
    found = []
    for split in source.splits(Selection(tuple(wanted)), 1) if wanted else ():
        for batch in _matching(source, split, plan, records):
            for name in pc.unique(batch.column("namespace")).to_pylist():
                part = batch.filter(pc.equal(batch.column("namespace"), name)).slice(0, wanted.get(name, 0))
                found += [part] if len(part) else []
                wanted[name] = wanted.get(name, 0) - len(part)
            if all(wanted[name] <= 0 for name in (wanted if split.namespace is None else [split.namespace])):
                break
        if all(left <= 0 for left in wanted.values()):
            break
    return found


def _matching(source: Source, split: Any, plan: Plan, records: int) -> Iterator[pa.RecordBatch]:
    rules, read = compile_transform(plan), 0
    for chunk in source.read(split, None, max(records, 100)):
        yield rules.selected(chunk.batch)
        read += chunk.scanned
        if read >= max(_ROWS, records):
            return


def sample_records(source: str, records: int, namespace: str | None) -> list[dict[str, Any]]:
    """Return the first records of an endpoint, of one namespace or of any."""
    found: list[dict[str, Any]] = []
    with opened_source(parse(source)) as opened:
        for split in opened.splits(Selection(None if namespace is None else (namespace,)), 1):
            for chunk in opened.read(split, None, records):
                found += [record for record in to_dicts(chunk.batch) if namespace in (None, record["namespace"])]
                if len(found) >= records:
                    return found[:records]
    return found


def routing_preview(plan: Plan, records: int) -> list[dict[str, Any]]:
    """Return where a sample of every namespace goes: ``[{value, namespace, records, rule}]``, most records first.

    ``value`` is the metadata value as JSON text (None without a usable one) or, without a field to route by, the record's own
    namespace; ``namespace`` is None for records the rules reject.
    """
    with opened_source(plan.source) as opened:
        return routed(plan, sample(opened, opened.describe(), plan, records))


def routed(plan: Plan, batches: Iterable[pa.RecordBatch]) -> list[dict[str, Any]]:
    """Return where the records of ``batches`` go, as ``routing_preview`` does."""
    names, seen = Namespaces.of(plan.mapping), Counter[tuple[str | None, str | None, str]]()
    for batch in batches:
        for namespace, text in zip(batch.column("namespace").to_pylist(), batch.column("metadata").to_pylist(), strict=True):
            seen[_place(names, namespace, parse_json(text) if text else {})] += 1
    rows = sorted(seen.items(), key=lambda item: (-item[1], str(item[0])))
    return [{"value": value, "namespace": namespace, "records": count, "rule": rule} for (value, namespace, rule), count in rows]


def _place(names: Namespaces, own: str, metadata: Mapping[str, Any]) -> tuple[str | None, str | None, str]:
    if names.field is None:
        fault, target = names.fault(own), names.own(own)
        plain = own if names.target is None else names.target
        rule = fault or ("its own namespace" if names.target is None else "the one namespace for all")
        return own, None if fault else target, rule if fault or target == plain else f"{rule}, {'decoded' if names.decodes else 'spelt in ASCII'}"
    found = metadata.get(names.field)
    name, kind = usable(found)
    target = names.of_record(metadata, own) or "" if name is not None else ""
    rule = {"string": "named by the field", "empty": "empty text names the default namespace", "missing": missing_rule(names.missing)}.get(
        kind, f"{kind} as text"
    )
    if name is None:
        return None, names.without_value(own), rule
    return dump_json(found), target, rule if target == name else f"{rule}, spelt in ASCII"


def missing_rule(missing: str) -> str:
    """Return what happens to records without a usable value, as words after "they"."""
    words = {KEEP: "keep the namespace they would have without the field", DEFAULT: "go to the default namespace", REJECT: "are rejected"}
    return words.get(missing, f"go to the namespace {missing!r}")


def findings(plan: Plan, collection: Collection, capabilities: Capabilities, batches: list[pa.RecordBatch]) -> list[Finding]:
    """Return what the sampled records tell of namespaces, ids and records that the target cannot hold."""
    rules = compile_transform(plan)
    targets = [rules.placed(batch) for batch in batches]
    found = [*_routing(plan, routed(plan, batches), rules.names), *_unspellable(plan, capabilities, targets)]
    faults = [(batch, problem) for batch in targets for problem in problems(batch, capabilities, collection.metric) if problem.code not in _SAID_ELSEWHERE]
    if faults:
        batch, first = faults[0]
        codes = ", ".join(sorted({problem.code for _, problem in faults}))
        message = f"{len(faults)} of {_count(batches)} records looked at cannot be held by the target and will be rejected ({codes}): "
        message += f"of {_short(batch.column('id')[first.row].as_py())}, {first.message}"
        found.append(
            Finding("info", "records_unfit", message, "correct them in the source, or go on: they are listed with their reasons, all others are copied")
        )
    return found


def _short(id_: str) -> str:
    return repr(id_ if len(id_) <= _SHOWN else id_[:_SHOWN] + "…")


def _count(batches: list[pa.RecordBatch]) -> str:
    return f"{sum(map(len, batches)):,}"


def _routing(plan: Plan, rows: list[dict[str, Any]], names: Namespaces) -> Iterator[Finding]:
    if (field := plan.mapping.namespace_from) is not None:
        named = [row for row in rows if row["value"] is not None]
        counts = f"of {sum(row['records'] for row in rows):,} records looked at, {sum(row['records'] for row in named):,} name "
        several = len({row["namespace"] for row in named})
        counts += "1 namespace" if several == 1 else f"{several:,} namespaces"
        message = f"records go to the namespace named by their {field}; those without a usable {field} {missing_rule(names.missing)}; {counts}"
        yield Finding("info", "namespace_routing", message)
        for message in names.merged.messages():
            yield Finding("lossy", "namespaces_merged", message, f"make {field} of one type in the source, or accept that they are put together")
    spelt = [row for row in rows if row["rule"].endswith("spelt in ASCII")]
    if spelt:
        first = plan.mapping.target_namespace or spelt[0]["value"]
        message = f"the target takes ASCII namespaces only: {len(spelt):,} of those looked at are percent-encoded, {first} as {spelt[0]['namespace']}"
        yield Finding("info", "namespace_encoded", message, "nothing is lost: --id-encoding decode undoes it when the copy is a source")


def _unspellable(plan: Plan, capabilities: Capabilities, targets: list[pa.RecordBatch]) -> Iterator[Finding]:
    ids = [id_ for batch in targets for id_ in batch.column("id").to_pylist() if not id_.isascii()]
    if ids and capabilities.ascii_ids:
        message = f"the target takes ASCII ids only: {len(ids):,} of {_count(targets)} records looked at will be rejected, {_short(ids[0])} among them"
        decoding = plan.mapping.id_encoding == "decode"
        fix = "leave out --id-encoding decode" if decoding else "give --id-encoding percent: reversible, with ASCII ids as they are"
        yield Finding("lossy", "id_not_ascii", message, fix)
