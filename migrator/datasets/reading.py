"""What sources made of files have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from migrator import records
from migrator.errors import ConfigError, PermanentError, UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from migrator.model import Endpoint

METRICS = ("cosine", "dotproduct", "euclidean")
KEYS_AT_ONCE = 65_536


def check_metric(endpoint: Endpoint) -> None:
    """Raise ``ConfigError`` when ``metric=`` names none there is."""
    if endpoint.options.get("metric", METRICS[0]) not in METRICS:
        raise ConfigError(f"metric={endpoint.options['metric']} is unknown", fix=f"use one of: {', '.join(METRICS)}", code="bad_option")


def first_of_each(found: Sequence[pa.RecordBatch], dimension: int) -> pa.RecordBatch:
    """Return the records of ``found``, of those with one id the first."""
    if not found:
        return records.empty_batch(dimension)
    together = pa.concat_batches(found)
    _, first = np.unique(together.column("id").to_numpy(zero_copy_only=False), return_index=True)
    return together.take(pa.array(np.sort(first)))


def version_now(find: Callable[[], str]) -> str:
    """Return the version that ``find`` finds, "" of files that are gone or are being written again."""
    try:
        return find()
    except (PermanentError, UnreadableSourceError):
        return ""
