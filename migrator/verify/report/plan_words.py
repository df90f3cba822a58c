"""The plan in words: what was chosen, how records were routed, and what was to happen on a conflict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from migrator.verify.report.figures import many
from migrator.verify.report.html import Html, el, folded, get, outside, section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CONFLICT = {
    "upsert": "An id that the target held already is overwritten.",
    "skip": "A record whose id the target held already is left as it is there.",
    "fail": "A record whose id the target held already would have ended the run.",
}
_DUPLICATE = {
    "first": "Of several records with one id, the first counts.",
    "last": "Of several records with one id, the last counts.",
}


def plan(result: Mapping[str, Any]) -> Html:
    """Return the plan as sentences, and as the file it is."""
    found = result["plan"]
    said = [el("li", outside(line)) for line in sentences(found, pair=result["kind"] == "verify")]
    text = yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=120)
    return section("Plan", el("ul", *said), folded("The plan as a file (plan.yaml)", el("pre", text)))


def sentences(found: Mapping[str, Any], *, pair: bool) -> list[str]:
    """Return what a plan decides, one sentence each. ``pair``: nothing was copied, two collections were compared."""
    return [*_chosen(found), *_routed(found), *([] if pair else _written(found))]


def _chosen(found: Mapping[str, Any]) -> Iterator[str]:
    namespaces, matching = get(found, "selection", "namespaces"), get(found, "selection", "filter")
    if namespaces is None and matching is None:
        yield "Every record of every namespace."
    elif namespaces is not None:
        names = ", ".join(name or "(default)" for name in namespaces[:20])
        yield f"Only {many(len(namespaces), 'namespace')}: {names}{' …' if namespaces[20:] else ''}."
    if matching is not None:
        yield f"Only records whose metadata match {json.dumps(matching, ensure_ascii=False)}."


def _routed(found: Mapping[str, Any]) -> Iterator[str]:
    mapping = found.get("mapping") or {}
    if name := mapping.get("namespace_from"):
        missing = mapping.get("namespace_missing")
        rule = {"keep": "keep their own", "default": "go to the default one", "reject": "are rejected"}.get(str(missing), f"go to {missing}")
        yield f"Each record goes to the namespace that its metadata field {name} names; those without it {rule}."
    elif (target := mapping.get("target_namespace")) is not None:
        yield f"Everything goes to the namespace {target or '(default)'}."
    if mapping.get("id_encoding") == "percent":
        yield "Ids that the target cannot spell are percent-encoded, reversibly."
    elif mapping.get("id_encoding") == "decode":
        yield "Percent-encoded ids and namespaces are decoded."


def _written(found: Mapping[str, Any]) -> Iterator[str]:
    if found.get("new_only"):
        yield "Only records whose ids the target did not hold."
    elif conflict := _CONFLICT.get(str(found.get("on_conflict"))):
        yield conflict
    if found.get("merge"):
        yield "The target may hold other records as well: they are not counted as differences."
    if duplicate := _DUPLICATE.get(str(found.get("on_duplicate"))):
        yield duplicate
    if found.get("accept_lossy"):
        yield "Losses that the plan names were accepted."
    if found.get("route") == "staged":
        yield f"Staged: written as files to {found.get('staging')}, which the target then loads."
    if follow := found.get("follow"):
        gone = "removed from the target" if follow.get("deletes") else "left in the target"
        what = "new ids only" if follow.get("changes") == "new" else "new and changed records"
        yield f"Followed its source in passes, {follow.get('interval', 0):g} s apart: {what}; records gone from the source are {gone}."
    if found.get("stamp"):
        yield "Copied records are marked in the source."
    if found.get("workers"):
        batch = f"{many(found['batch'], 'record')} a batch" if found.get("batch") else "batches as the target takes them"
        yield f"{many(found['workers'], 'part')} of the source at once, {batch}."
