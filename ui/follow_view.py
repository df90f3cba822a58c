"""A run that follows its source: how far it is behind, what its passes found, and the button that ends the following."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from ui import kit, state, words

if TYPE_CHECKING:
    from collections.abc import Mapping


def draw(seen: Mapping[str, Any]) -> None:
    """Draw the lag and the passes of a run that follows its source; nothing of others."""
    follow = seen.get("follow")
    if follow is None:
        return
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader("Following the source", anchor=False, width="content")
        if seen["status"] == "running" and st.button(
            "Stop following",
            icon=":material/flag:",
            key="stop_following",
            disabled=bool(seen["asked"]),
            help="A last pass, then the proof. The run ends; what changes in the source afterwards is not copied.",
        ):
            state.service().finish_following(seen["run"])
            st.rerun()
    with kit.cards():
        _lag(follow)
        kit.card("Passes", words.count(follow["passes"]), "after the first copy", icon=":material/replay:")
        kit.card("New", words.count(follow["new"]), "records copied by passes", icon=":material/add_circle:")
        changed = f"and {words.count(follow['deleted'])} deleted"
        kit.card("Changed", words.count(follow["changed"]), changed, icon=":material/edit:")


def _lag(follow: Mapping[str, Any]) -> None:
    records, seconds = follow["lag_records"], follow["lag_seconds"]
    read = f"source last read whole {words.duration(seconds)} ago" if seconds is not None else "the source was not read whole yet"
    kit.card("Lag", "—" if records is None else words.several(records, "record"), read, icon=":material/hourglass_bottom:", tone="orange" if records else "")
