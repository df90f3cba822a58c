"""What a search comes to: recall of each side, verdict, and the figures behind it, as the result file has them."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from migrator.errors import ConfigError
from migrator.model import Finding
from migrator.verify.search import measures

if TYPE_CHECKING:
    from migrator.runs.searching import Search

LISTED = 50
"""Answers kept in the result, the worst ones."""
SIDES = ("source", "target")


def conclusion(search: Search) -> dict[str, Any]:
    """Return the result of a search. Raise ``ConfigError`` when no query has any record to find."""
    options, recalled = search.options, _recalled(search)
    target_truth, reading = search.truths["target"]
    recall = {side: measures.spread(recalled[side]) if side in recalled else None for side in SIDES}
    if not any(recall.values()):
        raise ConfigError("no record matches the filter, so there is nothing to find", fix="correct the filter", code="nothing_to_search")
    verdict, reason = measures.judge(recall["target"], recall["source"], options.threshold, options.k)
    _notice(search, recalled)
    overlap = measures.overlaps(search.answers["source"], search.answers["target"]) if len(search.answers) > 1 else []
    return {
        "verdict": verdict,
        "reason": reason,
        "judged": recall["target"] is not None,
        **_asked(search),
        "recall": recall,
        "unsearchable": search.unsearchable,
        "overlap": measures.mean(overlap),
        "score_drift": _drift(search),
        "latency_ms": {side: measures.latency(search.answers[side]) if side in search.answers else None for side in SIDES},
        "namespaces": _namespaces(search, recalled, overlap),
        "answers": _answers(search, recalled),
        "truth": {"records": target_truth.records, "read_from": reading.side},
        "seconds": time.time() - search.began,
        "finished": time.time(),
        "findings": [asdict(finding) for finding in search.findings],
    }


def _asked(search: Search) -> dict[str, Any]:
    """Return what was asked, and of which proof's run."""
    options = search.options
    return {
        "run": search.attempt.run,
        "proof_finished": search.proof["finished"],
        "k": options.k,
        "threshold": options.threshold,
        "margin": measures.MARGIN,
        "metric": search.metric,
        "queries": len(search.queries),
        "queries_from": "file" if options.queries else "sample",
        "filter": options.filter,
    }


def _recalled(search: Search) -> dict[str, list[float]]:
    """Return the recall of each query on each side that was asked."""
    found = {}
    for side, answers in search.answers.items():
        truth, reading = search.truths[side]
        found[side] = search.attempt.patiently("looking answers up", lambda: measures.recalls(truth, answers, reading.fetch))  # noqa: B023 - called at once
    return found


def _drift(search: Search) -> dict[str, float] | None:
    """Return how far the scores are apart where both sides measure alike."""
    if len(search.answers) < len(SIDES) or len(_metrics(search)) > 1:
        return None
    return measures.drift(search.answers["source"], search.answers["target"])


def _metrics(search: Search) -> dict[str, str]:
    """Return each metric with the side that has it."""
    return {found.metric: side for side, found in search.collections.items() if found.metric is not None}


def _notice(search: Search, recalled: dict[str, list[float]]) -> None:
    """Add the findings that explain the figures."""
    found = search.findings
    if len(metrics := _metrics(search)) > 1:
        said = " and ".join(f"the {side} by {metric}" for metric, side in metrics.items())
        message = f"{said}: the exact answers are by {search.metric}, and the sides' scores are not compared"
        found.append(Finding("lossy", "metric_differs", message, "make a target with the source's metric"))
    for side, reason in search.unsearchable.items():
        found.append(Finding("info", f"{side}_unsearchable", f"the {side} is not asked: {reason}"))
    truth = search.truths["target"][0]
    if none := sum(not truth.candidates(place) for place in range(len(search.queries))):
        message = f"{none:,} of {len(search.queries):,} queries have no record to find and do not count"
        found.append(Finding("info", "queries_without_matches", message, "correct their filter"))
    for side, answers in search.answers.items():
        held = search.truths[side][0]
        short = sum(len(hits) < min(held.k, held.candidates(place)) for place, hits in enumerate(answers.hits))
        if short:
            message = f"{short:,} answers of the {side} name fewer records than match: its search leaves some out, or takes the filter for something else"
            found.append(Finding("lossy", "answers_short", message, "look at the worst answers"))
    found += _poor_namespaces(search, recalled)


def _poor_namespaces(search: Search, recalled: dict[str, list[float]]) -> list[Finding]:
    """Return a finding for namespaces in which the target would not have passed: a mean over all can hide them."""
    names = {query.namespace or "" for query in search.queries}
    if "target" not in recalled or len(names) < 2:
        return []
    poor = []
    for name in sorted(names):
        mine = {
            side: measures.spread([value for value, query in zip(values, search.queries, strict=True) if query.namespace == name])
            for side, values in recalled.items()
        }
        if mine["target"] is not None and measures.judge(mine["target"], mine.get("source"), search.options.threshold, search.options.k)[0] == "fail":
            poor.append(name)
    if not poor:
        return []
    shown = ", ".join(repr(name) for name in poor[:5]) + (f" and {len(poor) - 5:,} more" if len(poor) > 5 else "")
    return [Finding("lossy", "namespaces_below", f"taken by itself, the target would fail in {shown}", "look at the figures of each namespace")]


def _namespaces(search: Search, recalled: dict[str, list[float]], overlap: list[float]) -> dict[str, dict[str, Any]]:
    places: dict[str, list[int]] = {}
    for place, query in enumerate(search.queries):
        places.setdefault(query.namespace or "", []).append(place)

    def mean(values: list[float] | None, mine: list[int]) -> float | None:
        return measures.mean([values[place] for place in mine]) if values else None

    return {
        name: {
            "queries": len(mine),
            "recall_source": mean(recalled.get("source"), mine),
            "recall_target": mean(recalled.get("target"), mine),
            "overlap": mean(overlap, mine),
        }
        for name, mine in sorted(places.items())
    }


def _answers(search: Search, recalled: dict[str, list[float]]) -> list[dict[str, Any]]:
    """Return the worst answers, the target's first."""

    def key(place: int) -> tuple[float, float, int]:
        ours, theirs = (recalled[side][place] if side in recalled else 1.0 for side in ("target", "source"))
        return (2.0 if math.isnan(ours) else ours, 2.0 if math.isnan(theirs) else theirs, place)

    truth = search.truths["target"][0]
    return [
        {
            "namespace": search.queries[place].namespace,
            "query": search.queries[place].name,
            "exact": measures.shown(search.metric, truth.nearest(place)),
            **{side: measures.listed(search.answers[side].hits[place]) if side in search.answers else None for side in SIDES},
            **{f"recall_{side}": _number(recalled[side][place]) if side in recalled else None for side in SIDES},
        }
        for place in sorted(range(len(search.queries)), key=key)[:LISTED]
    ]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
