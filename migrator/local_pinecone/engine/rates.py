"""Production's rate limits: one token bucket for each thing that is counted, holding a second's worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.local_pinecone.engine.errors import rate_limited

if TYPE_CHECKING:
    from collections.abc import Hashable

    from migrator.local_pinecone.engine.settings import Settings


class Limiter:
    """The buckets of one index. Not thread-safe: the index holds its lock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._levels: dict[Hashable, tuple[float, float]] = {}

    def take(self, *demands: tuple[Hashable, float, float, str]) -> None:
        """Take every ``(bucket, amount, rate a second, what is counted)`` or none. Raise a 429 that says how long to wait."""
        if not self._settings.rate_limits:
            return
        now = self._settings.clock()
        levels = {}
        for bucket, amount, rate, counted in demands:
            level, since = self._levels.get(bucket, (rate, now))
            level = min(rate, level + (now - since) * rate)
            # a demand beyond a whole second's worth is let through by a full bucket, or it never would be
            missing = min(amount, rate) - level
            if missing > 1e-6 * rate:
                raise rate_limited(f"Request failed. You've reached the max {counted}. Pause and retry the request later.", missing / rate)
            levels[bucket] = (level - amount, now)
        self._levels.update(levels)
