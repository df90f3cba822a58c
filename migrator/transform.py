"""From a source's rows to the records the target should hold: selection, filter and namespace rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.filters import compile_filter
from migrator.records import constant, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from migrator.model import Plan


@dataclass(frozen=True)
class Transform:
    """A plan's rules, compiled once and applied to every batch."""

    namespaces: frozenset[str] | None
    matches: Callable[[Mapping[str, Any]], bool] | None
    target_namespace: str | None
    namespace_from: str | None

    @property
    def routes(self) -> bool:
        """Whether records may change their namespace."""
        return self.target_namespace is not None or self.namespace_from is not None

    def in_namespaces(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_] | None:
        """Return which rows lie in a selected namespace, or None when all do."""
        if self.namespaces is None:
            return None
        mask: npt.NDArray[np.bool_] = pc.is_in(batch.column("namespace"), pa.array(sorted(self.namespaces), pa.string())).to_numpy(zero_copy_only=False)
        return None if mask.all() else mask

    def matching(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_] | None:
        """Return which rows match the filter, or None when all do."""
        if self.matches is None:
            return None
        mask = np.fromiter((self.matches(_metadata(text)) for text in batch.column("metadata").to_pylist()), np.bool_, len(batch))
        return None if mask.all() else mask

    def selected(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows in a selected namespace that match the filter."""
        for rule in (self.in_namespaces, self.matching):
            if (mask := rule(batch)) is not None:
                batch = batch.filter(pa.array(mask))
        return batch

    def route(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with every record's target namespace."""
        if not self.routes:
            return batch
        position = batch.schema.get_field_index("namespace")
        return batch.set_column(position, batch.schema.field(position), self._namespaces(batch))

    def _namespaces(self, batch: pa.RecordBatch) -> pa.Array:
        if self.namespace_from is None:
            return constant(self.target_namespace or "", len(batch))
        kept = batch.column("namespace").to_pylist() if self.target_namespace is None else [self.target_namespace] * len(batch)
        metadata = batch.column("metadata").to_pylist()
        return pa.array([routed(_metadata(text).get(self.namespace_from), name) for text, name in zip(metadata, kept, strict=True)], pa.string())


def compile_transform(plan: Plan) -> Transform:
    """Return the rules of ``plan``. Raise ``ConfigError`` when its filter is none."""
    selection, mapping = plan.selection, plan.mapping
    return Transform(
        frozenset(selection.namespaces) if selection.namespaces is not None else None,
        compile_filter(selection.filter) if selection.filter is not None else None,
        mapping.target_namespace,
        mapping.namespace_from,
    )


def routed(value: Any, otherwise: str) -> str:
    """Return the namespace a metadata value names: strings as they are, numbers and booleans as text, anything else ``otherwise``."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (int, float)):
        return str(value)
    return otherwise


def _metadata(text: str | None) -> Mapping[str, Any]:
    return parse_json(text) if text else {}
