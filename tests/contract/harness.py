"""What a connector's tests provide so that the contract suite can hold it: seeding and reading *around* the code under test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from migrator.model import Metric


class Harness(Protocol):
    """One store, reached with its own SDK only: nothing here may import the connector under test.

    ``batches`` are in the layout of ``migrator.records``. A harness may be asked for several collections in one test.
    """

    name: str
    can_seed: bool
    """Whether the connector is a source."""
    can_read_back: bool
    """Whether the connector is a target."""

    def seed(self, batches: Sequence[pa.RecordBatch], *, metric: Metric) -> str:
        """Put the records into a new collection with the store's SDK and return its endpoint text."""

    def new_target(self) -> str:
        """Return the endpoint text of a collection that does not exist yet."""

    def read_back(self, endpoint: str) -> list[dict[str, object]]:
        """Return every record as ``{"id", "namespace", "values": ndarray, "sparse_values", "metadata": dict | None}``."""

    def adapt(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch without what this store's format cannot hold (a bare Faiss file has no metadata, for instance)."""
