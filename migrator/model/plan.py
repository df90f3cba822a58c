"""A plan: which records go where, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections import abc

    from migrator.model.stores import Collection, Endpoint, Finding

OnConflict = Literal["upsert", "skip", "fail"]
OnDuplicate = Literal["fail", "first", "last"]
Changes = Literal["all", "new"]
IdEncoding = Literal["reject", "percent", "decode"]
NamespaceEncoding = Literal["keep", "percent"]


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
    namespace_missing: str = "keep"
    """For records without a usable ``namespace_from``: ``keep`` what they would have without it, ``default``, ``reject``, or a namespace."""
    id_encoding: IdEncoding = "reject"
    """Ids the target cannot spell are rejected, or encoded (``migrator.ascii_names``); ``decode`` undoes that, in namespaces too."""
    namespace_encoding: NamespaceEncoding | None = None
    """Whether namespaces are encoded like ids; None until the target's capabilities have decided."""


@dataclass(frozen=True)
class Follow:
    """How a run goes on after its first copy: in passes over the source, until it is told to stop."""

    interval: float = 60.0
    """Seconds between the end of one pass and the start of the next."""
    deletes: bool = False
    """Whether records gone from the source are removed from the target."""
    changes: Changes = "all"
    """``all`` compares contents; ``new`` compares ids only, and so does not see records that changed."""


@dataclass(frozen=True)
class Plan:
    """Everything a run needs, decided beforehand; the same plan can be run again."""

    source: Endpoint
    target: Endpoint
    selection: Selection = Selection()
    mapping: Mapping = Mapping()
    route: Literal["direct", "staged"] = "direct"
    staging: Endpoint | None = None
    """Where the staged route writes the files that the target then loads."""
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
    follow: Follow | None = None
    """None ends with the first copy."""
    stamp: bool = False
    """Whether copied records are marked in the source (``migrator.stamps``)."""
    collection: Collection | None = None
    """The source as it was when the plan was made."""
    findings: tuple[Finding, ...] = ()
    estimate: abc.Mapping[str, Any] = field(default_factory=dict)
    """``records``, ``payload_bytes``, ``seconds``, ``basis``, the sentence saying where they come from, and ``cost`` (``migrator.costs``)."""
    shaped_for: Endpoint | None = None
    """The collection that is to load the files which this plan's target consists of: they get its columns."""
    verify_batches: bool = False
    """Whether each batch is read back from the target, and compared, before it counts as copied."""
    keep_overwritten: bool = False
    """Whether records of the target that the run writes over are kept, so that a rollback brings them back."""

    @property
    def in_place(self) -> bool:
        """Whether the staged files are the source itself: then they are loaded as they are."""
        return self.staging is not None and (self.staging.connector, self.staging.resource) == (self.source.connector, self.source.resource)

    def with_(self, **changes: Any) -> Plan:
        """Return a copy with ``changes``."""
        return replace(self, **changes)
