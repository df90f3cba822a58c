"""Chooses stored records to ask for: by the hashes of their ids, so that the same records are chosen again, from every namespace."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import pyarrow as pa

from migrator.digest import hash_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST = 3
"""Queries from a namespace, however small its share of the records is."""


def quotas(counts: Mapping[str, int], samples: int) -> dict[str, int]:
    """Return how many of ``samples`` queries each namespace gives: in proportion to its records, but ``LEAST`` of each where that can be.

    Of more namespaces than samples the largest give one each.
    """
    held = {name: count for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count > 0}
    base = LEAST if len(held) * LEAST <= samples else 1
    held = dict(list(held.items())[:samples])
    total = sum(held.values())
    found = {name: min(count, max(base, samples * count // total)) for name, count in held.items()}
    left = min(samples, total) - sum(found.values())
    step = 1 if left > 0 else -1
    # whoever is farthest from its share comes first, again and again
    queue = [(_farness(held[name], found[name], step), name) for name in found if _may(held[name], found[name], base, step)]
    heapq.heapify(queue)
    while left and queue:
        _, name = heapq.heappop(queue)
        found[name] += step
        left -= step
        if _may(held[name], found[name], base, step):
            heapq.heappush(queue, (_farness(held[name], found[name], step), name))
    return found


def _may(held: int, given: int, base: int, step: int) -> bool:
    return given < held if step > 0 else given > base


def _farness(held: int, given: int, step: int) -> float:
    """Return what orders namespaces: fewest queries a record first where some are to be added, most first where they are to be taken."""
    return step * given / held


class Sampler:
    """Keeps, of each namespace, as many ids as are wanted: those with the least hashes. Its memory is that of the sample."""

    def __init__(self, wanted: Mapping[str, int]) -> None:
        self._wanted = wanted
        self._kept: dict[str, list[tuple[int, str]]] = {name: [] for name, count in wanted.items() if count}

    def add(self, ids: pa.Array, namespaces: pa.Array) -> None:
        """Look at more records."""
        ids = ids.cast(pa.string())
        hashes = hash_keys(ids, namespaces)
        names = namespaces.to_pylist()
        for place, (key, namespace) in enumerate(zip(hashes, names, strict=True)):
            kept = self._kept.get(namespace)
            if kept is None or (len(kept) == self._wanted[namespace] and -key <= kept[0][0]):
                continue
            item = (-key, ids[place].as_py())  # the heap's first is the greatest hash
            if item in kept:  # an id that is there twice
                continue
            if len(kept) < self._wanted[namespace]:
                heapq.heappush(kept, item)
            else:
                heapq.heapreplace(kept, item)

    def chosen(self) -> dict[str, list[str]]:
        """Return the ids of each namespace, by rising hash."""
        return {namespace: [name for _, name in sorted(kept, reverse=True)] for namespace, kept in self._kept.items() if kept}
