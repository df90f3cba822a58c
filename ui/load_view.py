"""A run by way of staged files: its three stages beside each other, and what becomes of the import and the files when the run is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from ui import kit, words

if TYPE_CHECKING:
    from collections.abc import Mapping

DONE = 1.0
STOPPED = {
    "paused": "The import goes on at the target while this run is paused. Resume goes on watching it; Cancel ends it.",
    "interrupted": "The import goes on at the target meanwhile. Resume goes on watching it; Cancel ends it.",
    "failed": "The import may go on at the target. Resume looks at it, and goes on watching it or starts another; Cancel ends it.",
    "cancelled": "The target was asked to end the import; the log says what came of it. Resume looks at it again, and has the files imported anew if it ended.",
}
"""What a stop means for an import that was begun and is not done."""


def where(seen: Mapping[str, Any]) -> str:
    """Return where the records are that a run has written so far."""
    return "the staged files" if "load" in seen and not (seen["load"] or {}).get("done") else "the target"


def stopped(seen: Mapping[str, Any]) -> str:
    """Return what the stop of a run means for its import, "" where none is under way."""
    return STOPPED.get(seen["status"], "") if "load" in seen and seen["load"] and not seen["load"]["done"] else ""


def draw(seen: Mapping[str, Any]) -> None:
    """Draw the stages of a run that stages files; nothing of others."""
    if "load" not in seen:
        return
    shares = seen["shares"]
    with st.grid(3, min_column_width=230):
        _stage("1 · Files written", shares["copied"], _written(seen), ":material/draft:")
        _stage("2 · Imported by the target", shares["loaded"], _imported(seen), ":material/move_to_inbox:")
        _stage("3 · Proved", shares["proved"], "both sides read and compared", ":material/verified:")
    if seen["status"] == "paused" and (said := stopped(seen)):
        st.info(said, icon=":material/move_to_inbox:")


def _stage(label: str, share: float, caption: str, icon: str) -> None:
    with st.container(border=True, height="stretch", gap="xsmall"):
        st.markdown(f"{':material/check_circle:' if share >= DONE else icon} **{label}** · {kit.plain(words.percent(share, 0))}")
        st.progress(min(DONE, share))
        st.caption(kit.plain(caption))


def _written(seen: Mapping[str, Any]) -> str:
    where = f" in {words.endpoint(staging)}" if (staging := seen["plan"]["staging"]) else ""
    kept = "; they stay there" if seen["shares"]["copied"] >= DONE else ""
    return f"{words.several(seen['counts']['copied'], 'record')}{where}{kept}"


def _imported(seen: Mapping[str, Any]) -> str:
    load = seen["load"]
    if load is None:
        return "nothing to import" if seen["shares"]["loaded"] >= DONE else "begins once all files are written"
    return f"{words.count(load['records'])} of {words.several(seen['counts']['copied'], 'record')}, as import {load['job']} says"
