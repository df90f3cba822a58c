"""What it means that a plan has every batch read back: what is compared with what, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.model import Finding

if TYPE_CHECKING:
    from migrator.model import Capabilities, Plan

SHARE = {"milvus": 1.5, "pinecone": 0.6, "parquet": 1.0, "numpy": 0.4}
"""What reading batches back adds to the time of copying, as it was measured (docs/benchmarks.md, ``batches``)."""
_OTHERS = 1.0


def batch_findings(plan: Plan, capabilities: Capabilities) -> list[Finding]:
    """Return what to know of the batches of ``plan``; ``capabilities`` are the target's."""
    if not plan.verify_batches:
        return []
    if plan.in_place:
        message = "the files are loaded as they are, so there is no batch that is written and could be read back: only the proof in the end compares"
        return [Finding("info", "batches_not_written", message, "leave out --verify-batches")]
    if plan.route == "staged":
        message = "each batch is read back from the files it is staged in, before the target loads them; what the target made of them is compared in the end"
        return [Finding("info", "batches_read_from_files", message, "use --route direct to have each batch read back from the target itself")]
    if not capabilities.merges:
        message = "each batch is read back from its staged files before these are published; the published ones are compared in the end"
        return [Finding("info", "batches_read_from_files", message)]
    message = f"each batch is read back from the target before it counts as copied: copying takes about {added(plan):.0%} longer"
    if capabilities.settling_seconds:
        message += f", and each batch waits until the target shows it, for up to {capabilities.settling_seconds:,.0f} s"
    return [Finding("info", "batches_read_back", message)]


def added(plan: Plan) -> float:
    """Return what reading batches back adds to the time of copying, as a share of it; 0.0 where none are."""
    if not plan.verify_batches or plan.in_place:
        return 0.0
    place = plan.staging if plan.route == "staged" and plan.staging is not None else plan.target
    return SHARE.get(place.connector, _OTHERS)
