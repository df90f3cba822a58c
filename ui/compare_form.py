"""The form that proves two collections equal, whoever copied them."""

from __future__ import annotations

import streamlit as st

from migrator.errors import ConfigError
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
        options, ends = PlanOptions(namespace_from=field.strip() or None), (source.strip(), target.strip())
        with kit.guarded():
            costs = proof_options.of_pair((*ends, field.strip()), lambda: state.service().scope_costs_pair(*_checked(ends), options))
            scope = proof_options.ask("compare", costs)
            if st.button("Compare", icon=":material/fact_check:", key="compare_start"):
                run = state.service().start_verify_pair(*_checked(ends), options, owner=state.owner(), **scope())
                state.choose_run(run)
                st.rerun()


def _checked(ends: tuple[str, str]) -> tuple[str, str]:
    """Return both endpoints. Raise ``ConfigError`` when one is missing, or is none that may be opened here."""
    if not all(ends):
        raise ConfigError("a comparison needs two endpoints", fix="write one in each field, or describe both sides on the Connect page", code="bad_endpoint")
    source, target = (hosting.check(text, state.service().home) for text in ends)
    return source, target


def _described(side: str) -> str:
    """Return the endpoint of the Connect page without the secrets typed there."""
    return profiles.without_secrets(state.endpoint(side)) if state.endpoint(side) else ""
