"""The counts: how they add up, and both sides of each namespace with their difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.verify.report import charts
from migrator.verify.report.figures import many, signed
from migrator.verify.report.html import Html, card, el, folded, legend, namespace, section, shown_of, table

if TYPE_CHECKING:
    from collections.abc import Mapping

LISTED = 300
OPEN = 12
"""Namespaces of the table that are not folded away, and all that differ."""
_COPY_SIDES = ("expected in the target", "in the target")


def counts(result: Mapping[str, Any]) -> Html:
    """Return the identity and the namespaces of a result."""
    namespaces = result["namespaces"]
    ours, theirs = sides(result)
    unequal = sum(row["source"] != row["target"] for row in namespaces.values())
    agree = f"The counts differ in {unequal:,} of {many(len(namespaces), 'namespace')}." if unequal else "The counts agree in every namespace."
    boxes = [_pairs(namespaces, (ours, theirs))] if namespaces else []
    if unequal:
        boxes.append(_deltas(namespaces))
    return section("Counts", _identity(result), el("div", *boxes, class_="grid"), _table(namespaces, (ours, theirs)), lead=agree if namespaces else None)


def sides(result: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the namespaces' counts of both sides count: a copy's source has also what was rejected, vanished or doubled."""
    return ("source, as far as it can be read" if result["counts"]["rejected"] else "source", "target") if result["kind"] == "verify" else _COPY_SIDES


def _identity(result: Mapping[str, Any]) -> Html:
    """Return how the counts add up. Those of a comparison bear a copy's names and mean other things: nothing was copied."""
    found = result["counts"]
    names = {name: name for name in ("copied", "rejected", "vanished", "duplicate")}
    if result["kind"] == "verify":
        names = {"copied": "equal", "rejected": "not readable", "vanished": "missing or changed"}
    terms = " + ".join(f"{found[name]:,} {said}" for name, said in names.items())
    return el("p", f"{found['scanned']:,} scanned = {terms}", class_="identity")


def largest(namespaces: Mapping[str, Mapping[str, int]], weight: Any) -> dict[str, Mapping[str, int]]:
    """Return the namespaces of the greatest weight that a chart shows, the greatest first."""
    chosen = sorted(namespaces, key=lambda name: (-weight(namespaces[name]), name))[: charts.SHOWN]
    return {name: namespaces[name] for name in chosen}


def of_all(shown: int, total: int) -> Html | None:
    """Return how many of the namespaces a chart shows, when there are more."""
    said = shown_of(shown, total, ", the largest")
    return el("p", said, class_="dim") if said else None


def _pairs(namespaces: Mapping[str, Mapping[str, int]], names: tuple[str, str]) -> Html:
    shown = largest(namespaces, lambda row: max(row["source"], row["target"]))
    rows = [(name, float(row["source"]), float(row["target"])) for name, row in shown.items()]
    said = [
        f"{row['source']:,}" if row["source"] == row["target"] else f"{row['source']:,} ({signed(row['target'] - row['source'])})" for row in shown.values()
    ]
    totals = [sum(row[side] for row in namespaces.values()) for side in ("source", "target")]
    description = f"{totals[0]:,} {names[0]} and {totals[1]:,} {names[1]} in {many(len(namespaces), 'namespace')}."
    chart = charts.pairs(rows, said, "Records per namespace", description)
    return card(legend(("source", names[0]), ("target", names[1])), chart, of_all(len(shown), len(namespaces)), title="Records per namespace")


def _deltas(namespaces: Mapping[str, Mapping[str, int]]) -> Html:
    deltas = {name: row for name, row in namespaces.items() if row["source"] != row["target"]}
    shown = largest(deltas, lambda row: abs(row["target"] - row["source"]))
    rows = [(name, row["target"] - row["source"]) for name, row in shown.items()]
    description = f"{len(deltas):,} of {len(namespaces):,} namespaces differ in their counts."
    chart = charts.deltas(rows, "Difference of the counts", description)
    return card(
        legend(("missing", "fewer in the target"), ("extra", "more in the target")), chart, of_all(len(shown), len(deltas)), title="Difference of the counts"
    )


def _table(namespaces: Mapping[str, Mapping[str, int]], names: tuple[str, str]) -> Html:
    """Return all namespaces, those that differ first."""
    order = sorted(namespaces, key=lambda name: (not _differs(namespaces[name]), name))
    rows = [_row(name, namespaces[name]) for name in order[:LISTED]]
    open_ = max(OPEN, sum(map(_differs, namespaces.values())))
    said = shown_of(len(rows), len(order), ", those that differ first; result.json beside this report has all")
    header = ("namespace", *names, "difference", "missing", "extra", "changed")
    note = el("p", said, class_="dim") if said else None
    if len(rows) <= open_ + 3:
        return el("div", table(header, rows, 6), note)
    rest = folded(f"{many(len(rows) - open_, 'namespace')} more, all equal", table(header, rows[open_:], 6), class_="print")
    return el("div", table(header, rows[:open_], 6), rest, note)


def _row(name: str, row: Mapping[str, int]) -> tuple[object, ...]:
    delta = row["target"] - row["source"]
    marked = [el("b", f"{row[kind]:,}", class_="bad") if row[kind] else 0 for kind in ("missing", "extra", "changed")]
    return namespace(name), row["source"], row["target"], el("b", signed(delta), class_="bad") if delta else 0, *marked


def _differs(row: Mapping[str, int]) -> bool:
    return bool(row["missing"] or row["extra"] or row["changed"] or row["source"] != row["target"])
