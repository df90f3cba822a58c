"""One click to something that works: the shipped demo as the source, a Milvus Lite file as the target."""

from __future__ import annotations

import streamlit as st

from demo import build
from migrator.errors import MigratorError
from ui import endpoint_card, kit, state


def button() -> None:
    """Draw the offer; it is made as long as nothing is described yet."""
    if problem := st.session_state.pop("demo_problem", None):
        kit.failure(*problem)
    if any(state.endpoint(side) for side in state.SIDES):
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.markdown("**New here?** Try it with 7,764 passages of presidents' addresses, from a Faiss index into a Milvus Lite file.", width="stretch")
        st.button("Use the demo", icon=":material/experiment:", key="use_demo", on_click=_fill)


def _fill() -> None:
    """Build the demo if it is not there and fill both cards."""
    folder = state.service().home / "demo"
    try:
        build.build(folder)
        for side, text in zip(state.SIDES, build.endpoints(folder), strict=True):
            endpoint_card.fill(side, text)
            state.set_endpoint(side, text)
        st.session_state["plan_namespace_from"] = build.NAMESPACE_FIELD
    except MigratorError as error:
        st.session_state["demo_problem"] = (error.message, error.fix)
