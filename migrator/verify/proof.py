"""The proof of a migration: both sides read, compared, and every difference named."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from migrator.digest import NamespaceDigest, fingerprint
from migrator.model import Difference, NamespaceCounts
from migrator.verify.diff import differences
from migrator.verify.fields import LOOKED_UP, with_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from migrator.model import Rejected
    from migrator.verify.sides import Side, Walk

DIFFERENCES = "differences.jsonl"
"""The file in a run's folder with all differences, one a line."""
LISTED = 1_000
"""Differences kept in the result; the file beside it has all of them."""


@dataclass(frozen=True)
class Comparison:
    """What a proof found."""

    source: Mapping[str, NamespaceDigest]
    target: Mapping[str, NamespaceDigest]
    found: Counter[tuple[str, str]]
    """(namespace, class) -> how many."""
    listed: tuple[Difference, ...]
    """The first ``LISTED`` differences, with their fields."""
    source_read: bool
    """Whether the source was read anew; otherwise the digests recorded while copying stood for it."""
    unreadable: tuple[Rejected, ...] = ()
    """Rows of the source that cannot be records."""

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"source": fingerprint(self.source), "target": fingerprint(self.target)}

    def count(self, kind: str) -> int:
        """Return how many differences of one class there are."""
        return sum(number for (_, name), number in self.found.items() if name == kind)

    def namespaces(self) -> dict[str, NamespaceCounts]:
        """Return the counts of each namespace on both sides, and of its differences."""
        names = sorted({*self.source, *self.target, *(name for name, _ in self.found)})
        empty = NamespaceDigest()
        return {
            name: NamespaceCounts(
                self.source.get(name, empty).count,
                self.target.get(name, empty).count,
                self.found[name, "missing"],
                self.found[name, "extra"],
                self.found[name, "changed"] + self.found[name, "duplicate"],
            )
            for name in names
        }


def compare(
    source: Callable[[], Side],
    target: Side,
    recorded: Mapping[str, NamespaceDigest] | None,
    *,
    walk: Callable[[], Walk],
    folder: Path,
    extra_allowed: bool = False,
) -> Comparison:
    """Compare two sides. ``source`` is opened only if needed: when ``recorded`` digests equal the target's, they are proof.

    ``folder`` receives ``differences.jsonl`` when there are any. Records that only the target has are counted always,
    and listed unless ``extra_allowed``.
    """
    reading = walk()
    theirs = reading.digest(target)
    (folder / DIFFERENCES).unlink(missing_ok=True)  # of an earlier proof
    doubled = set(reading.repeated(target))
    if recorded is not None and not reading.unreadable and dict(recorded) == theirs.namespaces:
        found, listed = _listed(sorted(doubled, key=_name), folder) if doubled else (Counter(), [])
        return Comparison(recorded, theirs.namespaces, found, tuple(listed), source_read=False)
    side, anew = source(), walk()
    ours = anew.digest(side)
    doubled = (_held(doubled, side) if extra_allowed else doubled) | set(anew.repeated(side))
    unreadable = [Difference(record.namespace, record.id, "changed", (record.field,)) for record in reading.unreadable]
    others = differences(side, target, ours, theirs, walk=walk, folder=folder / "spill")
    found, listed = _listed(chain(unreadable, _with(doubled, others)), folder, extra_allowed=extra_allowed)
    shown = tuple(with_fields(listed, side.fetch, target.fetch))
    return Comparison(ours.namespaces, theirs.namespaces, found, shown, source_read=True, unreadable=tuple(anew.unreadable))


def _with(doubled: set[Difference], others: Iterable[Difference]) -> Iterator[Difference]:
    """Yield both, and what is doubled not again for what else may be wrong with it."""
    yield from sorted(doubled, key=_name)
    yield from (difference for difference in others if replace(difference, kind="duplicate") not in doubled)


def _name(difference: Difference) -> tuple[str, str]:
    return difference.namespace, difference.id


def _held(doubled: set[Difference], side: Side) -> set[Difference]:
    """Return those of ``doubled`` whose records ``side`` has."""
    held: set[Difference] = set()
    for namespace in {difference.namespace for difference in doubled}:
        ids = [difference.id for difference in doubled if difference.namespace == namespace]
        for start in range(0, len(ids), LOOKED_UP):
            found = side.fetch(ids[start : start + LOOKED_UP], namespace)
            held |= {Difference(namespace, record, "duplicate") for record in found.column("id").to_pylist()}
    return held


def _listed(named: Iterable[Difference], folder: Path, *, extra_allowed: bool = False) -> tuple[Counter[tuple[str, str]], list[Difference]]:
    """Count all differences, write them to ``differences.jsonl``, and return the counts with the first of them."""
    found: Counter[tuple[str, str]] = Counter()
    listed: list[Difference] = []
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / DIFFERENCES).open("w", encoding="utf-8") as file:
        for difference in named:
            found[difference.namespace, difference.kind] += 1
            if extra_allowed and difference.kind == "extra":
                continue
            if len(listed) < LISTED:
                listed.append(difference)
            file.write(json.dumps(difference.to_json(), ensure_ascii=False) + "\n")
    return found, listed
