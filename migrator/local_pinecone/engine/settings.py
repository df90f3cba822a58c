"""What can be set on the local service, also while it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from migrator.pinecone_protocol import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


@dataclass
class Rates:
    """Production's rate limits of a serverless index: a second, in one namespace or in one index."""

    namespace_upserts: float = limits.UPSERTS_A_SECOND
    namespace_upsert_bytes: float = limits.UPSERT_BYTES_A_SECOND
    namespace_updates: float = limits.UPDATES_A_SECOND
    namespace_deletes: float = limits.DELETES_A_SECOND
    index_fetches: float = limits.FETCHES_A_SECOND
    index_lists: float = limits.LISTS_A_SECOND
    index_read_units: float = limits.QUERY_READ_UNITS_A_SECOND


@dataclass
class Settings:
    """Every attribute may be changed at any time; the next request sees it."""

    api_keys: Collection[str] | None = None
    """The keys that are let in; None lets in any key that is not empty."""
    freshness_lag: float = 0.0
    """Seconds until reads see a write."""
    rate_limits: bool = False
    """Answer 429 beyond ``rates``."""
    rates: Rates = field(default_factory=Rates)
    ne_matches_missing: bool = True
    """Whether ``$ne`` and ``$nin`` match a record that has no such field; public evidence about the real service is contradictory."""
    ready_delay: float = 0.0
    """Seconds until a new index is ready, and until a scaled one has its new size."""
    import_delay: float = 0.0
    """Seconds a bulk import stays pending before it starts."""
    ascii_namespaces: bool = True
    """Refuse writes to a namespace whose name is not ASCII, as the API's clients say it does; False to have data from before that rule."""
    pods_creatable: bool = True
    """Accounts opened since August 2025 cannot create pod indexes."""
    s3_options: Mapping[str, str] = field(default_factory=dict)
    """Arguments of ``pyarrow.fs.S3FileSystem`` for bulk imports: ``endpoint_override``, ``scheme``, ``access_key``, ``secret_key``, ``region``."""
    clock: Callable[[], float] = time.monotonic
    """Seconds, never going back: what lag, delays and rate limits are measured with."""
