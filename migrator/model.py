"""The plain data every part speaks in: endpoints, collections, plans, counts, findings, reports."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections import abc

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

Metric = Literal["cosine", "dotproduct", "euclidean"]
IdType = Literal["string", "int64"]
Severity = Literal["info", "lossy", "blocking"]
DifferenceClass = Literal["missing", "extra", "changed", "duplicate"]
OnConflict = Literal["upsert", "skip", "fail"]
OnDuplicate = Literal["fail", "first", "last"]

DEFAULT_NAMESPACE = ""
"""The namespace of records that were given none; Pinecone writes it ``__default__``."""


@dataclass(frozen=True)
class Endpoint:
    """One side of a migration: ``connector:resource?option=value``. Parsed by ``migrator.endpoints``.

    ``options`` holds secret *references* (``env:NAME``), never secrets.
    """

    connector: str
    resource: str
    options: abc.Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """Something the user should know before a run. ``lossy`` needs consent, ``blocking`` stops."""

    severity: Severity
    code: str
    message: str
    fix: str = ""


@dataclass(frozen=True)
class Collection:
    """What a store holds, as far as it can be told without reading the records."""

    name: str
    dimension: int
    """Components a vector; 0 when the collection holds sparse vectors only."""
    metric: Metric | None
    """None when the store does not record one (Parquet) or has one outside our three."""
    id_type: IdType = "string"
    namespaces: abc.Mapping[str, int] = field(default_factory=dict)
    """Records in each namespace. One entry, ``{"": n}``, for stores without namespaces."""
    fields: abc.Mapping[str, str] = field(default_factory=dict)
    """Metadata field -> type name, as declared by the store or seen in a sample."""
    kind: str = ""
    """The store's own word for what this is: ``IVFFlat``, ``serverless``, ``Parquet files``."""
    sparse: bool = False
    unique_ids: bool = False
    """True only where the store itself guarantees that (namespace, id) occurs once."""
    version: str = ""
    """Changes when the collection's files do; "" where the store cannot tell."""
    findings: tuple[Finding, ...] = ()
    """Facts about reading this collection: lossy encodings, fields left out, approximations."""

    @property
    def count(self) -> int:
        """Records in all namespaces together."""
        return sum(self.namespaces.values())

    @property
    def lossless(self) -> bool:
        """Whether reading gives back the very float32 values that were stored."""
        return not any(finding.severity == "lossy" for finding in self.findings)


@dataclass(frozen=True)
class Capabilities:
    """What a connector can do and hold, as data. Limits are of one record unless they say batch."""

    reads: bool = True
    writes: bool = True
    deletes: bool = False
    searches: bool = False
    namespaces: bool = True
    sparse: bool = True
    metadata: bool = True
    id_types: frozenset[IdType] = frozenset({"string", "int64"})
    ascii_ids: bool = False
    max_id_bytes: int | None = None
    max_metadata_bytes: int | None = None
    max_namespace_bytes: int | None = None
    max_dimension: int | None = None
    ids_unique_across_namespaces: bool = False
    """True where two namespaces cannot hold the same id (Milvus primary keys)."""
    metrics: frozenset[Metric] = frozenset({"cosine", "dotproduct", "euclidean"})
    metadata_integers: Literal["any", "int64", "float64"] = "any"
    nested_metadata: bool = True
    null_metadata_values: bool = True
    zero_vectors: bool = True
    """False where the store refuses an all-zero vector under the cosine metric."""
    batch_records: int = 1_000
    """Records a chunk by default."""
    max_batch_bytes: int | None = None
    """Measured bytes a write may carry; chunks are cut to it."""
    concurrent_writes: int = 1
    """Writes worth having in flight at once; more bring nothing or harm."""


@dataclass(frozen=True)
class Split:
    """A disjoint slice of a scan: JSON-only data, runnable anywhere, in any order, again."""

    id: str
    """Stable and safe as a file name: the same source and count give the same ids."""
    namespace: str | None
    """The one namespace the split lies in, or None when it spans several."""
    state: abc.Mapping[str, Any]
    """Whatever the connector needs to read it again, JSON types only."""
    records: int | None = None
    """Rows in the split where that is known without reading it."""


@dataclass(frozen=True)
class Rejected:
    """One record that cannot be copied, with the reason. Written to the run's rejected-records file."""

    namespace: str
    id: str
    code: str
    """Stable reason, e.g. ``wrong_dimension``, ``not_finite``, ``id_too_long``, ``duplicate_id``."""
    field: str
    """Which part of the record: ``id``, ``values``, ``sparse_values``, ``metadata`` or ``metadata.<key>``."""
    message: str
    raw: str | None = None
    """The record as JSON, as far as it could be read."""
    refused: bool = False
    """Whether the store refused it at writing, after every check of ours had passed."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a split and the cursor just after them."""

    batch: pa.RecordBatch
    """Well-formed rows in the layout of ``migrator.records``."""
    cursor: str
    """Give it to ``Source.read`` to go on just after this chunk."""
    start: int = 0
    """Position in the split of the chunk's first row, counting every row, malformed ones too."""
    rows: npt.NDArray[np.int64] | None = None
    """Position in the split of each row of ``batch``; None when they are consecutive from ``start``."""
    rejected: tuple[Rejected, ...] = ()
    """Rows of the source that could not be brought into ``batch``."""

    @property
    def scanned(self) -> int:
        """Rows of the source this chunk stands for."""
        return int(self.batch.num_rows) + len(self.rejected)


@dataclass(frozen=True)
class Counts:
    """The identity of a run: ``scanned = copied + rejected + vanished + duplicate``."""

    scanned: int = 0
    copied: int = 0
    rejected: int = 0
    vanished: int = 0
    duplicate: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, name) + getattr(other, name) for name in COUNT_NAMES))

    @property
    def balanced(self) -> bool:
        """Whether every scanned record is accounted for."""
        return self.scanned == self.copied + self.rejected + self.vanished + self.duplicate

    def to_json(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in COUNT_NAMES}


COUNT_NAMES = ("scanned", "copied", "rejected", "vanished", "duplicate")


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


@dataclass(frozen=True)
class Step:
    """One named step of a connection test."""

    name: str
    """``address``, ``tls``, ``sign-in``, ``read``, ``write`` …"""
    status: Literal["ok", "failed", "skipped"]
    detail: str = ""
    fix: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class StoredFile:
    """One file of a collection made of files."""

    name: str
    """Relative to the collection's root."""
    path: str
    bytes: int
    sha256: str | None


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
