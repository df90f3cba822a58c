"""Mending a target and taking a copy back: what would happen is said first, and nothing happens without a confirmation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import streamlit as st

from migrator import endpoints
from ui import kit, state, words

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_AS_BEFORE = {
    "still_there": "are still there",
    "not_restored": "are not what they were",
    "lost": "were overwritten and not kept",
    "left": "were changed by others, and stay",
}
"""What may keep a target from being as it was, in words that follow a number."""


def offer(run: str) -> None:
    """Draw the button that opens the repair of ``run``."""
    if st.button("Repair…", icon=":material/build:", key="repair", help="Copies exactly the records that differ, and proves again."):
        _repair(run)


@st.dialog("Repair the target", width="medium", icon=":material/build:", on_dismiss="rerun")
def _repair(run: str) -> None:
    """Say what a repair would do, and start it."""
    with kit.guarded():
        preview = state.service().repairs.preview(run)
        if preview["refused"]:
            st.warning(f"This cannot be repaired: {kit.plain(preview['refused'])}", icon=":material/block:")
            return
        found = ", ".join(f"{preview[kind]:,} {kind}" for kind in ("missing", "changed", "duplicate", "extra") if preview[kind])
        st.markdown(f"The last proof found {found or 'nothing'}.")
        copies, deletes = preview["copies"], preview["deletes"]
        if copies:
            st.markdown(f":material/content_copy: **{words.several(copies, 'record')}** will be copied from the source again, over what the target has.")
        delete = bool(deletes) and st.toggle(f"Also delete the {words.several(deletes, 'record')} that only the target has", key="repair_delete")
        if delete:
            st.warning(f"{words.several(deletes, 'record')} will be deleted from the target for good.", icon=":material/delete_forever:")
        st.caption("Nothing else is touched. Afterwards both sides are compared again.")
        acts = [f"copy {copies:,}"] * bool(copies) + [f"delete {deletes:,}"] * delete
        label = f"Repair: {' and '.join(acts)}" if acts else "Nothing to repair"
        if st.button(label, type="primary", icon=":material/build:", key="repair_start", disabled=not acts):
            state.service().repairs.start(run, delete_extra=delete)
            st.rerun()


def offer_rollback(run: str, seen: Mapping[str, Any]) -> None:
    """Draw the button that opens the rollback of a copy, unless it was taken back already."""
    possible = seen["kind"] == "copy" and not seen.get("rolled_back")
    if possible and st.button("Roll back…", icon=":material/undo:", key="rollback"):
        _rollback(run, endpoints.parse(seen["target"]).resource)


@st.dialog("Roll back this copy", width="medium", icon=":material/undo:", on_dismiss="rerun")
def _rollback(run: str, target: str) -> None:
    """Say what a rollback would do, and start it once the name that it asks for was typed."""
    with kit.guarded():
        preview = state.service().rollbacks.preview(run)
        if preview["refused"]:
            st.warning(f"This copy cannot be taken back: {kit.plain(preview['refused'])}", icon=":material/block:")
            return
        if preview["action"] == "nothing":
            st.markdown(f"There is nothing to take back: {kit.plain(preview['sentence'])}.")
            return
        st.markdown(f"A rollback {kit.plain(preview['sentence'])}.")
        if preview["action"] in {"drop", "files"}:
            gone = kit.plain(target) if preview["action"] == "drop" else "These files"
            st.warning(f"{gone} will be gone for good. The source is not touched.", icon=":material/delete_forever:")
        confirm = preview["confirm"]
        typed = st.text_input(f"Type the target's name to confirm: {kit.plain(confirm)}", key="rollback_confirm").strip()
        if st.button("Roll back", type="primary", icon=":material/undo:", key="rollback_start", disabled=typed != confirm):
            state.service().rollbacks.start(run, typed)
            st.rerun()


def is_taken_back(seen: Mapping[str, Any]) -> bool:
    """Return whether a run was rolled back, wholly or midway: it can be neither resumed nor proven."""
    return bool(seen.get("rolled_back") or seen.get("rollback"))


def how_far_back(seen: Mapping[str, Any]) -> None:
    """Draw what a rollback did, or that one did not come to its end."""
    if back := seen.get("rolled_back"):
        taken_back(back)
    elif seen["status"] != "running":
        gone = "Part of what the run wrote is gone, and the run cannot be used."
        text = f"**Rolled back midway.** {gone} Roll it back again on the Verify page: it goes on where it was."
        st.warning(text, icon=":material/undo:")


def history(result: Mapping[str, Any]) -> None:
    """Draw what was mended since the copy."""
    for repair in result.get("repairs") or ():
        did = f"{words.several(repair['copied'], 'record')} copied again, {repair['deleted']:,} deleted"
        st.caption(f":material/build: Repaired {_moment(repair['finished'])}: {kit.plain(did)}.")


def taken_back(back: Mapping[str, Any]) -> None:
    """Draw what a rollback did, and whether the target is as it was: that was looked at, and is the verdict that counts now."""
    did = [f"{back['deleted']:,} records or files deleted"] * bool(back["deleted"]) + [f"{back['restored']:,} put back"] * bool(back["restored"])
    said = ", ".join(did + ["the collection dropped"] * bool(back["dropped"])) or "there was nothing to take back"
    proof = back.get("proof") or {}
    wrong = [f"{proof[name]:,} {text}" for name, text in NOT_AS_BEFORE.items() if proof.get(name)]
    text = f"**Rolled back** {_moment(back['finished'])}: {kit.plain(said)}."
    if wrong:
        st.error(f"{text} The target is not as it was: {kit.plain(', '.join(wrong))}.", icon=":material/undo:")
    elif proof:
        st.success(f"{text} The target is as it was before, {kit.plain(words.count(proof['checked']))} looked at.", icon=":material/undo:")
    else:
        st.info(text, icon=":material/undo:")


def _moment(finished: float | str) -> str:
    """Return a time of the ledger, in seconds since 1970 or as ISO text, as people read it."""
    return kit.plain(words.moment(finished if isinstance(finished, str) else datetime.fromtimestamp(finished, UTC).isoformat()))
