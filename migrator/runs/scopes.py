"""What a proof of a scope says, and what it costs: known beforehand, so that nobody turns the proof off for fear of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from migrator.connectors import connector, opened_source
from migrator.errors import ConfigError
from migrator.model import Move
from migrator.protocols import KeyScanner, Priced
from migrator.transform import compile_transform
from migrator.verify.selecting import parse_sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.model import Collection, Endpoint, Plan, Scope, Tolerance
    from migrator.verify.comparison import Comparison

_RECORDS_A_SECOND = 200_000.0
_KEYS_A_SECOND = 2_000_000.0
"""What one core and a local disk give (docs/benchmarks.md): a store across a network is slower."""
_NAMED = 10
_SAID = {
    "content": "ids, vectors bit by bit, sparse values and metadata",
    "ids": "ids only; vectors and metadata were not looked at",
    "counts": "the records themselves were not looked at",
}


def check(scope: Scope) -> None:
    """Raise ``ConfigError`` for a scope that asks for what does not go together."""
    if not 0 <= scope.tolerance.components < float("inf"):
        raise ConfigError(f"a tolerance of {scope.tolerance.components} is none", fix="give a number of 0 or more, such as 1e-6", code="bad_tolerance")
    if parse_sample(scope.sample) is not None and scope.level != "content":
        raise ConfigError(f"a sample compares contents, not {scope.level}", fix="leave out --level, or --sample", code="scope_unclear")
    if scope.tolerance and scope.level != "content":
        raise ConfigError(
            f"a tolerance is for vectors, and --level {scope.level} looks at none", fix="leave out --level, or the tolerance", code="scope_unclear"
        )
    if scope.tolerance.most and scope.sample:
        raise ConfigError(
            "a sample is compared bit by bit, or rounded to float16", fix="leave out --sample, or --tolerance and --normalised", code="scope_unclear"
        )


def check_namespaces(plan: Plan, source: Collection, target: Collection) -> None:
    """Raise ``ConfigError`` for a namespace that neither side of a pair has: nothing compared with nothing would be proven."""
    names = compile_transform(plan).names
    for name in plan.selection.namespaces or ():
        if name not in source.namespaces and (names.field is not None or names.own(name) not in target.namespaces):
            known = ", ".join(repr(known) for known in sorted(source.namespaces)[:_NAMED]) or "none"
            raise ConfigError(f"neither side has a namespace {name!r}", fix=f"choose among those of the source: {known}", code="namespace_unknown")


def check_compared(scope: Scope, found: Comparison) -> None:
    """Raise ``ConfigError`` for a sample with no record in it, which says nothing."""
    if scope.sample and not any(digest.count for side in (found.source, found.target) for digest in side.values()):
        raise ConfigError(f"a sample of {scope.sample} chose no record at all", fix="give a larger one, or leave out --sample", code="sample_empty")


def sentence(scope: Scope, found: Comparison) -> str:
    """Return what of the two collections was compared."""
    compared = sum(digest.count for digest in found.source.values())
    said = _SAID[scope.level] if not scope.tolerance else f"ids, sparse values and metadata; vectors {_tolerated(scope.tolerance)}"
    if not scope.sample:
        return f"every record was compared: {said}" if scope.level != "counts" else f"counts were compared, {said}"
    share = 300 / max(1, compared)
    odds = f"; were {share:.2g} % of all records different, 19 samples of 20 would show it" if share < 100 else "; so few say nothing of the others"
    return f"a sample of {compared:,} records ({scope.sample}) was compared: {said}{odds}"


def _tolerated(tolerance: Tolerance) -> str:
    forms = [name for name, used in (("normalised", tolerance.normalised), ("rounded to float16", tolerance.float16)) if used]
    forms += [f"equal within {tolerance.most:g} a component" if tolerance.most else "then equal bit by bit"]
    return ", ".join(forms)


def costs(plan: Plan, *, recorded: bool) -> list[dict[str, Any]]:
    """Return what a proof of each level reads of the two sides of ``plan``, about how long that takes, and a sentence.

    ``recorded`` counts of what was copied stand for the source's counts. No record is read for this.
    """
    needs = compile_transform(plan).needs_metadata
    sides = [_look(plan.source, needs=needs), _look(plan.target, needs=False)]
    found = [_counting(recorded=recorded), _cost("ids", sides), _cost("content", sides)]
    return found[1:] if needs and not recorded else found


@dataclass(frozen=True)
class _Look:
    """One side, as far as its proof's cost goes."""

    endpoint: Endpoint
    collection: Collection
    by_key: bool
    """Whether its ids are read alone."""

    def reads(self, level: str) -> int:
        return 0 if level == "ids" and self.by_key else self.collection.count

    def units(self, level: str) -> float:
        """Return the read units it takes, as a pass over a source that is followed takes them."""
        store = connector(self.endpoint.connector)
        if not isinstance(store, Priced):
            return 0.0
        follows: Literal["ids", "records"] = "ids" if level == "ids" else "records"
        found = self.collection
        bill = store.bill(Move(self.endpoint, found.kind, None, "", found.namespaces, 4.0 * found.dimension, follows=follows))
        return sum(charge.quantity for charge in bill.charges if charge.when == "pass" and charge.unit == "read units")


def _look(endpoint: Endpoint, *, needs: bool) -> _Look:
    with opened_source(endpoint) as opened:
        return _Look(endpoint, opened.describe(), isinstance(opened, KeyScanner) and not needs)


def _counting(*, recorded: bool) -> dict[str, Any]:
    said = f"asks {'the target' if recorded else 'both stores'} for the counts, and reads no record"
    return {"level": "counts", "source_records": 0, "target_records": 0, "seconds": 0.0, "read_units": 0.0, "sentence": said}


def _cost(level: str, sides: Sequence[_Look]) -> dict[str, Any]:
    reads, units = [side.reads(level) for side in sides], sum(side.units(level) for side in sides)
    keys = sum(side.collection.count for side in sides) - sum(reads)
    seconds = sum(reads) / _RECORDS_A_SECOND + keys / _KEYS_A_SECOND
    said = [f"reads {sum(reads):,} records"] if sum(reads) else []
    said += [f"goes through {keys:,} ids"] if keys or not said else []
    said += [f"takes about {units:,.0f} read units"] if units else []
    return {
        "level": level,
        "source_records": reads[0],
        "target_records": reads[1],
        "seconds": seconds,
        "read_units": units,
        "sentence": " and ".join(said) + f", in about {max(1, round(seconds)):,} s where the stores are not the slower ones",
    }
