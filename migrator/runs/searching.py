"""The search on a finished run: both sides asked through their own search, the exact truth computed, and each side held to it.

The truth is over the target read back where its digest is the one that the run's proof found equal to the source's. Otherwise it is over
what the source holds, named as the run names it: a lossy copy must not be judged by what the loss left.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from migrator.connectors import opened_source
from migrator.errors import ConfigError
from migrator.failpoints import failpoint
from migrator.ledger import runs as rows
from migrator.model import Finding
from migrator.runs import asked_for, asking, readings, result, searches
from migrator.runs.asking import Asked, UnsearchableError
from migrator.runs.search_result import conclusion
from migrator.verify.search.truth import Truth

if TYPE_CHECKING:
    from migrator.model import Collection, Metric
    from migrator.protocols import Source
    from migrator.runs.context import Attempt
    from migrator.runs.readings import Reading
    from migrator.runs.searches import SearchOptions
    from migrator.verify.search.measures import Answers
    from migrator.verify.search.queries import Query


class _NotWhatWasProvenError(Exception):
    """The target read back is not what the proof saw."""


@dataclass
class Search:
    """What one search knows so far."""

    attempt: Attempt
    kind: str
    options: SearchOptions
    proof: dict[str, Any]
    target: Source
    source: Source | None
    began: float = field(default_factory=time.time)
    collections: dict[str, Collection] = field(default_factory=dict)
    unsearchable: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    answers: dict[str, Answers] = field(default_factory=dict)
    truths: dict[str, tuple[Truth, Reading]] = field(default_factory=dict)
    """Side -> what it is held to, and where that was read."""

    @property
    def metric(self) -> Metric:
        """The one by which the source was searched; the target's where the source has none."""
        known = [found.metric for side in ("source", "target") if (found := self.collections.get(side)) is not None and found.metric is not None]
        if not known:
            raise ConfigError("neither side says by which metric it is searched", fix="tell the source's with metric=", code="no_metric")
        return known[0]


def run(attempt: Attempt) -> str:
    """Search, judge, save ``search.json``; return the status that the run had before."""
    kept = rows.facts(attempt.ledger, attempt.run)["search"]
    proof = result.load(attempt.folder)
    if proof is None:
        raise ConfigError(f"run {attempt.run} has not been proven yet", fix=f"prove it: python -m migrator verify {attempt.run}", code="no_result")
    options = searches.SearchOptions.from_json(kept["options"])
    kind = str(rows.get(attempt.ledger, attempt.run)["kind"])
    attempt.phase("searching", f"asking both sides for the nearest {options.k} of stored vectors and comparing all records")
    with ExitStack() as stack:
        target = stack.enter_context(attempt.opening("opening the target", lambda: opened_source(attempt.plan.target)))
        search = Search(attempt, kind, options, proof, target, None)
        _open_source(search, stack)
        _measure(search)
        found = conclusion(search)
    attempt.poll()
    attempt.raise_if_stopped()
    searches.save(attempt.folder, found)
    failpoint("search_saved")
    whole = result.load(attempt.folder)
    if whole is not None:
        result.save(attempt.ledger, attempt.folder, whole)
    attempt.log("info" if found["verdict"] == "pass" else "error", f"search: {found['verdict']}: {found['reason']}")
    return attempt.standing


def _open_source(search: Search, stack: ExitStack) -> None:
    attempt = search.attempt
    search.collections["target"] = attempt.patiently("looking at the target", search.target.describe)
    try:
        source = stack.enter_context(attempt.opening("opening the source", lambda: opened_source(attempt.plan.source)))
        search.collections["source"] = attempt.patiently("looking at the source", source.describe)
    except asking.REFUSALS as error:
        search.unsearchable["source"] = error.message
    else:
        search.source = source


def _measure(search: Search) -> None:
    """Ask both sides and compute the truth; once more, against the source, when the target is not what was proven."""
    trusted = _proven_equal(search.proof)
    if not trusted:
        of_source = "the exact answers are those of the source's records"
        of_both = "what it could not copy counts as nothing that was to be found: each side is held to its own records"
        message = f"the run is not proven equal in content, so {of_both if search.attempt.plan.merge else of_source}"
        search.findings.append(Finding("info", "run_not_proven", message, f"repair it or prove it: python -m migrator verify {search.attempt.run}"))
    try:
        _once(search, trusted=trusted)
    except _NotWhatWasProvenError:
        message = "the target is not what the run's proof found any more, so the exact answers are those of the source's records"
        search.findings.append(Finding("lossy", "target_changed", message, f"prove the run again: python -m migrator verify {search.attempt.run}"))
        search.attempt.log("warning", message)
        search.answers, search.truths = {}, {}
        _once(search, trusted=False)


def _proven_equal(proof: dict[str, Any]) -> bool:
    """Return whether the last proof compared the contents of all records and found them equal."""
    scope = proof.get("scope") or {}
    return proof["verdict"] == "proven" and scope.get("level", "content") == "content" and not scope.get("sample")


def _once(search: Search, *, trusted: bool) -> None:
    attempt, options = search.attempt, search.options
    merged = attempt.plan.merge
    if merged and search.proof["verdict"] == "differs":
        message = "the run differs, and its target holds records of others too: what its search should find is not known"
        raise ConfigError(message, fix=f"see which records differ, and repair them: python -m migrator status {attempt.run}", code="search_unclear")
    of_target = trusted or merged
    sides = {"target": _reading(search, "target")} if of_target else {}
    if not of_target or (merged and search.source is not None):
        sides["source"] = _reading(search, "source")
    first = sides["target" if of_target else "source"]
    steps = sum(side.records for side in sides.values()) + (0 if options.queries else first.records)
    search.queries = asked_for.queries(search, first)
    weight = max(1, steps // (8 * len(search.queries)))
    rows.update(attempt.ledger, attempt.lease, to_verify=steps + 2 * weight * len(search.queries))
    _ask(search, weight)
    for reading in sides.values():
        truth = _truth(search, reading, proven=reading.side == "target" and trusted and not merged)
        search.truths |= {side: (truth, reading) for side in ("source", "target") if side == reading.side or len(sides) == 1}
    search.truths.setdefault("source", search.truths["target"])


def _reading(search: Search, side: str) -> Reading:
    names = search.options.namespaces
    if side == "target":
        return readings.of_target(search.attempt, search.target, search.kind, names)
    if search.source is None:
        message = f"the run's target is not proven to hold what the source does, and the source cannot be read: {search.unsearchable['source']}"
        raise ConfigError(message, fix="make the source readable again", code="no_truth")
    known = {name: counted["source"] for name, counted in search.proof["namespaces"].items()}
    return readings.of_source(search.attempt, search.source, known, names)


def _ask(search: Search, weight: int) -> None:
    """Ask each side that can be asked; one after the other, so that neither slows the other down."""
    for side in ("source", "target"):
        if side in search.unsearchable:
            continue
        try:
            search.answers[side] = asking.answers(search.attempt, _side(search, side), search.queries, search.options.k, weight)
        except UnsearchableError as error:
            search.unsearchable[side] = str(error)
    if not search.answers:
        reasons = "; ".join(f"the {side}: {reason}" for side, reason in search.unsearchable.items())
        raise ConfigError(f"neither side can be searched: {reasons}", fix="ask without the filter, or of another run", code="nothing_to_search")


def _side(search: Search, side: str) -> Asked:
    plan = search.attempt.plan
    if side == "target":
        return asking.target_side(search.target, plan.target.connector, plan.selection.filter if search.kind == "verify" else None)
    if search.source is None:
        raise UnsearchableError(search.unsearchable["source"])
    collection = search.collections["source"]
    return asking.source_side(search.source, replace(collection, metric=collection.metric or search.metric), plan)


def _truth(search: Search, reading: Reading, *, proven: bool) -> Truth:
    """Return the exact answers over all records of ``reading``; it must be what the proof saw if it is to be ``proven``."""
    truth, seen = Truth(search.queries, search.options.k, search.metric), readings.Seen()

    def visit(batch: Any) -> None:
        truth.add(batch)
        if proven:
            seen.add(batch)

    reading.each(search.attempt, visit)
    if proven and not _as_proven(search, seen):
        raise _NotWhatWasProvenError
    return truth


def _as_proven(search: Search, seen: readings.Seen) -> bool:
    names = search.options.namespaces
    if names is None:
        return bool(seen.fingerprint == search.proof["digests"]["target"])
    counted = search.proof["namespaces"]
    return all((seen.namespaces[name].count if name in seen.namespaces else 0) == counted.get(name, {"target": 0})["target"] for name in names)
