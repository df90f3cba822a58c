"""What comparing two sides came to, and the file of all their differences."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrator.digest import NamespaceDigest, fingerprint
from migrator.model import Difference, NamespaceCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from migrator.model import Rejected

DIFFERENCES = "differences.jsonl"
"""The file in a run's folder with all differences of its last proof, one a line."""
_FOUND = "differences.found.jsonl"
"""The same of a proof that has not come to its end."""
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
    settled: int = 0
    """Records that differed when they were read and no longer when they were looked up: written meanwhile, or shown late."""
    unlooked: int = 0
    """Differences that were too many to be looked at again."""
    within: int = 0
    """Records whose vectors differ by no more than the tolerance."""
    largest_within: float = 0.0
    """The largest difference of a component among those."""
    changed: tuple[str, ...] = ()
    """Of ``source`` and ``target``, what was written to while it was compared."""

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


def listed(named: Iterable[Difference], folder: Path, *, extra_allowed: bool = False) -> tuple[Counter[tuple[str, str]], list[Difference]]:
    """Count all differences, write them for ``keep``, and return the counts with the first of them."""
    found: Counter[tuple[str, str]] = Counter()
    first: list[Difference] = []
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _FOUND).open("w", encoding="utf-8") as file:
        for difference in named:
            found[difference.namespace, difference.kind] += 1
            if extra_allowed and difference.kind == "extra":
                continue
            if len(first) < LISTED:
                first.append(difference)
            file.write(json.dumps(difference.to_json(), ensure_ascii=False) + "\n")
    return found, first


def forget(folder: Path) -> None:
    """Remove the list of a proof that did not come to its end."""
    (folder / _FOUND).unlink(missing_ok=True)


def keep(folder: Path) -> None:
    """Put what ``listed`` wrote in the place of ``differences.jsonl``: the list of the last proof, which stays until the next one comes to its end."""
    if (folder / _FOUND).exists():
        (folder / _FOUND).replace(folder / DIFFERENCES)
    else:
        (folder / DIFFERENCES).unlink(missing_ok=True)
