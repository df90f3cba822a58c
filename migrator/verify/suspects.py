"""Finds the few records that may differ by their keys alone, and looks only these up: the rest of a collection is not read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.digest import buckets_of, hash_rows
from migrator.verify.selecting import name_keys
from migrator.verify.sides import by_namespace, look_up

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from migrator.digest import RowHashes
    from migrator.verify.sides import Side, Walk


class NotFewError(Exception):
    """The suspects are not found by their keys, are too many to be looked up, or one id is there twice: the side must be read whole."""


def suspects(side: Side, buckets: npt.NDArray[np.bool_], rows: int, walk: Walk, visit: Callable[[pa.RecordBatch, RowHashes], None]) -> None:
    """Call ``visit`` with the about ``rows`` records of ``side`` that lie in ``buckets`` (65,536 flags). Raise ``NotFewError``."""
    if rows > side.lookups or not side.scannable or side.ids_only or side.chosen is not None:
        raise NotFewError
    names: dict[str, list[str]] = {}

    def keep(batch: pa.RecordBatch) -> None:
        for namespace, ids in by_namespace(batch, buckets[buckets_of(name_keys(batch))]):
            names.setdefault(namespace, []).extend(ids)

    walk.names(side, keep)
    if any(len(set(ids)) < len(ids) for ids in names.values()):  # a look-up may show one of them only
        raise NotFewError
    for batch in look_up(side, names):
        visit(batch, hash_rows(batch))
