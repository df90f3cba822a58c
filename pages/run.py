"""Run: what is going on, how fast, and the controls."""

import streamlit as st

from ui import kit, run_list, run_view, state

kit.heading("Run")


def page() -> None:
    """Draw the chosen run and the list of all."""
    run = run_list.choose(known, "run")
    if run is not None:
        run_view.draw(run)
    with st.expander(f"All runs ({len(known):,})", icon=":material/list_alt:", expanded=run is None):
        run_list.everything(known, "run")


with kit.guarded():
    known = state.runs()
    run_list.or_nothing(known, page)
