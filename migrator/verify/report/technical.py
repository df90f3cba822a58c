"""For the engineer: how it was proven, digests, time, throughput, batches, versions and the end of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.verify.report import charts
from migrator.verify.report.figures import duration, many, moment
from migrator.verify.report.html import Html, card, code, el, facts, folded, get, legend, outside, section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PARTS = ("part1", "part2", "part3", "part4", "part5", "part6")
_EXACT = (
    "What this proves: every source record seen while copying is in the target with an equal digest, or is named among the rejected records, "
    "or was an exact duplicate. Vectors are compared bit by bit as float32; metadata by value, so 1 and 1.0 are equal. "
    "No snapshot is claimed: a source that changes meanwhile is compared as it was read."
)
_LEVELS = {"content": "every record by content", "ids": "the ids of every record", "counts": "the counts of every namespace"}


def proof(result: Mapping[str, Any]) -> Html:
    """Return how far the proof goes, its tolerance, and the digests."""
    digests = result["digests"]
    rows: list[tuple[object, object]] = [
        ("scope", outside(get(result, "scope", "sentence") or _LEVELS.get(str(get(result, "scope", "level")), _LEVELS["content"]))),
        ("tolerance", outside(_tolerance(result.get("tolerance")))),
        ("compared with", "the source, read anew" if result.get("compared_with") == "source" else "digests recorded while copying"),
        ("source digest", code(digests["source"])),
        ("target digest", code(digests["target"])),
        ("digests", "equal" if digests["source"] == digests["target"] else "not equal"),
    ]
    level = get(result, "scope", "level") or "content"
    whole = level == "content" and not get(result, "scope", "sample") and not result.get("tolerance")
    return section("How it was proven", facts(rows), el("p", _EXACT, class_="dim") if whole else None)


def _tolerance(found: Mapping[str, Any] | None) -> str:
    if not found:
        return "none: bit by bit"
    return str(found.get("sentence") or ", ".join(f"{name}: {value}" for name, value in found.items()))


def performance(result: Mapping[str, Any]) -> Html:
    """Return the time of each phase, the throughput and the batches."""
    boxes = [_throughput(get(result, "technical", "throughput")), _batches(get(result, "technical", "batches"))]
    lead = f"{duration(result['seconds'])} in all, {result['records_per_second']:,.0f} records a second."
    return section("Time and throughput", _phases(result.get("phases") or {}), el("div", *boxes, class_="grid"), lead=lead)


def _phases(phases: Mapping[str, float]) -> Html | None:
    if not phases:
        return None
    tones = [_PARTS[place % len(_PARTS)] for place in range(len(phases))]
    said = [f"{name} {duration(seconds)}" for name, seconds in phases.items()]
    chart = charts.line_of_parts(phases, tones, "Time per phase", f"{', '.join(said)}.")
    return card(chart, legend(*zip(tones, said, strict=True)), title="Time per phase, last attempt")


def _throughput(points: Sequence[Sequence[float]] | None) -> Html | None:
    if not points or len(points) < 2:  # a single point says no more than the mean above
        return None
    rates = [rate for _, rate in points]
    description = f"From {min(rates):,.0f} to {max(rates):,.0f} records a second."
    return card(charts.area(points, "Records a second", description), title="Records a second while copying")


def _batches(sizes: Sequence[int] | None) -> Html | None:
    if not sizes:
        return None
    low, high = min(sizes), max(sizes)
    span = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    description = f"{many(len(sizes), 'batch', 'batches')} of {span} records."
    return card(el("p", description, class_="dim"), charts.histogram(sizes, "Batch sizes", description), title="Batches by their records")


def details(result: Mapping[str, Any]) -> Html:
    """Return the run's dates, the versions and the end of its log."""
    found = result.get("technical") or {}
    rows: list[tuple[object, object]] = [("run", code(result["run"])), ("kind", "comparison" if result["kind"] == "verify" else result["kind"])]
    rows += [("from", code(result["plan"]["source"])), ("to", code(result["plan"]["target"]))]
    rows += [("started by", outside(found["owner"]))] if found.get("owner") else []
    rows += [(name, moment(found[name])) for name in ("created", "started") if found.get(name)]
    rows += [("proof finished", moment(result["finished"]))]
    rows += [("attempts", f"{found['attempts']:,}")] if found.get("attempts") else []
    rows += [(name, code(version)) for name, version in (found.get("versions") or {}).items()]
    log = [f"{moment(line['at'])}  {line['level']:7} {line['message']}" for line in found.get("log") or ()]
    tail = folded(f"The end of the log ({many(len(log), 'line')})", el("pre", "\n".join(log))) if log else None
    return section("Details", facts(rows), tail)
