"""Where records go: a sample of every namespace, each value or namespace with the namespace it comes to and the rule that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit import column_config as columns

from ui import kit, state, words

if TYPE_CHECKING:
    from migrator.model import Plan


def draw(plan: Plan) -> None:
    """Draw the preview if the plan changes namespaces; nothing where every record keeps its own."""
    rows = _routed(plan)
    moved = [row for row in rows if row["value"] != row["namespace"]]
    if not moved:
        return
    st.subheader("Where records go", anchor=False)
    from_field = plan.mapping.namespace_from is not None
    shown = [
        {
            "from": ("— none —" if row["value"] is None else row["value"]) if from_field else words.namespace(row["value"]),
            "namespace": "rejected" if row["namespace"] is None else words.namespace(row["namespace"]),
            "records": row["records"],
            "rule": row["rule"],
        }
        for row in rows
    ]
    config = {
        "from": columns.TextColumn(plan.mapping.namespace_from or "namespace", width="medium"),
        "namespace": columns.TextColumn("target namespace", width="medium"),
        "records": columns.NumberColumn("in the sample", format="localized", width=100),
        "rule": columns.TextColumn("rule", width="large"),
    }
    kit.table(shown, config, f"Where the sampled records go, by {len(rows)} values.")


def _routed(plan: Plan) -> list[dict[str, Any]]:
    """Return the preview, made anew only when the plan's rules have changed."""
    wanted = repr((plan.source, plan.selection, plan.mapping))
    known, found = st.session_state.get("routed", (None, []))
    if known != wanted:
        found = state.service().routing_preview(plan)
        st.session_state["routed"] = (wanted, found)
    return found
