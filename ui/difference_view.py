"""The records on which two collections disagree: filtered, searched, sorted and exported, and one of them shown whole beside the list."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit import column_config as columns

from migrator.service import SHORTFALLS
from ui import difference_export, kit, record_view, repair_view, words

KINDS = {"missing": "missing in the target", "extra": "extra in the target", "changed": "changed", "duplicate": "duplicate"}


def draw(run: str, result: dict[str, Any]) -> None:
    """Draw the differences of ``result``, if there are any."""
    found = result["differences"]
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader("Differences", anchor=False, width="content")
        if found:
            repair_view.offer(run)
    if not found:
        st.caption(_none(result))
        return
    _in_one_namespace(result["namespaces"])
    total = result.get("differences_total", len(found))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        shown = _filtered(found, total)
        chosen = _table(shown)
        difference_export.draw(run, shown)
    with right, kit.guarded():
        if chosen is None:
            st.caption("Tick a record to see it on both sides.")
        else:
            record_view.draw(run, shown[chosen])


def _none(result: dict[str, Any]) -> str:
    """Return what it means that no difference was found: not all that the source has need have been compared."""
    namespaces = result["namespaces"].values()
    expected, extra = sum(row["source"] for row in namespaces), sum(row["extra"] for row in namespaces)
    more = f"{words.several(extra, 'record')} that the source has not, as the plan allows" if extra else ""
    if result["verdict"] == "differs":
        return "Only counts were compared, so it is not known which records differ. Verify again, with the ids, to name them."
    if partial := words.partial(result):
        return f"None, as far as was looked: {partial}."
    if left_out := words.left_out(result):
        compared = "that could be read" if result["kind"] == "verify" else "copied"
        return f"None among the {words.count(expected)} {compared}; {left_out}." + (f" The target holds {more}." if more else "")
    if any(finding["code"] in SHORTFALLS for finding in result.get("findings", [])):
        return f"None among the {words.count(expected)} records that were read; the source has others by now, or more."
    also = f"holds {more}" if more else "holds nothing else"
    return f"None: every record of the source is in the target with the same values and metadata, and the target {also}."


def _in_one_namespace(namespaces: dict[str, dict[str, int]]) -> None:
    """Say the differences of the one namespace there is: of several a chart shows them."""
    if len(namespaces) == 1:
        ((name, row),) = namespaces.items()
        said = ", ".join(f"{row[kind]:,} {kind}" for kind in ("missing", "extra", "changed"))
        st.caption(f"{kit.plain(words.namespace(name))}: {said}.")


def _filtered(found: list[dict[str, Any]], total: int) -> list[dict[str, Any]]:
    """Draw the filter and return what it leaves."""
    present = [kind for kind in KINDS if any(row["class"] == kind for row in found)]
    kinds = st.pills("Class", present, selection_mode="multi", default=present, format_func=KINDS.__getitem__, key="difference_kinds")
    wanted = st.text_input(
        "Search", key="difference_search", placeholder="part of an id, a namespace or a field", icon=":material/search:", label_visibility="collapsed"
    )
    shown = [row for row in found if row["class"] in kinds and _matches(row, wanted.strip().lower())]
    more = f" The first {len(found):,} of {total:,} are listed; the file below has them all." if total > len(found) else ""
    st.caption(f"{len(shown):,} of {len(found):,} shown.{more}")
    return shown


def _matches(row: dict[str, Any], wanted: str) -> bool:
    return not wanted or any(wanted in text.lower() for text in (row["id"], row["namespace"], *row["fields"]))


def _table(shown: list[dict[str, Any]]) -> int | None:
    """Draw the list, sorted by a click on a column's head, and return which record is ticked, the first one where none is."""
    measured = [name for name in ("largest_delta", "cosine") if any(row.get(name) is not None for row in shown)]
    rows = [
        {"namespace": words.namespace(row["namespace"]), "id": row["id"], "class": row["class"], "fields": ", ".join(row["fields"]) or "—"}
        | {name: row.get(name) for name in measured}
        for row in shown
    ]
    widths = {"namespace": 88, "id": 130, "class": 68, "fields": 109} if measured else {"namespace": 110, "id": 200, "class": 75, "fields": 160}
    config: dict[str, Any] = {name: columns.TextColumn(name, width=width) for name, width in widths.items()}
    if "largest_delta" in measured:
        config["largest_delta"] = columns.NumberColumn("max |Δ|", format="%.3g", width=75, help="The largest difference of a component.")
    if "cosine" in measured:
        config["cosine"] = columns.NumberColumn("cosine", format="%.6f", width=80, help="Between the two vectors; 1 is the same direction.")
    event = kit.table(rows, config, f"{len(rows)} differences.", on_select="rerun", selection_mode="single-row", key="difference_table", height=360)
    ticked = event["selection"]["rows"]
    return ticked[0] if ticked and ticked[0] < len(shown) else 0 if shown else None
