"""What a plan will make of its target: schema and mapping of each metadata key, from a sample of all namespaces, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator import preview
from migrator.connectors import connector, opened_source
from migrator.field_stats import sample_stats
from migrator.protocols import Shaping
from migrator.transform import compile_transform

if TYPE_CHECKING:
    import pyarrow as pa

    from migrator.model import Collection, Plan, SampleStats, TargetShape

PREVIEW_RECORDS = 100
"""Looked at in each namespace for the preview."""


def target_shape(plan: Plan, collection: Collection, batches: list[pa.RecordBatch]) -> tuple[TargetShape, SampleStats] | None:
    """Return what the target will be, judged on ``batches`` of the source; None where the target's store has no schema to decide on."""
    store = connector(plan.target.connector)
    if not isinstance(store, Shaping):
        return None
    rules = compile_transform(plan)
    routed = [rules.placed(batch) for batch in batches]
    stats = sample_stats(routed)
    return store.shape(plan.target, plan, collection, stats, routed), stats


def mapping_preview(plan: Plan, records: int = PREVIEW_RECORDS) -> dict[str, Any] | None:
    """Return ``TargetShape.to_json`` for up to ``records`` records of every namespace, None where the target's store has no schema to decide on."""
    if not isinstance(connector(plan.target.connector), Shaping):
        return None
    with opened_source(plan.source) as source:
        collection = source.describe()
        found = target_shape(plan, collection, preview.sample(source, collection, plan, records))
    return None if found is None else found[0].to_json(found[1])
