"""Memory for the contract suite, seeded and read through its tables."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from migrator.connectors.memory.table import COLLECTIONS, Table
from migrator.records import dimension_of, parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from migrator.model import Metric


class MemoryHarness:
    """Collections with names of their own in this process."""

    name = "memory"
    can_seed = True
    can_read_back = True

    def __init__(self) -> None:
        self._names: list[str] = []

    def _endpoint(self) -> str:
        self._names.append(uuid.uuid4().hex)
        return f"memory:{self._names[-1]}"

    def seed(self, batches: Sequence[pa.RecordBatch], *, metric: Metric) -> str:
        endpoint = self._endpoint()
        table = Table(dimension_of(batches[0]), metric)
        for batch in batches:
            table.append(batch)
        COLLECTIONS[self._names[-1]] = table
        return endpoint

    def new_target(self) -> str:
        return self._endpoint()

    def read_back(self, endpoint: str) -> list[dict[str, object]]:
        return [
            {
                "id": row.id,
                "namespace": row.namespace,
                "values": row.values,
                "sparse_values": row.sparse_values,
                "metadata": parse_json(row.metadata) if row.metadata else None,
            }
            for row in COLLECTIONS[endpoint.removeprefix("memory:")].live()
        ]

    def adapt(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch

    def close(self) -> None:
        """Forget what the tests made."""
        for name in self._names:
            COLLECTIONS.pop(name, None)
