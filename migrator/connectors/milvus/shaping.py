"""What a copy will make of the target collection and of each metadata key, judged on a sample of the source before anything is written."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus import names
from migrator.connectors.milvus.columns import split_batch
from migrator.connectors.milvus.creation import misfits
from migrator.connectors.milvus.design import design, faults
from migrator.connectors.milvus.facts import facts_of
from migrator.connectors.milvus.fieldtypes import CHOICES, proposed
from migrator.connectors.milvus.layout import METRICS, read_layout
from migrator.connectors.milvus.options import read_options
from migrator.connectors.milvus.settling import settle
from migrator.connectors.milvus.wire import Wire
from migrator.model import FieldPlace, Finding, TargetShape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from migrator.connectors.milvus.layout import Layout
    from migrator.connectors.milvus.options import Settings
    from migrator.model import Collection, Endpoint, FieldStats, Plan, Rejected, SampleStats

_SAID_ELSEWHERE = frozenset({"id_too_long", "not_finite", "metadata_too_large", "duplicate_id"})
"""Reasons that the planning has findings of its own for."""


@dataclass(frozen=True)
class _Place:
    """What is there before the run."""

    release: tuple[int, int]
    lite: bool
    product: str
    layout: Layout | None


def shape(endpoint: Endpoint, plan: Plan, collection: Collection, stats: SampleStats, batches: Sequence[pa.RecordBatch]) -> TargetShape:
    """Return what ``endpoint`` becomes when ``plan`` copies ``collection``; ``batches`` are a sample of it, routed as the plan says."""
    settings = read_options(endpoint)
    place = _look(settings)
    findings: list[Finding] = []
    if place.layout is None:
        settled, findings = settle(endpoint, plan, collection, stats, place.release, lite=place.lite)
        endpoint, settings = settled, read_options(settled)
        wanted = design(collection, plan, settings, place.release, lite=place.lite, product=place.product)
        layout = wanted.layout(settings.collection, settings)
        facts = facts_of(layout, settings, collection, wanted.index_params)
        said = {finding.message for finding in findings}
        blocking = [Finding("blocking", *fault) for fault in faults(wanted, collection, settings)]
        findings += [finding for finding in blocking if finding.message not in said]
    else:
        layout = place.layout
        facts = facts_of(layout, settings, collection, {})
        found = list(misfits(layout, collection, settings))
        if found:
            message = f"collection {layout.collection} {'; and it '.join(text for _, text in found)}"
            findings.append(Finding("blocking", found[0][0], message, "choose another collection name, or correct the options"))
        findings += _unfilled(layout, stats, sum(map(len, batches)))
    findings += [*_metric(layout, collection), *_unfit(layout, settings, collection, batches)]
    fields = tuple(_field(layout, key) for key in stats.keys)
    return TargetShape(endpoint, place.layout is not None, fields, facts, tuple(findings), CHOICES if place.layout is None else ())


def _look(settings: Settings) -> _Place:
    if settings.path is not None and not settings.path.exists():  # opening would create it
        return _Place((2, 5), lite=True, product="Milvus Lite", layout=None)
    with closing(Wire(settings)) as wire:
        existing = wire.call("ShowCollections", pb.ShowCollectionsRequest(), "list the collections").collection_names
        family = names.collections_of(settings.collection, existing) if settings.namespace_mode == "collection" else {"": settings.collection}
        there = [name for name in family.values() if name in existing]
        return _Place(wire.release, wire.lease is not None, wire.product, read_layout(wire, there[0], settings) if there else None)


def _metric(layout: Layout, collection: Collection) -> Iterator[Finding]:
    """Yield the loss when vectors will be compared in another way than in the source."""
    if collection.metric is None or not layout.metric_name or METRICS.get(layout.metric_name) == collection.metric:
        return
    message = f"the source compares vectors by {collection.metric}, {layout.collection} will by {layout.metric_name}: search ranks differently"
    yield Finding("lossy", "search_ranks_differently", message, "leave metric= out to keep the source's, or accept it")


def _unfilled(layout: Layout, stats: SampleStats, records: int) -> Iterator[Finding]:
    """Yield the columns of a collection that every record must fill, and none of the sample does."""
    known = {key.name for key in stats.keys}
    for column in layout.scalars:
        if records and not column.nullable and column.name not in known:
            message = f"collection {layout.collection} demands a value in {column.name!r} ({column.kind}), and none of {records:,} records looked at has one"
            yield Finding("blocking", "column_unfilled", message, "add it to the source's metadata, or choose another collection")


def _unfit(layout: Layout, settings: Settings, collection: Collection, batches: Sequence[pa.RecordBatch]) -> Iterator[Finding]:
    rejected: list[Rejected] = []
    for batch in batches:
        if layout.dimension == collection.dimension:
            rejected += [record for record in split_batch(batch, layout)[1] if record.code not in _SAID_ELSEWHERE]
    not_integer = [record for record in rejected if record.code == "id_not_integer"]
    if not_integer and settings.id_type == "int64":
        message = f"id_type=int64 takes ids that are 64-bit integers, and {not_integer[0].message}"
        yield Finding("blocking", "id_type_differs", message, "leave id_type=int64 out")
    elif rejected:
        total = sum(map(len, batches))
        message = f"{len(rejected):,} of {total:,} records looked at do not fit into {layout.collection} and will be rejected: {rejected[0].message}"
        fix = "choose other types (fields=), leave the key to the dynamic field, or go on: they are listed with their reasons, all others are copied"
        yield Finding("info", "records_do_not_fit", message, fix)


def _field(layout: Layout, key: FieldStats) -> FieldPlace:
    """Return what becomes of a metadata key."""
    proposal = proposed(key)
    proposal_text = proposal.kind if proposal is not None else ""
    column = next((scalar for scalar in layout.scalars if scalar.name == key.name), None)
    if column is not None:
        role = "column, partition key" if layout.partition_key == column.name else "column"
        return FieldPlace(key, role, column.kind + ("" if column.nullable else " not null"), proposal_text)
    if not layout.dynamic:
        return FieldPlace(key, "none", "records that have it are rejected", proposal_text)
    name = layout.escape().escape_key(key.name)
    place = "dynamic field" if name == key.name else f"dynamic field, as {name}"
    return FieldPlace(key, place, "JSON", proposal_text)
