"""What a proof comes to: the verdict, the counts behind it, and the result file that scripts and pages read."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from migrator.configs import to_data
from migrator.connectors import opened_source
from migrator.errors import MigratorError
from migrator.ledger import passes, progress
from migrator.ledger import runs as rows
from migrator.model import Counts
from migrator.runs import batches, lag, reports, scopes, searches, technical

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from migrator.ledger import Ledger
    from migrator.model import Rejected, Scope
    from migrator.runs.context import Attempt
    from migrator.verify.comparison import Comparison

LISTED_REJECTED = 1_000
SHORTFALLS = ("source_changed", "scan_incomplete")
"""Findings that keep a run from being proven although its records are equal on both sides."""


def conclude(attempt: Attempt, found: Comparison, scope: Scope) -> str:
    """Judge the comparison, write ``result.json`` and ``report.html`` into the run's folder, return the verdict."""
    row = rows.get(attempt.ledger, attempt.run)
    rejected = _rejected(attempt, found, row["kind"])
    counts = _counts(attempt, found, row["kind"])
    shortfall = _shortfall(attempt)
    followed = _followed(attempt)
    verdict = _verdict(found, counts, merge=attempt.plan.merge, whole=not shortfall)
    answer = _answer(attempt, found, counts) | {"verdict": verdict, "rejected": rejected} | _compared(found, scope)
    answer["findings"] = (_mismatch(attempt) if verdict == "differs" else []) + answer["findings"] + shortfall + followed.pop("findings", [])
    answer["findings"] += [*_merged(attempt), *_written(attempt), *_meanwhile(found)]
    answer |= followed | _kept(attempt.folder)
    rows.set_facts(attempt.ledger, attempt.lease, counts=counts.to_json())
    save(attempt.ledger, attempt.folder, answer)
    write_rejected(attempt.ledger, attempt.run, attempt.folder)
    attempt.log("info" if verdict == "proven" else "error", sentence(answer))
    return verdict


def _kept(folder: Path) -> dict[str, Any]:
    """Return what a new proof does not take back: the last search, None before the first, and a cut-over."""
    known = load(folder) or {}
    return {"search": searches.load(folder)} | {name: known[name] for name in ("cutover",) if name in known}


def _followed(attempt: Attempt) -> dict[str, Any]:
    """Return what the passes of a run that follows its source found, and the last of them."""
    if attempt.plan.follow is None:
        return {}
    ledger, run = attempt.ledger, attempt.run
    return {
        "follow": lag.shown(ledger, run),
        "passes": passes.history(ledger, run, lag.LISTED),
        "findings": lag.findings(ledger, run),
    }


def _answer(attempt: Attempt, found: Comparison, counts: Counts) -> dict[str, Any]:
    """Return the result without what the judgement adds."""
    row = rows.get(attempt.ledger, attempt.run)
    seconds = row["active_seconds"] + time.time() - row["started"]
    return {
        "run": attempt.run,
        "kind": row["kind"],
        "counts": counts.to_json(),
        "namespaces": {name: asdict(counted) for name, counted in found.namespaces().items()},
        "differences": [difference.to_json() for difference in found.listed],
        "differences_total": sum(number for (_, kind), number in found.found.items() if kind != "extra" or not attempt.plan.merge),
        "digests": found.fingerprints,
        "compared_with": "source" if found.source_read else "recorded digests",
        "findings": [asdict(finding) for finding in attempt.plan.findings],
        "seconds": seconds,
        "phases": _durations(attempt.phases),
        "verified_batches": batches.counted(attempt),
        "records_per_second": counts.scanned / seconds if seconds else 0.0,
        "finished": time.time(),
        "plan": to_data(attempt.plan),
        "report": str(attempt.folder / "report.html"),
        "repairs": json.loads(row["facts"]).get("repairs", []),
        "technical": technical.collected(attempt.ledger, attempt.run, attempt.plan),
    }


def _verdict(found: Comparison, counts: Counts, *, merge: bool, whole: bool) -> str:
    """Return ``proven`` only when nothing at all speaks against it; ``merge`` allows records that only the target has."""
    different = found.count("missing") + found.count("changed") + found.count("duplicate")
    if not merge:
        unequal = found.fingerprints["source"] != found.fingerprints["target"]
        different += found.count("extra") + (unequal and not found.within)
    if different:
        return "differs"
    return "proven" if whole and counts.balanced and not counts.rejected else "incomplete"


def _compared(found: Comparison, scope: Scope) -> dict[str, Any]:
    """Return how much was compared, and how exactly."""
    said = {
        "level": scope.level,
        "sample": scope.sample,
        "compared": sum(digest.count for digest in found.source.values()),
        "sentence": scopes.sentence(scope, found),
    }
    allowed = {**asdict(scope.tolerance), "most": scope.tolerance.most, "within": found.within, "largest": found.largest_within}
    return {"scope": said, "tolerance": allowed if scope.tolerance else None}


def _meanwhile(found: Comparison) -> list[dict[str, Any]]:
    """Return findings about what happened to the two sides while they were compared: said, and not blamed."""
    said = {}
    for side in found.changed:
        said[f"{side}_changed_meanwhile"] = f"the {side} was written to while it was compared: what was read is what was there at that moment"
    if found.settled:
        said["settled"] = f"{found.settled:,} records differed when they were read and no longer when they were looked up: written meanwhile, or shown late"
    if found.unlooked:
        said["not_looked_up"] = f"{found.unlooked:,} differences are reported as they were read: there were too many to look each of them up again"
    fix = {"not_looked_up": "", "settled": ""}
    again = "stop its writers and verify again, if that matters"
    return [{"severity": "info", "code": code, "message": message, "fix": fix.get(code, again)} for code, message in said.items()]


def _durations(entered: Mapping[str, float]) -> dict[str, float]:
    """Return how many seconds the last attempt spent in each phase."""
    ends = [*list(entered.values())[1:], time.time()]
    return {name: end - start for (name, start), end in zip(entered.items(), ends, strict=True)}


def _counts(attempt: Attempt, found: Comparison, kind: str) -> Counts:
    if kind != "verify":
        return progress.counts(attempt.ledger, attempt.run)
    read, unreadable = sum(digest.count for digest in found.source.values()), len(_unreadable(attempt, found))
    different = found.count("missing") + found.count("changed")
    return Counts(read + unreadable, read - different, unreadable, different, 0)


def _rejected(attempt: Attempt, found: Comparison, kind: str) -> list[dict[str, Any]]:
    if kind != "verify":
        return progress.rejected(attempt.ledger, attempt.run, LISTED_REJECTED)
    shown = ("namespace", "id", "code", "field", "message")
    return [{name: getattr(record, name) for name in shown} for record in _unreadable(attempt, found)[:LISTED_REJECTED]]


def _unreadable(attempt: Attempt, found: Comparison) -> list[Rejected]:
    """Return the source's rows that cannot be compared: nothing is known of their copies, so nothing is proven."""
    chosen = attempt.plan.selection.namespaces
    return [record for record in found.unreadable if chosen is None or record.namespace in chosen]


def _shortfall(attempt: Attempt) -> list[dict[str, Any]]:
    """Return findings when the source is another one by now, or reading it gave another number of records than it counts itself."""
    facts = rows.facts(attempt.ledger, attempt.run)
    found = {}
    if facts.get("changed"):
        found["source_changed"] = "the source changed while it was read: what was copied is what was there, not what is there now"
    if "counted" in facts and facts["counted"] != facts["read"]:
        found["scan_incomplete"] = f"the source counts {facts['counted']:,} records, but reading it gave {facts['read']:,}"
    fix = "stop writes to the source and start a new run"
    return [{"severity": "lossy", "code": code, "message": message, "fix": fix} for code, message in found.items()]


def _merged(attempt: Attempt) -> list[dict[str, Any]]:
    """Return the findings about namespaces that values of several types named, unless the plan saw them already."""
    planned = {finding.message for finding in attempt.plan.findings}
    messages = rows.facts(attempt.ledger, attempt.run).get("merged", [])
    return [{"severity": "info", "code": "namespaces_merged", "message": message, "fix": ""} for message in messages if message not in planned]


def _written(attempt: Attempt) -> list[dict[str, Any]]:
    """Return a finding when others wrote to the source while it was read: it explains differences, and why the source was read twice."""
    if not rows.facts(attempt.ledger, attempt.run).get("written"):
        return []
    message = "the source was written to while it was read, so the target was compared with what the source held after that"
    return [{"severity": "info", "code": "source_written", "message": message, "fix": "follow the changes (--follow), or stop its writers and copy anew"}]


def _mismatch(attempt: Attempt) -> list[dict[str, Any]]:
    """Return a finding when the two sides, looked at once more, have vectors of different lengths: it explains every other difference."""
    found = []
    for endpoint in (attempt.plan.source, attempt.plan.target):
        try:
            with opened_source(endpoint) as opened:
                found.append(opened.describe().dimension)
        except MigratorError:  # the comparison stands without its explanation
            return []
    source, target = found
    if source == target or not (source and target):  # an empty collection may not know its own
        return []
    message = f"the source's vectors have {source:,} dimensions and the target's {target:,}, so no record can be equal"
    fix = f"compare with a collection of {source:,} dimensions, or copy anew into one"
    return [{"severity": "blocking", "code": "dimension_differs", "message": message, "fix": fix}]


def save(ledger: Ledger, folder: Path, result: dict[str, Any]) -> None:
    """Write the result and its report, and note their fingerprint in the ledger; each file appears whole or not at all."""
    reports.publish(ledger, folder, result)


def load(folder: Path) -> dict[str, Any] | None:
    """Return the saved result of a run, with that of its last search, or None before its first proof."""
    try:
        found = dict(json.loads((folder / "result.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    return found | {"search": searches.load(folder)}


def sentence(result: dict[str, Any]) -> str:
    """Return the verdict as one sentence."""
    counts = result["counts"]
    if result["verdict"] == "proven":
        scope = result["scope"]
        if scope["level"] != "content" or scope["sample"] or result["tolerance"]:
            return f"nothing differs as far as was looked: {scope['sentence']}"
        return f"proven: {counts['copied']:,} records are in the target with equal digests ({result['digests']['target'][:12]})"
    if result["verdict"] == "differs":
        return f"differs: {result['differences_total']:,} records are not the same on both sides"
    if not counts["rejected"]:
        return f"incomplete: {next(finding['message'] for finding in reversed(result['findings']) if finding['code'] in SHORTFALLS)}"
    return f"incomplete: {counts['rejected']:,} of {counts['scanned']:,} records were rejected; everything else is equal"


def write_rejected(ledger: Ledger, run: str, folder: Path) -> Path | None:
    """Write every rejected record with its raw content to ``rejected.jsonl``, mode 0600; None when there are none."""
    if ledger.row("SELECT 1 FROM rejected WHERE run=? LIMIT 1", (run,)) is None:
        return None
    path = folder / "rejected.jsonl"
    staged = folder / "rejected.jsonl.tmp"
    with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - opened by descriptor for its mode
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in progress.rejected(ledger, run, -1, raw=True))
    staged.replace(path)
    return path
