"""The records on which two collections disagree: filtered, searched, and one of them down to vector components and metadata fields."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st
from streamlit import column_config as columns

from migrator.service import SHORTFALLS
from ui import charts, kit, state, words

KINDS = {"missing": "missing in the target", "extra": "extra in the target", "changed": "changed", "duplicate": "duplicate"}


def draw(run: str, result: dict[str, Any]) -> None:
    """Draw the differences of ``result``, if there are any."""
    st.subheader("Differences", anchor=False)
    found = result["differences"]
    if not found:
        st.caption(_none(result))
        return
    _per_namespace(result["namespaces"])
    left, right = st.columns([3, 2], gap="medium")
    with left:
        shown = _filtered(found, result.get("differences_total", len(found)))
        chosen = _table(shown)
    with right, kit.guarded():
        if chosen is None:
            st.caption("Tick a record to see it on both sides.")
        else:
            _record(run, shown[chosen])


def _none(result: dict[str, Any]) -> str:
    """Return what it means that no difference was found: not all that the source has need have been compared."""
    namespaces = result["namespaces"].values()
    expected, extra = sum(row["source"] for row in namespaces), sum(row["extra"] for row in namespaces)
    more = f"{words.several(extra, 'record')} that the source has not, as the plan allows" if extra else ""
    if left_out := words.left_out(result):
        compared = "that could be read" if result["kind"] == "verify" else "copied"
        return f"None among the {words.count(expected)} {compared}; {left_out}." + (f" The target holds {more}." if more else "")
    if any(finding["code"] in SHORTFALLS for finding in result.get("findings", [])):
        return f"None among the {words.count(expected)} records that were read; the source has others by now, or more."
    also = f"holds {more}" if more else "holds nothing else"
    return f"None: every record of the source is in the target with the same values and metadata, and the target {also}."


def _per_namespace(namespaces: dict[str, dict[str, int]]) -> None:
    """Draw the differences of each namespace; a chart of one namespace would say no more than a line."""
    if len(namespaces) > 1:
        kit.chart("Differences per namespace", charts.differences(namespaces), "chart_differences")
        return
    for name, row in namespaces.items():
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
    more = f" The first {len(found):,} of {total:,} are listed; the report's file has them all." if total > len(found) else ""
    st.caption(f"{len(shown):,} of {len(found):,} shown.{more}")
    return shown


def _matches(row: dict[str, Any], wanted: str) -> bool:
    return not wanted or any(wanted in text.lower() for text in (row["id"], row["namespace"], *row["fields"]))


def _table(shown: list[dict[str, Any]]) -> int | None:
    rows = [
        {"namespace": words.namespace(row["namespace"]), "id": row["id"], "class": row["class"], "fields": ", ".join(row["fields"]) or "—"} for row in shown
    ]
    widths = {"namespace": 110, "id": 200, "class": 75, "fields": 160}
    config = {name: columns.TextColumn(name, width=width) for name, width in widths.items()}
    event = kit.table(rows, config, f"{len(rows)} differences.", on_select="rerun", selection_mode="single-row", key="difference_table", height=360)
    ticked = event["selection"]["rows"]
    return ticked[0] if ticked and ticked[0] < len(shown) else 0 if shown else None


def _record(run: str, row: dict[str, Any]) -> None:
    """Draw one record as both sides have it now."""
    sides = state.service().difference(run, row["namespace"], row["id"])
    source, target = sides["source"], sides["target"]
    with st.container(border=True):
        st.markdown(f"**{kit.plain(words.shorten(row['id'], 48))}** in {kit.plain(words.namespace(row['namespace']))}")
        if source is None or target is None:
            _one_sided(source, target)
            return
        _vectors(source["values"], target["values"])
        _metadata(source.get("metadata") or {}, target.get("metadata") or {})


def _one_sided(source: dict[str, Any] | None, target: dict[str, Any] | None) -> None:
    """Draw a record that one side does not have."""
    if source is None and target is None:
        st.caption("Neither side has this record now. Verify again to bring the list up to date.")
        return
    st.caption("Only the source has this record." if target is None else "Only the target has this record.")
    for name, record in (("Source", source), ("Target", target)):
        if record is None:
            st.markdown(f"**{name}:** not there")
            continue
        metadata = record.get("metadata")
        st.markdown(f"**{name}:** {words.several(len(record['values']), 'component')}, {'metadata' if metadata else 'no metadata'}")
        if metadata:
            st.code(json.dumps(metadata, ensure_ascii=False, indent=1), language="json", wrap_lines=True, height=220)


def _vectors(source: list[float], target: list[float]) -> None:
    if len(source) != len(target):
        st.caption(f"The vectors have {len(source):,} and {len(target):,} components.")
        return
    drawn = charts.vector_delta(source, target)
    largest = max((abs(there - here) for here, there in zip(source, target, strict=True)), default=0.0)
    if not largest:
        st.caption("The vectors are equal, component by component.")
        return
    st.caption(f"largest component difference {largest:.3g}")
    st.plotly_chart(drawn.figure, key="chart_delta", alt=drawn.alt, config={"displayModeBar": False})


def _metadata(source: dict[str, Any], target: dict[str, Any]) -> None:
    """Draw the metadata of both sides beside each other, what differs first."""
    names = sorted({*source, *target}, key=lambda name: (_same(source, target, name), name))
    if not names:
        st.caption("Neither side has metadata.")
        return
    rows = [{"": "=" if _same(source, target, name) else "≠", "field": name, "source": _text(source, name), "target": _text(target, name)} for name in names]
    widths = {"": 30, "field": 85, "source": 118, "target": 118}
    config = {name: columns.TextColumn(name, width=width) for name, width in widths.items()}
    kit.table(rows, config, f"{len(rows)} metadata fields on both sides.")


def _same(source: dict[str, Any], target: dict[str, Any], name: str) -> bool:
    """Return whether both sides hold the same value: 1, 1.0 and true are equal to Python and not to us."""
    return name in source and name in target and _text(source, name) == _text(target, name)


def _text(metadata: dict[str, Any], name: str) -> str:
    return json.dumps(metadata[name], ensure_ascii=False, sort_keys=True) if name in metadata else "—"
