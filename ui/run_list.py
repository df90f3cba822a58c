"""The runs one may choose from: a select box at the top of a page, and the whole list with a link to each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit import column_config as columns

from ui import kit, state, words

if TYPE_CHECKING:
    from collections.abc import Callable

KIND = {"copy": "copy", "verify": "comparison", "dry-run": "dry run"}


def choose(known: list[dict[str, Any]], page: str) -> str | None:
    """Draw the select box of runs on ``page`` and return the chosen one; the address bar follows it."""
    run = state.chosen_run(known)
    if run is None:
        return None
    labels = {row["run"]: title(row) for row in known}
    key = f"{page}_run"
    st.session_state[key] = run
    st.selectbox("Run", list(labels), format_func=labels.__getitem__, key=key, on_change=_chosen, args=(key,))
    return run


def _chosen(key: str) -> None:
    state.choose_run(st.session_state[key])


def title(row: dict[str, Any]) -> str:
    """Return one line that tells a run from the others."""
    kind = "" if row["kind"] == "copy" else f"{KIND[row['kind']]}: "
    return f"{kind}{words.endpoint(row['source'])} → {words.endpoint(row['target'])} · {row['run']} · {row['status']}"


def everything(known: list[dict[str, Any]], page: str) -> None:
    """Draw all runs as a table, each with a link that opens it."""
    rows = [
        {
            "open": f"{page}?run={row['run']}",
            "status": kit.STATUS.get(row["status"], ("", "", row["status"]))[2],
            "kind": KIND[row["kind"]],
            "source": words.endpoint(row["source"]),
            "target": words.endpoint(row["target"]),
            "records": row["counts"]["copied"],
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
