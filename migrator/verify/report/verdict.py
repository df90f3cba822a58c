"""The top of the report: what was moved from where to where, the verdict in one plain sentence, and the figures that carry it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.verify.report.figures import duration, endpoint, many, minute, shorten
from migrator.verify.report.html import Html, code, el, get, join, outside

if TYPE_CHECKING:
    from collections.abc import Mapping

TITLES = {"proven": "Proven", "differs": "Not the same", "incomplete": "Incomplete"}
_SIGNS = {"proven": "✓", "differs": "✕", "incomplete": "!"}


def head(result: Mapping[str, Any]) -> Html:
    """Return the heading: both sides, the run, and when it was."""
    title = "Comparison report" if result["kind"] == "verify" else "Migration report"
    sides = el("div", _side("From", result, "source"), el("span", "→", class_="arrow"), _side("To", result, "target"), class_="sides")
    facts = [code(result["run"])]
    if owner := get(result, "technical", "owner"):
        facts.append(join(["by ", outside(owner)]))
    if started := get(result, "technical", "started"):
        facts.append(join([f"started {minute(started)}"]))
    facts.append(join([f"{'proven' if result['verdict'] == 'proven' else 'compared'} {minute(result['finished'])}"]))
    return el("header", el("p", "Vector Migrator", class_="brand"), el("h1", title), sides, el("p", *_dotted(facts), class_="dim"))


def _dotted(facts: list[Html]) -> list[object]:
    return [part for place, fact in enumerate(facts) for part in ((" · ", fact) if place else (fact,))]


def _side(label: str, result: Mapping[str, Any], side: str) -> Html:
    store, name, address = endpoint(result["plan"][side])
    facts = None
    if side == "source" and (found := get(result, "plan", "collection")):
        dimension = f"{found.get('dimension') or 0:,} dimensions" if found.get("dimension") else ""
        facts = ", ".join(fact for fact in (dimension, found.get("metric"), found.get("kind")) if fact)
    kind = f"{label} · {store}" if store else label
    return el(
        "div",
        el("span", kind, class_="dim"),
        el("b", outside(name)),
        code(shorten(address, 60)) if address else None,
        el("span", facts, class_="dim") if facts else None,
        class_="side",
    )


def banner(result: Mapping[str, Any]) -> Html:
    """Return the verdict: a word, a sentence, and what limits it."""
    verdict = result["verdict"]
    limits = [el("p", line) for line in _limits(result)]
    said = el("div", el("h2", TITLES[verdict]), el("p", sentence(result)), *limits)
    return el("div", el("span", _SIGNS[verdict], class_="sign", aria_hidden="true"), said, class_=f"verdict {verdict}")


def sentence(result: Mapping[str, Any]) -> str:
    """Return the verdict as one sentence, no wider than what was compared."""
    if result["verdict"] == "proven":
        return _proven(result)
    if result["verdict"] == "differs":
        number = result["differences_total"]
        differ = f"{many(number, 'record differs', 'records differ')} between source and target" if number else "The two sides are not equal"
        return f"{differ}. Do not cut over before they are explained."
    counts = result["counts"]
    if counts["rejected"] and result["kind"] == "verify":
        return f"{many(counts['rejected'], 'record')} of the source could not be read. What could be read is equal."
    if counts["rejected"]:
        return f"{many(counts['rejected'], 'record')} of {counts['scanned']:,} could not be copied and are listed below. What was copied is equal."
    reasons = [finding["message"] for finding in result["findings"] if finding.get("code") in {"source_changed", "scan_incomplete"}]
    return f"What was copied is equal, but {reasons[-1]}." if reasons else "Not every record of the source could be copied. What was copied is equal."


def _proven(result: Mapping[str, Any]) -> str:
    level, sample = get(result, "scope", "level") or "content", get(result, "scope", "sample")
    copied = result["counts"]["copied"]
    which = "chosen record" if _narrowed(result) else "record of the source"
    every = f"All {many(copied, which, which.replace('record', 'records'))} are" if copied != 1 else f"The one {which} is"
    if sample:
        compared = get(result, "scope", "compared")
        looked = many(compared, "record", "records") if isinstance(compared, int) else "The records"
        return f"{looked} of a sample were compared, and every one of them is equal in the target. Those outside the sample were not compared."
    if level == "counts":
        return "Source and target count the same records in every namespace. Neither their ids nor their contents were compared."
    if level == "ids":
        return f"{every} in the target by id: none is missing, none is there twice. Their contents were not compared."
    if result.get("tolerance"):
        return f"{every} in the target with equal content, within the tolerance stated below: nothing lost, nothing doubled."
    return f"{every} in the target with equal content: nothing lost, nothing doubled, nothing altered."


def _narrowed(result: Mapping[str, Any]) -> bool:
    return get(result, "plan", "selection", "namespaces") is not None or get(result, "plan", "selection", "filter") is not None


def _limits(result: Mapping[str, Any]) -> list[str]:
    """Return what a reader of the first lines must know besides the verdict."""
    found = []
    if (search := result.get("search")) and search.get("verdict") == "pass":
        found.append("Search is as good as before: each side was measured against exact answers.")
    elif search:
        found.append("Search quality did not reach its threshold; see below.")
    if repairs := result.get("repairs"):
        copied, deleted = (sum(repair.get(name) or 0 for repair in repairs) for name in ("copied", "deleted"))
        found.append(f"Repaired before this proof: {many(copied, 'record')} copied again, {many(deleted, 'record')} deleted.")
    if result.get("rolled_back"):
        found.append("This run was rolled back afterwards: the verdict is about the target as it was before that.")
    if get(result, "cutover", "done"):
        found.append("Applications were cut over to the target; see below.")
    return found


def cards(result: Mapping[str, Any]) -> Html:
    """Return the figures a manager looks for."""
    counts, total, pair = result["counts"], result["differences_total"], result["kind"] == "verify"
    found = [
        ("In the source", f"{counts['scanned']:,}", ""),
        ("Equal" if pair else "Copied", f"{counts['copied']:,}", ""),
        ("Differences", f"{total:,}", "bad" if total else "good"),
        ("Not readable" if pair else "Rejected", f"{counts['rejected']:,}", "warn" if counts["rejected"] else ""),
        ("Time", duration(result["seconds"]), ""),
        ("Records a second", f"{result['records_per_second']:,.0f}", ""),
    ]
    return el("div", *(el("div", el("span", name), el("b", value, class_=tone or None), class_="figure") for name, value, tone in found), class_="figures")
