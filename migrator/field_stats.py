"""What sampled records show of each metadata key: how many have it, which types it has, and how long it gets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from migrator.model import FieldStats, SampleStats
from migrator.records import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

_KINDS: dict[type, str] = {str: "text", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "list", dict: "object"}


@dataclass
class _Seen:
    records: int = 0
    types: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    max_bytes: int = 0
    max_items: int = 0

    def add(self, value: Any) -> None:
        self.records += 1
        self.types[_KINDS[type(value)]] += 1
        parts = value if isinstance(value, list) else [value]
        if isinstance(value, list):
            self.items.update(_KINDS[type(item)] for item in value)
            self.max_items = max(self.max_items, len(value))
        self.max_bytes = max([self.max_bytes, *(len(part.encode("utf-8", "surrogatepass")) for part in parts if isinstance(part, str))])


def sample_stats(batches: Iterable[pa.RecordBatch]) -> SampleStats:
    """Return what the records of ``batches`` (layout of ``migrator.records``) show, the keys seen most often first."""
    seen: dict[str, _Seen] = {}
    records, namespaces = 0, set[str]()
    for batch in batches:
        records += len(batch)
        namespaces.update(pc.unique(batch.column("namespace")).to_pylist())
        for text in batch.column("metadata").to_pylist():
            for key, value in (parse_json(text) if text else {}).items():
                seen.setdefault(key, _Seen()).add(value)
    keys = (FieldStats(name, one.records, dict(one.types), dict(one.items), one.max_bytes, one.max_items) for name, one in seen.items())
    return SampleStats(records, len(namespaces), tuple(sorted(keys, key=lambda key: (-key.records, key.name))))
