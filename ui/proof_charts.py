"""The counts of a proof in pictures, beside the embedding map: both sides of each namespace, their difference, and what differs."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit import column_config as columns

from ui import charts, kit, map_view, words


def draw(run: str, result: dict[str, Any]) -> None:
    """Draw the counts and the map beside each other, and the differences of the counts where there are any."""
    namespaces = result["namespaces"]
    left, right = st.columns(2)
    with left:
        if len(namespaces) > 1:
            kit.chart(_title(result), charts.counts(namespaces), "chart_counts")
        else:
            _counts(result)
    with right:
        map_view.draw(run)
    if len(namespaces) > 1:
        st.caption(kit.plain(_agreement(result)))
        _differences(namespaces)


def _title(result: dict[str, Any]) -> str:
    left_out = words.not_expected(result)
    return f"Counts per namespace · source less the {left_out:,} left out" if left_out else "Counts per namespace"


def _counts(result: dict[str, Any]) -> None:
    """Draw the counts of the one namespace there is: a chart of two bars would say less."""
    with st.container(border=True, height="stretch"):
        st.markdown("**Counts**")
        rows = [
            {"namespace": words.namespace(name), "source": row["source"], "target": row["target"], "difference": row["target"] - row["source"]}
            for name, row in result["namespaces"].items()
        ]
        if rows:
            config: dict[str, Any] = {"namespace": columns.TextColumn("namespace")}
            config |= {name: columns.NumberColumn(name, format="localized") for name in ("source", "target", "difference")}
            kit.table(rows, config, "Records of the namespace on both sides.")
        st.caption(kit.plain(_agreement(result)))


def _differences(namespaces: dict[str, dict[str, int]]) -> None:
    """Draw the difference of the counts, and what differs, of the namespaces where anything does."""
    unequal = any(row["source"] != row["target"] for row in namespaces.values())
    found = any(row[kind] for row in namespaces.values() for kind in ("missing", "extra", "changed"))
    drawn = [("Difference of the counts", charts.count_differences(namespaces), "chart_deltas")] if unequal else []
    drawn += [("Differences per namespace", charts.differences(namespaces), "chart_differences")] if found else []
    for place, chart in zip(st.columns(len(drawn)) if drawn else (), drawn, strict=True):
        with place:
            kit.chart(*chart)


def _agreement(result: dict[str, Any]) -> str:
    """Return the difference of the counts in a sentence."""
    namespaces = result["namespaces"]
    of = f", without those left out ({left_out})" if (left_out := words.left_out(result)) else ""
    if not namespaces:
        return f"There is nothing to count on either side{of}."
    source, target = (sum(row[side] for row in namespaces.values()) for side in ("source", "target"))
    unequal = [name for name, row in namespaces.items() if row["source"] != row["target"]]
    if not unequal:
        where = f"all {len(namespaces):,} namespaces" if len(namespaces) > 1 else "the one namespace there is"
        return f"Counts agree in {where}{of}."
    where = words.namespace(unequal[0]) if len(unequal) == 1 else f"{len(unequal):,} of {len(namespaces):,} namespaces"
    row = namespaces[unequal[0]] if len(unequal) == 1 else {"source": source, "target": target}
    return f"Counts differ in {where}: {words.count(row['target'])} in the target, {words.count(row['source'])} in the source{of}."
