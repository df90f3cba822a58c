"""Export: Parquet files, reports, plans and history to take along."""

import streamlit as st

from ui import export_view, kit, plan_view, run_list, state

kit.heading("Export", "Take data and proof along: Parquet files with checksums, the report in one file, the plan as a command.")


def page() -> None:
    """Draw what the chosen run left, and the history."""
    run = run_list.choose(known, "export")
    if run is not None:
        export_view.files(run)
        plan_view.as_command(plan_view.of_run(run))
    st.subheader("History", anchor=False)
    run_list.everything(known, "export")


with kit.guarded():
    export_view.form()
    known = state.runs()
    run_list.or_nothing(known, page)
