"""What goes into and comes out of an index: plain data that REST and gRPC both translate to and from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from migrator.local_pinecone.engine.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ListPage",
    "Lsn",
    "Match",
    "Matches",
    "Metadata",
    "NamespaceInfo",
    "NamespacePage",
    "Read",
    "Record",
    "RecordPage",
    "Sparse",
    "Stats",
    "Updated",
    "Values",
]

Values = npt.NDArray[np.float32]
Sparse = tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]
"""Indices and their weights, in the order they came."""
T = TypeVar("T")


@dataclass(slots=True)
class Record:
    """One record. ``values`` is None in a sparse index, and where a query was not asked for values."""

    id: str
    values: Values | None = None
    sparse: Sparse | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Lsn:
    """The answer to a write: the place of the write in its namespace's log, which pods do not tell."""

    request: int | None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.request is None else {"x-pinecone-request-lsn": str(self.request)}


@dataclass(frozen=True, slots=True)
class Read(Generic[T]):
    """The answer to a read: it saw every write of its namespace up to ``max_indexed_lsn``, which pods do not tell."""

    value: T
    read_units: int
    max_indexed_lsn: int | None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.max_indexed_lsn is None else {"x-pinecone-max-indexed-lsn": str(self.max_indexed_lsn)}


@dataclass(frozen=True, slots=True)
class ListPage:
    """Ids in bitwise order. ``next_token`` is None on the last page."""

    ids: list[str]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Records in the order of their ids. ``next_token`` is None on the last page."""

    records: list[Record]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class Match:
    """A record found by a query."""

    record: Record
    score: float


Matches = list[Match]
"""Best first."""


@dataclass(frozen=True, slots=True)
class Updated:
    """The answer to an update. ``matched`` is None for an update by id."""

    lsn: Lsn
    matched: int | None


@dataclass(frozen=True, slots=True)
class Stats:
    """What ``describe_index_stats`` says. ``namespaces`` counts only what matches the filter, if there is one; ``total`` counts everything."""

    namespaces: Mapping[str, int]
    dimension: int | None
    fullness: float
    total: int
    metric: str | None
    vector_type: str | None


@dataclass(frozen=True, slots=True)
class NamespaceInfo:
    """A namespace of a serverless index, by our name of it; ``schema`` is what it was created with."""

    name: str
    records: int
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class NamespacePage:
    """Namespaces in bitwise order of their names. ``total`` counts all that have the prefix."""

    namespaces: list[NamespaceInfo] = field(default_factory=list)
    next_token: str | None = None
    total: int = 0
