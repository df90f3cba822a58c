"""The runs one may choose from: a select box at the top of a page, and the whole list with a link to each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit import column_config as columns

from ui import kit, state, words

if TYPE_CHECKING:
    from collections.abc import Callable

KIND = {"copy": "copy", "verify": "comparison", "dry-run": "dry run"}
FINISHED = frozenset({"proven", "differs", "incomplete"})
STOPPED = frozenset({"paused", "interrupted"})
ASKED = {
    "pause": ("orange", ":material/pause:", "pausing…"),
    "cancel": ("gray", ":material/stop:", "cancelling…"),
    "finish": ("blue", ":material/flag:", "last pass…"),
}
"""What a running run was asked and has not come to yet."""


def choose(known: list[dict[str, Any]], page: str) -> str | None:
    """Draw the select box of runs on ``page`` and return the chosen one; the address bar follows it."""
    if not known:
        return None
    run = state.chosen_run(known)
    if run is None:
        name = kit.plain(words.shorten(state.unknown_run(known)))
        st.warning(f"This run is not known here: {name}. Choose one of those listed.", icon=":material/search_off:")
    labels = {row["run"]: title(row) for row in known}
    key = f"{page}_run"
    st.session_state[key] = run
    index = None if run is None else 0
    st.selectbox("Run", list(labels), index, labels.__getitem__, key=key, placeholder="Choose a run", on_change=_chosen, args=(key,))
    return run


def _chosen(key: str) -> None:
    if st.session_state[key] is not None:  # a box without a choice can be left without one
        state.choose_run(st.session_state[key])


def standing(row: dict[str, Any]) -> tuple[str, str, str]:
    """Return the colour, icon and word that say how a run stands; a dry run that is done has nothing to be incomplete about."""
    if row["asked"]:
        return ASKED[row["asked"]]
    if row.get("rolled_back"):
        return "gray", ":material/undo:", "rolled back"
    if row["kind"] == "dry-run" and row["status"] in FINISHED:
        return "gray", ":material/science:", "dry run"
    return kit.STATUS.get(row["status"], ("gray", ":material/help:", row["status"]))


def badge(row: dict[str, Any]) -> None:
    """Draw how a run stands."""
    color, icon, label = standing(row)
    st.badge(label, color=color, icon=icon)


def title(row: dict[str, Any]) -> str:
    """Return one line that tells a run from the others and stays the same while the run goes on.

    A browser sends the line itself back, not its place: one that names the state is of no known run as soon as the state is another.
    """
    kind = "" if row["kind"] == "copy" else f"{KIND[row['kind']]}: "
    return f"{kind}{words.endpoint(row['source'])} → {words.endpoint(row['target'])} · {row['run']}"


def _word(row: dict[str, Any]) -> str:
    """Return how a run stands where its kind is said already."""
    word = standing(row)[2]
    return "done" if word == KIND["dry-run"] else word


def everything(known: list[dict[str, Any]], page: str) -> None:
    """Draw all runs as a table, each with a link that opens it."""
    rows = [
        {
            "open": f"{page}?run={row['run']}",
            "status": _word(row),
            "kind": KIND[row["kind"]],
            "source": words.endpoint(row["source"]),
            "target": words.endpoint(row["target"]),
            "records": 0 if row["kind"] == "dry-run" else row["counts"]["copied"],
            "rejected": row["counts"]["rejected"],
            "started": row["started"],
        }
        for row in known
    ]
    text = columns.TextColumn
    config: dict[str, Any] = {
        "open": columns.LinkColumn("run", display_text=r"run=(.*)$", width=175),
        "status": text("status", width=85),
        "kind": text("kind", width=95),
        "source": text("source", width=170),
        "target": text("target", width=145),
        "records": columns.NumberColumn("copied", format="localized", width=75),
        "rejected": columns.NumberColumn("rejected", format="localized", width=75),
        "started": columns.DatetimeColumn("started", format="D MMM YYYY, HH:mm", width=145),
    }
    kit.table(rows, config, f"All {len(rows)} runs, newest first.")


def or_nothing(known: list[dict[str, Any]], draw: Callable[[], None]) -> None:
    """Draw the page, or what to do first when there is no run yet."""
    if known:
        draw()
    else:
        kit.nothing_yet("No migration has been run here yet.", "connect", "Set one up", ":material/play_circle:")
