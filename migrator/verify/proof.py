"""The proof of a migration: both sides read, compared, and every difference named."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from migrator.model import Difference, Scope
from migrator.verify.again import Recheck
from migrator.verify.comparison import Comparison, forget, listed
from migrator.verify.diff import Search, differences
from migrator.verify.nearly import Nearly
from migrator.verify.sides import look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from migrator.digest import NamespaceDigest
    from migrator.verify.sides import Side, Walk


EVERYTHING = Scope()


@dataclass(frozen=True)
class Way:
    """How two sides are compared."""

    walk: Callable[[], Walk]
    folder: Path
    """Receives the list of the differences when there are any."""
    extra_allowed: bool = False
    """Whether records that only the target has are counted, and not listed."""
    wait: Callable[[], None] = lambda: None
    """Waits until every write under way can be seen; called when there are differences."""
    scope: Scope = EVERYTHING
    check: Callable[[], None] = lambda: None
    """Raises what ends the proof early, if that was asked for."""
    settles: bool = True
    """Whether a record that a look-up finds equal is no difference: not where the source has an id twice, and shows another of its records."""


def compare(source: Callable[[], Side], target: Side, recorded: Mapping[str, NamespaceDigest] | None, way: Way) -> Comparison:
    """Compare the contents of two sides. ``source`` is opened only if needed: when ``recorded`` digests equal the target's, they are proof."""
    reading = way.walk()
    theirs = reading.digest(target)
    way.check()
    forget(way.folder)
    doubled = set(reading.repeated(target))
    if recorded is not None and not reading.unreadable and not doubled and dict(recorded) == theirs.namespaces:
        return Comparison(recorded, theirs.namespaces, Counter(), (), source_read=False)
    side, anew = source(), way.walk()
    ours = anew.digest(side)
    way.check()
    doubled = (_held(doubled, side) if way.extra_allowed else doubled) | set(anew.repeated(side))
    unreadable = [Difference(record.namespace, record.id, "changed", (record.field,)) for record in reading.unreadable]
    again, nearly = Recheck(side, target, way), Nearly(way.scope.tolerance.most)
    others = again(differences(side, target, ours, theirs, Search(way.walk, way.folder / "spill", nearly)))
    found, first = listed(chain(unreadable, _with(doubled, others)), way.folder, extra_allowed=way.extra_allowed)
    left, right = again.as_now(ours.namespaces, theirs.namespaces)
    return Comparison(
        left,
        right,
        found,
        tuple(first),
        source_read=True,
        unreadable=tuple(anew.unreadable),
        settled=again.settled,
        unlooked=again.unlooked,
        within=nearly.within,
        largest_within=nearly.largest,
    )


def _with(doubled: set[Difference], others: Iterable[Difference]) -> Iterator[Difference]:
    """Yield both, and what is doubled not again for what else may be wrong with it."""
    yield from sorted(doubled, key=_name)
    names = {_name(difference) for difference in doubled}
    yield from (difference for difference in others if _name(difference) not in names)


def _name(difference: Difference) -> tuple[str, str]:
    return difference.namespace, difference.id


def _held(doubled: set[Difference], side: Side) -> set[Difference]:
    """Return those of ``doubled`` whose records ``side`` has."""
    names: dict[str, list[str]] = {}
    for difference in doubled:
        names.setdefault(difference.namespace, []).append(difference.id)
    found = (batch.select(["namespace", "id"]) for batch in look_up(side, names))
    return {Difference(row["namespace"], row["id"], "duplicate") for batch in found for row in batch.to_pylist()}
