"""Search quality: what each side finds of the exact answers, beside each other, down to the answers of the worst queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.verify.report import charts
from migrator.verify.report.figures import many, small
from migrator.verify.report.html import NONE, Html, card, code, el, facts, get, join, legend, namespace, outside, section, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ANSWERS = 10
_SIDES = ("source", "target")


def search(found: Mapping[str, Any] | None, proof: float | None = None) -> Html | None:
    """Return the search quality of a result, None when it was not measured. ``proof`` is when the result's own proof came to its end."""
    if not found:
        return None
    k = found.get("k", 0)
    queries = (
        f"{many(found.get('queries') or 0, 'query', 'queries')} {'from a file' if found.get('queries_from') == 'file' else 'taken from the stored vectors'}"
    )
    where = ", with the filter " if found.get("filter") else ""
    lead = f"{queries}{where}{found.get('filter') or ''}. The truth is computed by brute force over the data copied, so each side is judged by itself."
    verdict = el("p", _tag(found), " ", _judged(found, k))
    reasons = [el("p", f"The {side} could not be searched: ", outside(why)) for side, why in (found.get("unsearchable") or {}).items()]
    if proof is not None and found.get("proof_finished") not in (None, proof):
        reasons.append(el("p", "It was measured before the proof of this report was made."))
    boxes = el("div", _recall(found, k), _measured(found, k), class_="grid")
    notes = [el("p", outside(get(note, "message") or note), class_="dim") for note in found.get("findings") or ()]
    return section("Search quality", verdict, *reasons, boxes, _namespaces(found.get("namespaces") or {}, k), *notes, _answers(found), lead=lead)


def _tag(found: Mapping[str, Any]) -> Html:
    if found.get("judged") is False:
        return el("span", "not judged", class_="tag changed")
    passed = found.get("verdict") == "pass"
    return el("span", "pass" if passed else "fail", class_=f"tag {'good' if passed else 'missing'}")


def _judged(found: Mapping[str, Any], k: int) -> str:
    means = [f"{side} {mean:.4f}" for side in _SIDES if (mean := get(found, "recall", side, "mean")) is not None]
    threshold = found.get("threshold")
    said = f"Mean recall@{k}: {', '.join(means) or 'not measured'}"
    reason = f" {str(found['reason']).rstrip('.')}." if found.get("reason") else ""
    return (f"{said}. The threshold is {threshold:g}." if threshold is not None else f"{said}.") + reason


def _recall(found: Mapping[str, Any], k: int) -> Html:
    kinds = (("mean", "mean"), ("p05", "worst twentieth (p05)"), ("min", "worst query"))
    values = [(said, *((get(found, "recall", side, name)) for side in _SIDES)) for name, said in kinds]
    rows = [(said, ours or 0.0, theirs or 0.0) for said, ours, theirs in values]
    words = [" / ".join(NONE if value is None else f"{value:.3f}" for value in (ours, theirs)) for _, ours, theirs in values]
    means = (get(found, "recall", side, "mean") for side in _SIDES)
    description = "Mean recall of {} and {}.".format(
        *(f"{side} {'not measured' if mean is None else small(mean)}" for side, mean in zip(_SIDES, means, strict=True))
    )
    chart = charts.pairs(rows, words, f"Recall@{k}", description, mark=found.get("threshold"), most=1.0)
    return card(legend(("source", "source"), ("target", "target"), ("mark", "threshold")), chart, title=f"Recall@{k} against exact answers")


def _measured(found: Mapping[str, Any], k: int) -> Html:
    drift, overlap = found.get("score_drift") or {}, found.get("overlap")
    rows: list[tuple[object, object]] = [
        ("metric", found.get("metric")),
        (f"overlap of both sides' first {k}", None if overlap is None else f"{overlap:.4f}"),
        ("score drift, mean", _small(drift.get("mean"))),
        ("score drift, largest", _small(drift.get("max"))),
        *((f"latency of the {side}, {name}", _milliseconds(get(found, "latency_ms", side, name))) for side in _SIDES for name in ("p50", "p95")),
        ("records the truth was computed over", get(found, "truth", "records")),
    ]
    return card(facts(rows), title="Measured beside it")


def _small(number: float | None) -> str | None:
    return None if number is None else small(number)


def _milliseconds(number: float | None) -> str | None:
    return None if number is None else f"{number:,.1f} ms"


def _namespaces(found: Mapping[str, Mapping[str, Any]], k: int) -> Html | None:
    found = {name: row for name, row in found.items() if row}
    if len(found) < 2:
        return None
    order = sorted(
        found, key=lambda name: min(value for side in _SIDES if (value := found[name].get(f"recall_{side}")) is not None) if _any(found[name]) else 2.0
    )
    figures = ("recall_source", "recall_target", "overlap")
    rows = [(namespace(name), found[name].get("queries"), *(_four(found[name].get(figure)) for figure in figures)) for name in order[:50]]
    return table(("namespace", "queries", f"recall@{k}, source", f"recall@{k}, target", "overlap"), rows, 4)


def _any(row: Mapping[str, Any]) -> bool:
    return any(row.get(f"recall_{side}") is not None for side in _SIDES)


def _four(number: float | None) -> str | None:
    return None if number is None else f"{number:.4f}"


def _answers(found: Mapping[str, Any]) -> Html | None:
    """Return the answers of the worst queries, exact, source and target side by side."""
    answers = found.get("answers") or []
    if not answers:
        return None
    shown = [el("details", _asked(answer), _side_by_side(answer), class_="print") for answer in answers[:ANSWERS]]
    lead = el("p", f"{len(shown):,} of the worst queries; a hit that is not among the exact answers is marked.", class_="dim")
    return el("div", el("h3", "Answers side by side"), lead, *shown)


def _asked(answer: Mapping[str, Any]) -> Html:
    recalls = ", ".join(f"{side} {value:.2f}" for side in _SIDES if (value := answer.get(f"recall_{side}")) is not None)
    where = join([" in ", namespace(answer.get("namespace") or "")])
    return el("summary", code(answer.get("query")), where, f": recall {recalls}" if recalls else None)


def _side_by_side(answer: Mapping[str, Any]) -> Html:
    exact: Sequence[Mapping[str, Any]] = answer.get("exact") or []
    known = {hit.get("id") for hit in exact}
    lists = [exact, *(answer.get(side) or [] for side in _SIDES)]
    rows = ((place + 1, *(_hit(hits[place], known) if place < len(hits) else "" for hits in lists)) for place in range(max(map(len, lists), default=0)))
    return table(("place", "exact", *_SIDES), rows)


def _hit(hit: Mapping[str, Any], known: set[str | None]) -> Html:
    score = f" {hit['score']:.4f}" if isinstance(hit.get("score"), (int, float)) else ""
    return el("span", code(hit.get("id", NONE)), el("small", score), class_=None if hit.get("id") in known else "bad")
