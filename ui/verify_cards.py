"""The four figures of a proof: the records of both sides, how many vectors and how much metadata are equal, and the recall of a search."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ui import kit, words

VECTORS = frozenset({"values", "sparse_values"})
LEFT_UNREAD = {"ids": "only ids were compared", "counts": "only counts were compared"}
"""By the level of a proof that reads no content."""


def draw(result: dict[str, Any]) -> None:
    """Draw the figures of ``result``, and under them the digests they rest on."""
    with kit.cards():
        _records(result)
        vectors = [row for row in _changed(result) if VECTORS & {*row["fields"]}]
        metadata = [row for row in _changed(result) if {*row["fields"]} - VECTORS]
        fields = {field for row in metadata for field in row["fields"]} - VECTORS
        _equal(result, "Vectors equal", ":material/task_alt:", len(vectors), f"{words.several(len(vectors), 'record')} with other values")
        where = f"{words.several(len(fields), 'field')} in {words.several(len(metadata), 'record')}"
        _equal(result, "Metadata equal", ":material/data_object:", len(metadata), f"{where} {'differs' if len(fields) == 1 else 'differ'}")
        _recall(result)
    _digests(result)


def total(result: dict[str, Any], key: str) -> int:
    """Return the sum of a count over all namespaces."""
    return sum(row[key] for row in result["namespaces"].values())


def level(result: dict[str, Any]) -> str:
    """Return how deep the proof went: ``content``, ``ids`` or ``counts``."""
    return str((result.get("scope") or {}).get("level") or "content")


def _records(result: dict[str, Any]) -> None:
    """Draw the records of both sides: the namespaces' counts leave out what was rejected, which the source has all the same."""
    missing, extra, left_out = total(result, "missing"), total(result, "extra"), words.left_out(result)
    gap = f"{words.count(missing)} missing, {words.count(extra)} extra" if missing or extra else "" if left_out else "none missing, none extra"
    gap = ", ".join(part for part in (left_out, gap) if part)
    value = f"{words.count(total(result, 'target'))} / {words.count(total(result, 'source') + words.not_expected(result))}"
    kit.card("Records in target / source", value, gap, icon=":material/tag:", tone="red" if missing or (extra and result["verdict"] == "differs") else "")


def _changed(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in result["differences"] if row["class"] == "changed"]


def _compared(result: dict[str, Any]) -> int:
    """Return how many records were compared that are on both sides."""
    scope = result.get("scope") or {}
    if scope.get("sample"):
        return max(0, int(scope["compared"]) - total(result, "missing"))
    return max(0, total(result, "source") - total(result, "missing"))


def _equal(result: dict[str, Any], label: str, icon: str, unequal: int, said: str) -> None:
    """Draw the share of the compared records that are equal in one respect.

    Only the listed differences are known by their fields: of the others each may differ in it, and the share is then the least it can be.
    """
    if level(result) in LEFT_UNREAD:
        kit.card(label, "—", LEFT_UNREAD[level(result)], icon=icon)
        return
    compared, listed = _compared(result), len(result["differences"])
    unlisted = max(0, result.get("differences_total", listed) - listed)
    unknown = min(unlisted, max(0, total(result, "changed") - sum(row["class"] in {"changed", "duplicate"} for row in result["differences"])))
    if not compared:
        kit.card(label, "—", "no record is on both sides", icon=icon)
        return
    none = f"none among the {words.count(listed)} listed" if unknown else f"all {words.count(compared)} compared"
    caption = ("at least; " if unknown else "") + (said if unequal else none)
    value = words.percent((compared - min(compared, unequal + unknown)) / compared, 2)
    kit.card(label, f"≥ {value}" if unknown else value, caption, icon=icon, tone="red" if unequal or unknown else "")


def _recall(result: dict[str, Any]) -> None:
    """Draw how much of the exact answers the target's search finds, beside what the source's does."""
    search = result.get("search")
    if not search:
        kit.card("Recall", "—", "not measured yet", icon=":material/target:")
        return
    source, target = search["recall"]["source"], search["recall"]["target"]
    said = "before the last proof; " if words.outdated(search, result) else ""
    said += f"source {source['mean']:.3f}" if source else "the source cannot be searched"
    queries = words.several(search["queries"], "query", "queries")
    value = f"{target['mean']:.3f}" if target else "—"
    kit.card(f"Recall@{search['k']} of the target", value, f"{said}, {queries}", icon=":material/target:", tone="red" if search["verdict"] == "fail" else "")


def _digests(result: dict[str, Any]) -> None:
    """Draw the digests: equal sums of hashes are what "the same" means here."""
    found = result.get("digests") or {}
    if level(result) == "counts" or not (found.get("source") and found.get("target")):
        return
    source, target = found["source"], found["target"]
    same = (
        f"Digests equal: {source[:16]}… on both sides" if source == target else f"Digests not equal: {source[:16]}… in the source, {target[:16]}… in the target"
    )
    st.caption(f":material/fingerprint: {kit.plain(same)}", help=f"Source: `{source}`  \nTarget: `{target}`")
