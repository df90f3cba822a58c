"""What a sample of records shows of their metadata, and what a target makes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import abc

    from migrator.model.stores import Endpoint, Finding


@dataclass(frozen=True)
class FieldStats:
    """One metadata key, as far as a sample shows."""

    name: str
    records: int
    """Records that have the key."""
    types: abc.Mapping[str, int] = field(default_factory=dict)
    """``text``, ``integer``, ``number``, ``boolean``, ``null``, ``list``, ``object`` -> values of it."""
    items: abc.Mapping[str, int] = field(default_factory=dict)
    """The same of the items of its lists."""
    max_bytes: int = 0
    """Of its longest text in UTF-8, in lists too."""
    max_items: int = 0
    """Of its longest list."""

    @property
    def nulls(self) -> int:
        return self.types.get("null", 0)


@dataclass(frozen=True)
class SampleStats:
    """A sample of all namespaces."""

    records: int
    namespaces: int
    keys: tuple[FieldStats, ...] = ()
    """Those seen most often first."""


@dataclass(frozen=True)
class FieldPlace:
    """What becomes of one metadata key."""

    stats: FieldStats
    place: str
    """In words: ``dynamic field``, ``column``."""
    type: str
    """The target's own name for the type it gets there."""
    proposal: str = ""
    """The type a column would need to give all values seen back exactly, "" when no one type does."""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self.stats), "nulls": self.stats.nulls, "place": self.place, "type": self.type, "proposal": self.proposal}


@dataclass(frozen=True)
class TargetShape:
    """What a target is going to be, before anything is written."""

    endpoint: Endpoint
    """The target with every option that the plan has to keep for the run to make just this."""
    exists: bool
    fields: tuple[FieldPlace, ...] = ()
    facts: abc.Mapping[str, str] = field(default_factory=dict)
    """What else is decided, in the store's words: ``index``, ``metric``, ``shards`` …"""
    findings: tuple[Finding, ...] = ()
    choices: tuple[str, ...] = ()
    """Types a column may have, for who wants to choose; empty where there is nothing to choose."""

    def to_json(self, sample: SampleStats) -> dict[str, Any]:
        """Return plain data for pages and ``plan --json``."""
        return {
            "records_looked_at": sample.records,
            "namespaces_looked_at": sample.namespaces,
            "target_exists": self.exists,
            "facts": dict(self.facts),
            "fields": [place.to_json() for place in self.fields],
            "choices": list(self.choices),
        }
