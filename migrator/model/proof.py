"""What a proof finds: differences and counts per namespace."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Level = Literal["counts", "ids", "content"]
DifferenceClass = Literal["missing", "extra", "changed", "duplicate"]


@dataclass(frozen=True)
class Tolerance:
    """By how much vectors may differ that cannot be equal bit by bit. Ids, metadata and sparse values must be equal in any case."""

    components: float = 0.0
    """The largest difference of a component."""
    normalised: bool = False
    """Whether the vectors of both sides are brought to length 1 first, as a store does that keeps directions only."""
    float16: bool = False
    """Whether the vectors of both sides are rounded to float16 first."""

    @property
    def most(self) -> float:
        """The largest difference of a component that is none; bringing a vector to length 1 alone rounds its components by less than 1e-6."""
        return self.components or (1e-6 if self.normalised else 0.0)

    def __bool__(self) -> bool:
        return bool(self.most or self.float16)


@dataclass(frozen=True)
class Scope:
    """How much of two collections a proof compares."""

    level: Level = "content"
    """``content`` has ``ids`` in it, and ``ids`` ``counts``."""
    sample: str = ""
    """A part of the records, ``5%`` or a number of them, the same on both sides; "" for all."""
    tolerance: Tolerance = Tolerance()

    @property
    def complete(self) -> bool:
        """Whether the contents of all records are compared."""
        return self.level == "content" and not self.sample

    @property
    def whole(self) -> bool:
        """Whether everything is compared, bit by bit."""
        return self.complete and not self.tolerance

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> Scope:
        return Scope(found["level"], found["sample"], Tolerance(**found["tolerance"]))


@dataclass(frozen=True)
class Difference:
    """One record on which two collections disagree."""

    namespace: str
    id: str
    kind: DifferenceClass
    fields: tuple[str, ...] = ()
    """For ``changed``: ``values``, ``sparse_values``, ``metadata.<key>``."""
    largest_delta: float | None = None
    """The largest difference of a component, where the values differ and have the same length."""
    cosine: float | None = None
    """Of the two vectors, where the values differ and neither is zero."""

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"namespace": self.namespace, "id": self.id, "class": self.kind, "fields": list(self.fields)}
        measured = {"largest_delta": self.largest_delta, "cosine": self.cosine}
        return found | {name: value for name, value in measured.items() if value is not None}


@dataclass(frozen=True)
class NamespaceCounts:
    """One namespace in both collections."""

    source: int = 0
    target: int = 0
    missing: int = 0
    extra: int = 0
    changed: int = 0
