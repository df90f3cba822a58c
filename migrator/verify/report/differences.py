"""What is not equal, record by record: the differences by class, the rejected records with their reasons, and the findings."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from migrator.verify.report import charts
from migrator.verify.report.counts import largest, of_all
from migrator.verify.report.figures import many, share, small
from migrator.verify.report.html import NONE, Html, card, code, el, legend, namespace, outside, section, shown_of, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LISTED = 200
CLASSES = ("missing", "extra", "changed")


def differences(result: Mapping[str, Any]) -> Html | None:
    """Return the differences of a result, None when there are none."""
    found, total = result["differences"], result["differences_total"]
    if not total and not found:
        return None
    parts = [el("div", _chart(result["namespaces"]), _fields(found, total), class_="grid")]
    measured = any("largest_delta" in row or "cosine" in row for row in found)
    header = ("namespace", "id", "class", "fields", *(("largest delta", "cosine") if measured else ()))
    rows = [_row(row, measured=measured) for row in found[:LISTED]]
    said = shown_of(len(rows), total, "; differences.jsonl beside this report has all")
    return section("Differences", *parts, table(header, rows, 2 if measured else 0), lead=said or f"{many(total, 'difference')}, all shown.")


def _row(row: Mapping[str, Any], *, measured: bool) -> tuple[object, ...]:
    kind = el("span", row["class"], class_=f"tag {row['class'] if row['class'] in CLASSES else 'changed'}")
    fields = ", ".join(row.get("fields") or ())
    delta, cosine = row.get("largest_delta"), row.get("cosine")
    figures = (None if delta is None else small(delta), None if cosine is None else f"{cosine:.6f}") if measured else ()
    return namespace(row["namespace"]), code(row["id"]), kind, outside(fields), *figures


def _chart(namespaces: Mapping[str, Mapping[str, int]]) -> Html | None:
    unequal = {name: row for name, row in namespaces.items() if any(row[kind] for kind in CLASSES)}
    if not unequal:
        return None
    shown = largest(unequal, lambda row: sum(row[kind] for kind in CLASSES))
    rows = [(name, {kind: row[kind] for kind in CLASSES}) for name, row in shown.items()]
    totals = {kind: sum(row[kind] for row in namespaces.values()) for kind in CLASSES}
    description = f"{', '.join(f'{number:,} {kind}' for kind, number in totals.items())} in {many(len(unequal), 'namespace')}."
    chart = charts.stacked(rows, "Differences per namespace", description)
    named = legend(*((kind, f"{number:,} {kind}") for kind, number in totals.items()))
    return card(named, chart, of_all(len(shown), len(unequal)), title="Differences per namespace")


def _fields(found: Sequence[Mapping[str, Any]], total: int) -> Html | None:
    """Return which fields differ, and in how many of the listed records."""
    counted = Counter(field for row in found for field in row.get("fields") or ())
    if not counted:
        return None
    most = [(name, {"changed": number}) for name, number in counted.most_common(charts.SHOWN)]
    description = f"{len(counted):,} fields differ, {most[0][0]} most often."
    said = shown_of(len(found), total, "; counted are the fields of these")
    note = el("p", said, class_="dim") if said else None
    return card(charts.stacked(most, "Fields that differ", description), note, title="Fields that differ, by records")


def rejected(result: Mapping[str, Any]) -> Html | None:
    """Return the records that could not be copied, or read, with the reason of each; None when there are none."""
    found, total = result["rejected"], result["counts"]["rejected"]
    if not found:
        return None
    reasons = Counter(row["code"] for row in found).most_common()
    by_reason = table(("reason", "records"), ((code(name), number) for name, number in reasons), 1) if reasons[1:] else None
    rows = ((namespace(row["namespace"]), code(row["id"]), code(row["code"]), outside(row["field"]), outside(row["message"])) for row in found[:LISTED])
    shown = min(len(found), LISTED)
    scanned = result["counts"]["scanned"]
    lead = f"{many(total, 'record')} of {scanned:,} ({share(total / scanned) if scanned else NONE})."
    lead += f" {shown:,} of {total:,} shown; rejected.jsonl beside this report has all." if shown < total else ""
    return section("Rejected records", by_reason, table(("namespace", "id", "code", "field", "reason"), rows), lead=lead)


def findings(result: Mapping[str, Any]) -> Html | None:
    """Return what was to be known, and what to do about it; None when there is nothing."""
    if not result["findings"]:
        return None
    rows = (
        (el("span", row["severity"], class_=f"tag {row['severity']}"), outside(row["message"]), outside(row.get("fix") or "")) for row in result["findings"]
    )
    return section("Findings", table(("severity", "finding", "what to do"), rows))
