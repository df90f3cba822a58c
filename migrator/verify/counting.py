"""The least that can be compared: how many records the two stores count in each namespace. No record is read."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from migrator.digest import NamespaceDigest
from migrator.errors import ConfigError
from migrator.verify.comparison import Comparison

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.protocols import Source
    from migrator.transform import Transform


def counts_of(source: Source, transform: Transform) -> dict[str, int]:
    """Return how many records ``source`` counts for each namespace that ``transform`` gives them. Raise ``ConfigError`` where only records tell."""
    if transform.needs_metadata:
        raise ConfigError(
            "counts cannot be compared where metadata decides which records count, or where they go",
            fix="compare the ids: --level ids",
            code="counts_need_records",
        )
    found: Counter[str] = Counter()
    for name, count in source.describe().namespaces.items():
        if transform.namespaces is None or name in transform.namespaces:
            found[transform.names.own(name)] += count
    return {name: count for name, count in found.items() if count}


def compare_counts(source: Mapping[str, int], target: Mapping[str, int], *, extra_allowed: bool = False) -> Comparison:
    """Return what the counts say: of a difference how many records it is, and not which. ``extra_allowed`` expects no fewer than the source's."""
    found: Counter[tuple[str, str]] = Counter()
    for name in {*source, *target}:
        delta = target.get(name, 0) - source.get(name, 0)
        if delta and not (delta > 0 and extra_allowed):
            found[name, "missing" if delta < 0 else "extra"] = abs(delta)
    ours, theirs = ({name: NamespaceDigest(count) for name, count in counted.items()} for counted in (source, target))
    return Comparison(ours, theirs, found, (), source_read=True)
