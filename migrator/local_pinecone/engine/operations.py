"""The writes of an index as data: what is applied to its tables, held back until it becomes visible, and kept in its journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.local_pinecone.engine.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence

    from migrator.local_pinecone.engine.metadata import Metadata
    from migrator.local_pinecone.engine.records import Sparse, Values


@dataclass(frozen=True, slots=True)
class Put:
    """Whole records. ``sparse`` goes by position in ``ids``."""

    ids: Sequence[str]
    values: Values | None
    sparse: Mapping[int, Sparse]
    metadata: Sequence[Metadata | None]


@dataclass(frozen=True, slots=True)
class Change:
    """New parts for the records that are there; metadata is merged."""

    ids: Sequence[str]
    values: Values | None = None
    sparse: Sparse | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Remove:
    """Some records, by id."""

    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Create:
    """A namespace without records, with what its creator said about its fields."""

    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """All records of a namespace, which stays."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A namespace with all its records."""


Operation = Put | Change | Remove | Create | Clear | Drop


@dataclass
class State:
    """What a reader of an index can see: its tables and how far each namespace's log has been applied."""

    dimension: int | None
    tables: MutableMapping[str, Table] = field(default_factory=dict)
    schemas: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    applied: dict[str, int] = field(default_factory=dict)

    def apply(self, namespace: str, lsn: int, operation: Operation) -> None:
        """Make one write visible."""
        self.applied[namespace] = lsn
        if isinstance(operation, Drop):
            self.tables.pop(namespace, None)
            self.schemas.pop(namespace, None)
        elif isinstance(operation, Clear):
            if namespace in self.tables:
                self.tables[namespace] = Table(self.dimension)
        elif isinstance(operation, (Put, Create)):
            table = self.tables.setdefault(namespace, Table(self.dimension))
            if isinstance(operation, Put):
                table.put(operation.ids, operation.values, operation.sparse, operation.metadata)
            elif operation.schema is not None:
                self.schemas[namespace] = operation.schema
        elif namespace in self.tables:
            _modify(self.tables[namespace], operation)


def _modify(table: Table, operation: Change | Remove) -> None:
    if isinstance(operation, Remove):
        table.remove(operation.ids)
        return
    for id_ in operation.ids:
        table.change(id_, operation.values, operation.sparse, operation.metadata)


def writes_of(state: State, batch: int = 1000) -> Iterator[tuple[str, int, Operation]]:
    """Yield writes that make a copy of ``state``, places in the logs included."""
    for namespace, lsn in list(state.applied.items()):
        table = state.tables.get(namespace)
        if table is None:
            yield namespace, lsn, Drop()
            continue
        yield namespace, lsn, Create(state.schemas.get(namespace))
        ids = list(table.rows)
        for start in range(0, len(ids), batch):
            yield namespace, lsn, _put(table, ids[start : start + batch])


def copy_of(state: State) -> State:
    """Return a copy that shares no array with ``state``."""
    copy = State(state.dimension)
    for write in writes_of(state):
        copy.apply(*write)
    return copy


def _put(table: Table, ids: Sequence[str]) -> Put:
    records = table.records(ids)
    values = None if table.dimension is None else np.stack([record.values for record in records if record.values is not None])
    sparse = {position: record.sparse for position, record in enumerate(records) if record.sparse is not None}
    return Put(ids, values, sparse, [record.metadata for record in records])
