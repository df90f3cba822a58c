"""What a plan will take: records, bytes, time, and money where a store charges for its use."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from migrator import costs
from migrator.batch_findings import added
from migrator.connectors import REGISTRY, connector
from migrator.model import Move
from migrator.protocols import Priced
from migrator.transform import compile_transform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from migrator.model import Collection, Plan

_ASSUMED_RECORDS_PER_SECOND = {"milvus": 10_000, "pinecone": 5_000, "parquet": 100_000, "numpy": 200_000, "memory": 300_000}
"""For vectors of up to ``_USUAL_DIMENSION`` components; longer ones take longer in proportion."""
_USUAL_DIMENSION = 384


def estimate(
    plan: Plan,
    collection: Collection,
    existing: Collection | None,
    sample: Sequence[pa.RecordBatch],
    *,
    measured: float | None = None,
    prices: Path | None = None,
) -> dict[str, Any]:
    """Return ``Plan.estimate`` for the source ``collection`` and the target as it is (None: still to be made); ``sample`` is of the source.

    ``measured`` is the records/s of an earlier run as ``comparable_rate`` gives it, ``prices`` a file of the user's own.
    """
    chosen = plan.selection.namespaces
    namespaces = {name: count for name, count in collection.namespaces.items() if chosen is None or name in chosen}
    records = sum(namespaces.values())
    rate, basis = _rate(plan, collection, measured)
    vectors, beside = collection.dimension * 4, _bytes_beside(collection, sample)
    more = added(plan)
    seconds = records / rate * (1 + more)
    found = {
        "records": records,
        "filtered": plan.selection.filter is not None,
        "payload_bytes": int(records * vectors + records * beside),
        "vector_bytes": records * vectors,
        "seconds": seconds,
        "basis": basis + (f", and {more:.0%} more for reading each batch back" if more else ""),
    }
    move = _move(plan, collection, existing, namespaces, vectors + beside)
    return {**found, "cost": _cost(plan, move, seconds, prices)}


def _rate(plan: Plan, collection: Collection, measured: float | None) -> tuple[float, str]:
    """Return records/s, and where they come from."""
    rate = (measured or _ASSUMED_RECORDS_PER_SECOND.get(plan.target.connector, 1_000)) * _slower(collection.dimension)
    basis = "as in the last run between these stores" if measured else "assumed until a run has measured it"
    return rate, f"{rate:,.0f} records/s, {basis}" + (", without the store's import" if plan.route == "staged" else "")


def _move(plan: Plan, collection: Collection, existing: Collection | None, namespaces: Mapping[str, int], record_bytes: float) -> Move:
    """Return what the plan asks of its stores."""
    return Move(
        source=plan.source,
        source_kind=collection.kind,
        target=plan.target,
        target_kind=existing.kind if existing is not None else "",
        namespaces=namespaces,
        record_bytes=record_bytes,
        staged=plan.route == "staged",
        looks_up=plan.new_only or plan.on_conflict != "upsert" or bool(existing is not None and existing.count),
        present=existing.count if existing is not None else 0,
        stamps=plan.stamp,
        follows=_read_each_pass(plan),
        reads_back=plan.verify_batches and plan.route == "direct",
    )


def _read_each_pass(plan: Plan) -> Literal["ids", "records"] | None:
    if plan.follow is None:
        return None
    return "records" if plan.follow.changes == "all" or compile_transform(plan).needs_metadata else "ids"


def _bytes_beside(collection: Collection, sample: Sequence[pa.RecordBatch]) -> float:
    """Return the bytes of a record beside its dense vector, on average."""
    columns = ("id", "metadata", "sparse_values") if collection.sparse else ("id", "metadata")
    octets: int = sum(batch.column(name).nbytes for batch in sample for name in columns)
    return octets / max(1, sum(map(len, sample)))


def _cost(plan: Plan, move: Move, seconds: float, prices: Path | None) -> dict[str, Any] | None:
    """Return what the stores charge, None when neither charges for its use; a pass of a plan that follows takes about ``seconds``."""
    priced = []
    for name in dict.fromkeys((plan.source.connector, plan.target.connector)):
        store = connector(name)
        if isinstance(store, Priced):
            source, target = (side if side.connector == name else None for side in (plan.source, plan.target))
            priced.append((store.price_list(), store.bill(replace(move, source=source, target=target))))
    if not priced:
        return None
    others = REGISTRY.keys() - {plan.source.connector, plan.target.connector}
    own = costs.own_prices(prices, [known for known, _ in priced], others) if prices is not None else {}
    found = costs.cost(priced, own, plan.follow, seconds)
    if plan.selection.filter is not None:
        found["notes"].insert(0, "the filter decides how much is written: these figures are of all records")
    return found


def comparable_rate(records: int, seconds: float, dimension: int) -> float:
    """Return the records/s of a run as they would have been with vectors of the usual dimension."""
    return records / seconds / _slower(dimension)


def _slower(dimension: int) -> float:
    return _USUAL_DIMENSION / max(_USUAL_DIMENSION, dimension)
