"""Record batches for tests of the core: from plain dictionaries, and drawn by Hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from migrator import records

if TYPE_CHECKING:
    from collections.abc import Sequence

DIMENSION = 3
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
components = st.floats(width=32, allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | texts
nested = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6)
metadata = st.none() | st.dictionaries(texts, nested, max_size=3)
sparse = st.none() | st.dictionaries(st.integers(0, 2**32 - 1), components, min_size=1, max_size=4).map(
    lambda pairs: {"indices": list(pairs), "values": list(pairs.values())}
)
rows = st.fixed_dictionaries(
    {
        "id": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6),
        "values": st.lists(components, min_size=DIMENSION, max_size=DIMENSION),
        "sparse_values": sparse,
        "metadata": metadata,
        "namespace": st.sampled_from(["", "a", "ä", "日本"]),
    }
)


def batch_of(found: Sequence[dict[str, Any]], dimension: int = DIMENSION) -> pa.RecordBatch:
    """Return the batch of ``rows`` given as dictionaries; what is left out is empty."""
    values = np.array([row.get("values", [0.0] * dimension) for row in found], np.float32).reshape(len(found), dimension)
    return records.make_batch(
        [row["id"] for row in found],
        values,
        namespace=pa.array([row.get("namespace", "") for row in found], pa.string()),
        metadata=[records.canonical_metadata(row.get("metadata")) for row in found],
        sparse_values=[row.get("sparse_values") for row in found],
    )


def numbered(count: int, *, namespace: str = "", dimension: int = DIMENSION, start: int = 0) -> pa.RecordBatch:
    """Return ``count`` records ``r0``, ``r1`` … with distinct vectors and metadata."""
    return batch_of(
        [
            {"id": f"r{n}", "values": [n + 1.0, *[0.5] * (dimension - 1)], "metadata": {"n": n, "even": n % 2 == 0}, "namespace": namespace}
            for n in range(start, start + count)
        ],
        dimension,
    )
