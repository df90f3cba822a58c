"""A plan file opened: both sides and the options as they were when it was made."""

from __future__ import annotations

import streamlit as st

from migrator import endpoints
from migrator.errors import ConfigError, MigratorError
from migrator.service import load_plan
from ui import endpoint_card, kit, plan_options, state


def opener() -> None:
    """Draw the button that opens a plan file."""
    with st.popover("Open a plan file", icon=":material/upload_file:"):
        st.caption("A plan.yaml from the Plan page or the command line.")
        st.file_uploader("Plan file", ["yaml", "yml"], key="plan_file", on_change=_open, max_upload_size=16)
    if problem := st.session_state.pop("plan_file_problem", None):
        kit.failure(*problem)


def _open() -> None:
    """Fill both cards and the options from the file, before anything is drawn."""
    file = st.session_state["plan_file"]
    if file is None:
        return
    try:
        plan = load_plan(_text(file.getvalue()))
        for side, endpoint in ((state.SOURCE, plan.source), (state.TARGET, plan.target)):
            endpoint_card.fill(side, endpoints.render(endpoint))
        plan_options.fill(plan)
    except MigratorError as error:
        st.session_state["plan_file_problem"] = (error.message, error.fix)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError("the plan file is no text", fix="open the plan.yaml itself", code="bad_plan") from None
