"""The form that proves two collections equal, whoever copied them."""

from __future__ import annotations

import streamlit as st

from migrator.service import PlanOptions
from ui import hosting, kit, profiles, proof_options, state


def draw() -> None:
    """Draw the form, filled with the endpoints of the Connect page, and start the comparison."""
    with st.expander("Compare two collections", icon=":material/compare_arrows:"):
        st.caption("Compares any two collections record by record, whoever copied them. Nothing is written to either.")
        left, right = st.columns(2)
        help_ = "connector:resource?option=value, for example faiss:./photos.index or milvus:products?uri=./demo.db"
        source = left.text_input("Source", _described(state.SOURCE), key="compare_source", help=help_, placeholder="faiss:./photos.index")
        target = right.text_input("Target", _described(state.TARGET), key="compare_target", help=help_, placeholder="milvus:products?uri=./demo.db")
        field = st.text_input("Namespace from field (optional)", key="compare_field", help="As in the plan of the copy, if it had this rule.")
        scope = proof_options.ask("compare")
        if not st.button("Compare", icon=":material/fact_check:", key="compare_start"):
            return
        if not (source.strip() and target.strip()):
            kit.failure("A comparison needs two endpoints.", "Write one in each field, or describe both sides on the Connect page.")
            return
        with kit.guarded():
            ends = [hosting.check(text.strip(), state.service().home) for text in (source, target)]
            options = PlanOptions(namespace_from=field.strip() or None)
            run = state.service().start_verify_pair(*ends, options, owner=state.owner(), **scope())
            state.choose_run(run)
            st.rerun()


def _described(side: str) -> str:
    """Return the endpoint of the Connect page without the secrets typed there."""
    return profiles.without_secrets(state.endpoint(side)) if state.endpoint(side) else ""
