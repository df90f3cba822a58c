"""In what two records of one id differ: which fields, and by how much."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.records import dump_json
from migrator.row_bytes import equal_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt


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


def distance(source: Sequence[float], target: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the largest difference of a component and the cosine of two vectors; None where there is none of them."""
    ours, theirs = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if ours.shape != theirs.shape or not ours.size:
        return None, None
    delta = float(np.abs(ours - theirs).max())
    return (delta if np.isfinite(delta) else None), _cosine(ours, theirs)


def _cosine(ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> float | None:
    lengths = float(np.linalg.norm(ours)) * float(np.linalg.norm(theirs))
    return float(ours @ theirs) / lengths if 0 < lengths < float("inf") else None


def _bits(values: Sequence[float]) -> Any:
    return np.asarray(values, np.float32).view(np.uint32)


def _sparse(sparse: Mapping[str, Any] | None) -> list[tuple[int, int]] | None:
    if sparse is None:
        return None
    return sorted(zip(sparse["indices"], _bits(sparse["values"]).tolist(), strict=True), key=itemgetter(0))


def _same(ours: Mapping[str, Any], theirs: Mapping[str, Any], key: str) -> bool:
    if (key in ours) != (key in theirs):
        return False
    return equal_numbers(dump_json([ours[key]]).encode()) == equal_numbers(dump_json([theirs[key]]).encode())
