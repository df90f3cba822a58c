"""Which parts of a record differ between its two sides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.records import dump_json, to_dicts
from migrator.row_bytes import equal_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from migrator.model import Difference

LOOKED_UP = 500
"""Records looked up at once."""


def with_fields(found: Sequence[Difference], source: Any, target: Any) -> list[Difference]:
    """Return the differences, each ``changed`` one with the fields that differ, looked up on both sides."""
    changed: dict[str, list[str]] = {}
    for difference in found:
        if difference.kind == "changed":
            changed.setdefault(difference.namespace, []).append(difference.id)
    fields: dict[tuple[str, str], tuple[str, ...]] = {}
    for namespace, ids in changed.items():
        for start in range(0, len(ids), LOOKED_UP):
            part = ids[start : start + LOOKED_UP]
            ours, theirs = _by_id(source(part, namespace)), _by_id(target(part, namespace))
            fields |= {(namespace, name): differing_fields(ours[name], theirs[name]) for name in part if name in ours and name in theirs}
    return [replace(difference, fields=fields.get((difference.namespace, difference.id), ())) for difference in found]


def _by_id(batch: pa.RecordBatch) -> dict[str, dict[str, Any]]:
    return {record["id"]: record for record in to_dicts(batch)}


def differing_fields(source: Mapping[str, Any], target: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of what differs: ``values``, ``sparse_values``, ``metadata.<key>``."""
    names = []
    if not np.array_equal(_bits(source["values"]), _bits(target["values"])):
        names.append("values")
    if _sparse(source["sparse_values"]) != _sparse(target["sparse_values"]):
        names.append("sparse_values")
    ours, theirs = source["metadata"] or {}, target["metadata"] or {}
    names += [f"metadata.{key}" for key in sorted({*ours, *theirs}) if not _same(ours, theirs, key)]
    return tuple(names)


def _bits(values: Sequence[float]) -> Any:
    return np.asarray(values, np.float32).view(np.uint32)


def _sparse(sparse: Mapping[str, Any] | None) -> list[tuple[int, int]] | None:
    if sparse is None:
        return None
    return sorted(zip(sparse["indices"], _bits(sparse["values"]).tolist(), strict=True))


def _same(ours: Mapping[str, Any], theirs: Mapping[str, Any], key: str) -> bool:
    if (key in ours) != (key in theirs):
        return False
    return equal_numbers(dump_json([ours[key]]).encode()) == equal_numbers(dump_json([theirs[key]]).encode())
