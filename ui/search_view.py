"""Search quality: how much of the exact truth each side's search finds, how alike both answer, and how fast."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit import column_config as columns

from ui import answers_view, kit, search_options, words

SIDES = ("source", "target")
UNASKED = frozenset(f"{side}_unsearchable" for side in SIDES)
"""Findings that are said under the table of both sides."""


def draw(run: str, result: dict[str, Any]) -> None:
    """Draw what the last search of ``run`` found, and the button that measures anew."""
    found = result.get("search")
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader("Search quality", anchor=False, width="content")
        if st.button("Measure again…" if found else "Measure…", icon=":material/target:", key="search"):
            search_options.ask(run, sorted(result["namespaces"]))
    if not found:
        st.caption("Not measured yet: asks both sides the same queries, and compares the answers with the exact ones, computed here over the copied records.")
        return
    _verdict(found, stale=words.outdated(found, result))
    _sides(found)
    _figures(found)
    for finding in found.get("findings", []):
        if finding["code"] not in UNASKED:
            kit.notice(finding["message"], finding["fix"])
    _namespaces(found)
    answers_view.draw(found)


def _verdict(found: dict[str, Any], *, stale: bool) -> None:
    """Draw the verdict in words: the figure, what it is measured against, and what was asked. One that is ``stale`` judges nothing that is there now."""
    target = found["recall"]["target"]
    if target is None:
        text = f"The target has no search to judge: {found['unsearchable'].get('target', 'it cannot be searched')}."
        st.warning(kit.plain(text), icon=":material/search_off:")
        return
    asked = f"{words.several(found['queries'], 'query', 'queries')} {'of a file' if found['queries_from'] == 'file' else 'sampled from the stored vectors'}"
    nearest = f"the exact {found['k']} nearest the target finds {target['mean']:.3f} on average; {found['threshold']:g} was asked for. {asked}."
    if stale:
        text = f"**Measured before the proof above.** Then: of {kit.plain(nearest)} Measure again to judge what is there now."
        st.info(text, icon=":material/history:")
    elif found["verdict"] == "pass":
        st.success(f"**Finds what it should.** Of {kit.plain(nearest)}", icon=":material/target:")
    else:
        st.error(f"**Finds too little.** Of {kit.plain(nearest)}", icon=":material/target:")


def _sides(found: dict[str, Any]) -> None:
    """Draw both sides' recall and latency beside each other."""
    rows = []
    for side in _asked(found):
        recall, latency = found["recall"][side], (found.get("latency_ms") or {}).get(side) or {}
        rows.append(
            {
                "side": side,
                **{f"recall_{name}": recall.get(name) for name in ("mean", "p05", "min")},
                **{f"latency_{name}": latency.get(name) for name in ("p50", "p95")},
            }
        )
    number = columns.NumberColumn
    config: dict[str, Any] = {"side": columns.TextColumn("side", width=75)}
    config["recall_mean"] = number(f"recall@{found['k']}", format="%.4f", help="Mean share of the exact nearest that was found.")
    config["recall_p05"] = number("p05", format="%.3f", help="95 of 100 queries find at least this share.")
    config["recall_min"] = number("worst", format="%.3f")
    config["latency_p50"] = number("latency p50", format="%.1f ms")
    config["latency_p95"] = number("p95", format="%.1f ms")
    if rows:
        kit.table(rows, config, "Recall against the exact answers, and latency, of each side that can be searched.")
    for side, reason in (found.get("unsearchable") or {}).items():
        st.caption(f"The {side} is not in it: {kit.plain(reason)}.")


def _figures(found: dict[str, Any]) -> None:
    """Say how alike both sides answer, and what the truth was computed over."""
    said = []
    if found.get("overlap") is not None:
        said.append(f"both sides give {words.percent(found['overlap'])} of their answers in common")
    if drift := found.get("score_drift"):
        said.append(f"the score of an answer differs by {drift['mean']:.2g} on average and {drift['max']:.2g} at most")
    truth = found["truth"]
    said.append(f"the exact answers were computed over {words.several(truth['records'], 'record')} read from the {truth['read_from']}, by {found['metric']}")
    if found.get("filter"):
        said.append("with a filter")
    text = "; ".join(said)
    st.caption(kit.plain(text[:1].upper() + text[1:] + "."))


def _asked(found: dict[str, Any]) -> list[str]:
    """Return the sides that were asked, the source first."""
    return [side for side in SIDES if found["recall"][side] is not None]


def _namespaces(found: dict[str, Any]) -> None:
    namespaces, asked = found["namespaces"], _asked(found)
    if len(namespaces) < 2 or not asked:
        return
    rows = [{"namespace": words.namespace(name), **row} for name, row in sorted(namespaces.items())]
    number = columns.NumberColumn
    config: dict[str, Any] = {"namespace": columns.TextColumn("namespace"), "queries": number("queries", format="localized")}
    config |= {f"recall_{side}": number(f"recall, {side}", format="%.4f") for side in asked}
    if len(asked) == len(SIDES):
        config["overlap"] = number("overlap", format="%.3f")
    kit.table(rows, config, f"Recall of both sides in {len(rows)} namespaces.")
