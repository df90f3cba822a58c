"""What the answers of both sides come to: recall against the truth, overlap, score drift, latency, and the verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.records import matrix
from migrator.verify.search.truth import closeness, slack
from migrator.verify.sides import LOOKED_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from migrator.model import Metric
    from migrator.verify.search.truth import Truth

Hits = list[tuple[str, float]]
MARGIN = 0.01
"""By how much a target may find less than its source: a graph built anew is another graph."""


@dataclass
class Answers:
    """What one side answered, and how long each question took."""

    hits: list[Hits] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def recalls(truth: Truth, answers: Answers, fetch: Callable[[Sequence[str], str], pa.RecordBatch]) -> list[float]:
    """Return for each query the share of its exact answer that was found; NaN where no record could have been.

    An id counts when it is among the exact answer, or when its exact score ties with the last of it. ``fetch`` looks up, by the target's
    ids and namespace, the records the truth is over.
    """
    others: dict[str, dict[str, list[int]]] = {}
    exact = [dict(truth.nearest(place)) for place in range(len(truth.queries))]
    found = [0] * len(exact)
    for place, hits in enumerate(answers.hits):
        for name in list(dict.fromkeys(name for name, _ in hits))[: truth.k]:
            if name in exact[place]:
                found[place] += 1
            else:
                others.setdefault(truth.queries[place].namespace or "", {}).setdefault(name, []).append(place)
    for namespace, asked in others.items():
        names = list(asked)
        for start in range(0, len(names), LOOKED_UP):
            for place in _ties(truth, fetch(names[start : start + LOOKED_UP], namespace), asked, exact):
                found[place] += 1
    return [min(count, len(right)) / len(right) if right else math.nan for count, right in zip(found, exact, strict=True)]


def _ties(truth: Truth, batch: pa.RecordBatch, asked: Mapping[str, list[int]], exact: Sequence[Mapping[str, float]]) -> list[int]:
    """Return the queries, once for each record, for which a record of ``batch`` is as near as the last of the exact answer."""
    found = []
    values, metadata = matrix(batch).astype(np.float64), batch.column("metadata").to_pylist()
    for row, name in enumerate(batch.column("id").to_pylist()):
        for place in asked.get(name, ()):
            query = truth.queries[place].vector.astype(np.float64)
            if not exact[place] or not truth.matches(place, metadata[row]):
                continue
            last = min(exact[place].values())
            score = float(closeness(truth.metric, query[None, :], values[row : row + 1])[0, 0])
            if score >= last - slack(truth.metric, query, values[row], last):
                found.append(place)
    return found


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Return mean, fifth percentile and least of the recalls that are numbers."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return None
    return {"mean": float(np.mean(known)), "p05": float(np.percentile(known, 5)), "min": min(known)}


def overlaps(source: Answers, target: Answers) -> list[float]:
    """Return for each query the share of ids that both sides name; NaN where neither names any."""
    found = []
    for ours, theirs in zip(source.hits, target.hits, strict=True):
        left, right = {name for name, _ in ours}, {name for name, _ in theirs}
        found.append(len(left & right) / max(len(left), len(right)) if left or right else math.nan)
    return found


def drift(source: Answers, target: Answers) -> dict[str, float] | None:
    """Return mean and maximum of how far the scores of the ids that both sides name are apart; None where there are none to compare."""
    apart = []
    for ours, theirs in zip(source.hits, target.hits, strict=True):
        known = dict(ours)
        apart += [abs(known[name] - score) for name, score in theirs if name in known]
    real = [value for value in apart if math.isfinite(value)]
    return {"mean": float(np.mean(real)), "max": max(real)} if real else None


def latency(answers: Answers) -> dict[str, float] | None:
    """Return the median and 95th percentile of the milliseconds a question took."""
    if not answers.seconds:
        return None
    return {name: float(np.percentile(answers.seconds, share)) * 1000 for name, share in (("p50", 50), ("p95", 95))}


def judge(target: Mapping[str, float] | None, source: Mapping[str, float] | None, threshold: float, k: int) -> tuple[str, str]:
    """Return the verdict and its reason as a sentence. Each side's recall is against the truth, never against the other."""
    if target is None:
        return "not judged", "the target has no search that could be asked"
    said = f"the target finds {target['mean']:.1%} of the true nearest {k}"
    if target["mean"] >= threshold:
        return "pass", f"{said}; {threshold:.1%} was asked for"
    if source is None:
        return "fail", f"{said}; {threshold:.1%} was asked for, and the source cannot be asked what it found"
    if target["mean"] >= source["mean"] - MARGIN:
        return "pass", f"{said}, less than the {threshold:.1%} asked for, but no less than the source's own search, which finds {source['mean']:.1%}"
    return "fail", f"{said}; {threshold:.1%} was asked for, and the source's own search finds {source['mean']:.1%}"


def mean(values: Sequence[float]) -> float | None:
    """Return the mean of the values that are numbers, None where none is."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else None


def shown(metric: Metric, hits: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """Return the exact answer for people: scores as stores give them."""
    return [{"id": name, "score": -score if metric == "euclidean" else score} for name, score in hits]


def listed(hits: Hits) -> list[dict[str, Any]]:
    """Return a store's answer for people."""
    return [{"id": name, "score": score if math.isfinite(score) else None} for name, score in hits]
