"""The proof of a run: the verdict first, then the figures behind it, the differences, the search, and what can be done about them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from migrator.errors import MigratorError
from migrator.service import SHORTFALLS
from ui import difference_view, kit, proof_charts, proof_options, repair_view, run_list, run_words, search_view, state, verify_cards, words

DOING = {
    "verifying": "Reading both sides and comparing…",
    "repairing": "Copying the records that differ again; then both sides are compared…",
    "rolling back": "Taking the copy back…",
    "searching": "Asking both sides the same queries…",
}
"""By the phase of a finished run with which something is done again."""
DESCRIPTIONS = {
    "running": "This run is still going; its proof comes at the end.",
    "paused": "This run is paused. Resume it on the Run page; its proof comes at the end.",
    "interrupted": "This run was interrupted. Resume it on the Run page; its proof comes at the end.",
    "cancelled": "This run was cancelled before it was proven.",
    "failed": "This run failed before it was proven. The Run page says why and how to go on.",
}


def draw(run: str) -> None:
    """Draw the proof of ``run``, or why there is none yet; a proof that is under way is watched."""
    seen = state.service().status(run)
    if seen["kind"] == "dry-run":
        _unproven(seen)
        return
    active = seen["status"] == "running"
    st.session_state["verify_seen"] = (run, seen["status"])
    if active:
        st.fragment(_watch, run_every=1.0)(run)
        return
    try:
        result = state.service().result(run)
    except MigratorError as error:
        if error.code != "no_result":
            raise
        _unproven(seen)
        return
    _proof(run, seen, result)


def _proof(run: str, seen: dict[str, Any], result: dict[str, Any]) -> None:
    """Draw a proof that is done, and what was done since."""
    if seen["error"]:
        kit.failure(seen["error"]["message"], seen["error"].get("fix", ""))
        st.caption("What was asked for last could not be finished. Below is the proof before it.")
    elif seen["status"] in run_list.STOPPED and not repair_view.is_taken_back(seen):
        _stopped(seen)
    if repair_view.is_taken_back(seen):
        repair_view.how_far_back(seen)
        st.caption("The figures below are those of the proof before that.")
        verify_cards.draw(result)
    else:
        _verdict(result)
        repair_view.history(result)
        verify_cards.draw(result)
        proof_charts.draw(run, result)
        difference_view.draw(run, result)
        search_view.draw(run, result)
    _actions(run, seen)


def _stopped(seen: dict[str, Any]) -> None:
    """Say that a newer proof, repair or search was begun and stopped: the verdict below knows nothing of it."""
    what = "A repair of this run was begun and stopped, and part of it may be done" if seen.get("repair") else "What was asked for last was begun and stopped"
    st.warning(f"{what}. Below is the proof before it. Resume it on the Run page.", icon=":material/power_off:")
    if st.button("Go to the run", icon=":material/play_circle:", key="to_run"):
        st.switch_page("../pages/run.py", query_params={"run": seen["run"]})


def _watch(run: str) -> None:
    seen = state.service().status(run)
    if st.session_state.get("verify_seen") != (run, seen["status"]):
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        run_list.badge(seen)
        st.caption(DOING.get(seen["phase"], DESCRIPTIONS["running"]), width="content")
    st.progress(seen["progress"], text=run_words.progress_text(seen))


def _unproven(seen: dict[str, Any]) -> None:
    with st.container(border=True):
        run_list.badge(seen)
        why = DESCRIPTIONS.get(seen["status"], "This run has not been proven yet.")
        st.markdown("A dry run writes nothing, so there is nothing to prove." if seen["kind"] == "dry-run" else why)
        if seen["error"]:
            kit.failure(seen["error"]["message"], seen["error"].get("fix", ""))
        if repair_view.is_taken_back(seen):
            repair_view.how_far_back(seen)
        with st.container(horizontal=True):
            if st.button("Go to the run", icon=":material/play_circle:", key="to_run"):
                st.switch_page("../pages/run.py", query_params={"run": seen["run"]})
            repair_view.offer_rollback(seen["run"], seen)


def _verdict(result: dict[str, Any]) -> None:
    """Draw the verdict in the words of whoever has to sign it off."""
    counts, verdict = result["counts"], result["verdict"]
    _explained(result, "dimension_differs")
    when = "" if result["kind"] == "verify" else f" {words.count(counts['copied'])} records were copied"
    if verdict == "proven" and (partial := words.partial(result)):
        text = f"**Nothing differs, as far as was looked.** {kit.plain(partial[:1].upper() + partial[1:])}."
        st.success(text, icon=":material/verified:")
    elif verdict == "proven" and not any(row["source"] or row["target"] for row in result["namespaces"].values()):
        st.success("**Proven.** Both sides are empty: there is nothing that could differ.", icon=":material/verified:")
    elif verdict == "proven":
        read = "Both sides were read anew" if result.get("compared_with") == "source" else "The target was read back"
        text = f"**Proven.** {read} and every record is the same: nothing lost, nothing doubled, nothing altered.{when and when + '.'}"
        st.success(text, icon=":material/verified:")
    elif verdict == "differs":
        number = result.get("differences_total", len(result["differences"]))
        differ = f"{words.count(number)} {'records differ' if number != 1 else 'record differs'} between source and target"
        if verify_cards.level(result) == "counts":
            differ = f"The counts of source and target differ by {words.several(number, 'record')}"
        looked = f" {kit.plain(partial[:1].upper() + partial[1:])}." if (partial := words.partial(result)) else ""
        text = f"**Not the same.** {differ}.{looked} Do not cut over before {'it is' if number == 1 else 'they are'} explained."
        st.error(text, icon=":material/difference:")
    else:
        st.warning(f"**Incomplete.** {words.incomplete(result)}", icon=":material/pending:")
    for code in SHORTFALLS:
        _explained(result, code)


def _explained(result: dict[str, Any], code: str) -> None:
    """Draw the finding that explains the verdict, if there is one of this ``code``."""
    for finding in result.get("findings", []):
        if finding["code"] == code:
            kit.failure(finding["message"], finding["fix"])


def _actions(run: str, seen: dict[str, Any]) -> None:
    """Draw what can be done with the run now."""
    st.divider()
    with st.container(horizontal=True):
        if not repair_view.is_taken_back(seen) and st.button(
            "Verify again…", icon=":material/replay:", key="verify_again", help="Reads the sides as they are now."
        ):
            proof_options.again(run)
        kit.download("Download the report", state.service().report(run), name=f"report-{run}.html", icon=":material/description:")
        if st.button("Go to export", icon=":material/download:", key="to_export"):
            st.switch_page("../pages/export.py", query_params={"run": seen["run"]})
        repair_view.offer_rollback(run, seen)
