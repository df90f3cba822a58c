"""A plan: which records go where, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections import abc

    from migrator.model.stores import Collection, Endpoint, Finding

OnConflict = Literal["upsert", "skip", "fail"]
OnDuplicate = Literal["fail", "first", "last"]


@dataclass(frozen=True)
class Selection:
    """Which records of the source: all of them unless narrowed."""

    namespaces: tuple[str, ...] | None = None
    """None means all."""
    filter: abc.Mapping[str, Any] | None = None
    """A metadata filter in Pinecone's language (``migrator.filters``)."""


@dataclass(frozen=True)
class Mapping:
    """How a source record becomes a target record."""

    target_namespace: str | None = None
    """One namespace for everything; None keeps the source's."""
    namespace_from: str | None = None
    """The metadata field whose value names the target namespace."""


@dataclass(frozen=True)
class Plan:
    """Everything a run needs, decided beforehand; the same plan can be run again."""

    source: Endpoint
    target: Endpoint
    selection: Selection = Selection()
    mapping: Mapping = Mapping()
    route: Literal["direct", "staged"] = "direct"
    batch: int | None = None
    """Records a chunk; None takes the target's default."""
    workers: int = 2
    executor: Literal["local", "ray"] = "local"
    on_conflict: OnConflict = "upsert"
    merge: bool = False
    """Whether the user agreed to a target that holds other records as well."""
    on_duplicate: OnDuplicate = "fail"
    accept_lossy: bool = False
    new_only: bool = False
    collection: Collection | None = None
    """The source as it was when the plan was made."""
    findings: tuple[Finding, ...] = ()
    estimate: abc.Mapping[str, Any] = field(default_factory=dict)
    """``records``, ``payload_bytes``, ``seconds`` and ``basis``, the sentence saying where they come from."""

    def with_(self, **changes: Any) -> Plan:
        """Return a copy with ``changes``."""
        return replace(self, **changes)
