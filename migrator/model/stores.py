"""What a store holds and can do: endpoints, collections, capabilities, findings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections import abc

Metric = Literal["cosine", "dotproduct", "euclidean"]
IdType = Literal["string", "int64"]
Severity = Literal["info", "lossy", "blocking"]

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
    native: abc.Mapping[str, str] = field(default_factory=dict)
    """Options that make a new collection of the same store like this one: its schema, where ``fields`` cannot tell it."""
    alias: str = ""
    """The other name it was opened by, one that can be moved to another collection; "" for its own."""

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
    ascii_namespaces: bool = False
    """True where namespaces are ASCII only (Pinecone's "Identifier limits"); others are then encoded, reversibly."""
    max_dimension: int | None = None
    ids_unique_across_namespaces: bool = False
    """True where two namespaces cannot hold the same id (Milvus primary keys)."""
    metrics: frozenset[Metric] = frozenset({"cosine", "dotproduct", "euclidean"})
    metric: Metric | None = None
    """What the endpoint's options say a new collection gets; None takes the source's."""
    metadata_integers: Literal["any", "int64", "float64"] = "any"
    nested_metadata: bool = True
    list_metadata: Literal["any", "strings"] = "any"
    max_sparse_values: int | None = None
    """Non-zero values a sparse vector may have."""
    null_metadata_values: bool = True
    zero_vectors: bool = True
    """False where the store refuses an all-zero vector under the cosine metric."""
    merges: bool = True
    """Whether a run can add to what the target holds; False where each is written anew."""
    batch_records: int = 1_000
    """Records a chunk by default."""
    batch_bytes: int | None = None
    """Bytes of vectors a chunk has at most by default."""
    max_batch_bytes: int | None = None
    """Measured bytes a write may carry; chunks are cut to it."""
    changes_unseen: bool = False
    """Whether others can write to a collection while it is read, without the store being able to say so (``Collection.version``)."""
    settling_seconds: float = 0.0
    """How long a write may stay unseen by reads, and so by a scan that follows it."""
    concurrent_writes: int = 1
    """Writes worth having in flight at once; more bring nothing or harm."""
    bulk_loads: bool = False
    """Whether its targets can load files by themselves (``migrator.protocols.BulkLoader``)."""
    staging_pays_records: int | None = None
    """From how many records on loading files was measured to take no longer than writing them; None where nobody measured it."""
    stages_for: frozenset[str] = frozenset()
    """The connectors whose targets load this one's files."""
    concurrent_loads: int = 1
    """Jobs of a bulk load worth having under way at once."""
    max_load_files: int | None = None
    max_load_namespaces: int | None = None
    """Of one bulk load."""
    quick_lookups: bool = False
    """Whether a record is looked up by its id without going through others."""


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
class LoadUnit:
    """What one job of a bulk load brings in: a whole staging area, or one part of it."""

    address: str
    """Of the folder, or prefix of a bucket, as other programs name it: ``s3://bucket/prefix``, ``file:///folder``."""
    namespace: str = DEFAULT_NAMESPACE
    """Of all its records, where their files do not say it."""
    files: tuple[str, ...] = ()
    """Addresses of the part's files; empty for a whole area."""
    records: int = 0
    """In the part's files."""


@dataclass(frozen=True)
class LoadProgress:
    """How far a bulk load is."""

    done: bool
    share: float
    """0 to 1."""
    records: int
    """Loaded so far, as the store counts them."""


@dataclass(frozen=True)
class Address:
    """How an application reaches a collection: what to re-point at a cut-over."""

    environment: abc.Mapping[str, str] = field(default_factory=dict)
    """Environment variable -> value."""
    snippets: abc.Mapping[str, str] = field(default_factory=dict)
    """Language (``Python``, ``Node``) -> code that opens the collection."""

    def to_json(self) -> dict[str, dict[str, str]]:
        return {"environment": dict(self.environment), "snippets": dict(self.snippets)}
