"""What a proof finds: differences and counts per namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

DifferenceClass = Literal["missing", "extra", "changed", "duplicate"]


@dataclass(frozen=True)
class Difference:
    """One record on which two collections disagree."""

    namespace: str
    id: str
    kind: DifferenceClass
    fields: tuple[str, ...] = ()
    """For ``changed``: ``values``, ``sparse_values``, ``metadata.<key>``."""

    def to_json(self) -> dict[str, Any]:
        return {"namespace": self.namespace, "id": self.id, "class": self.kind, "fields": list(self.fields)}


@dataclass(frozen=True)
class NamespaceCounts:
    """One namespace in both collections."""

    source: int = 0
    target: int = 0
    missing: int = 0
    extra: int = 0
    changed: int = 0
