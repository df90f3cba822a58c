"""The proof of a run: the verdict first, then the figures behind it, the differences, and one record on both sides."""

from __future__ import annotations

from typing import Any

import streamlit as st

from migrator.errors import MigratorError
from ui import charts, difference_view, kit, state, words

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
    if seen["error"]:
        kit.failure(seen["error"]["message"], seen["error"].get("fix", ""))
        st.caption("The last verification could not be finished. Below is the one before it.")
    _verdict(result)
    _figures(result)
    _charts(result)
    difference_view.draw(run, result)
    _actions(run, seen)


def _watch(run: str) -> None:
    seen = state.service().status(run)
    if st.session_state.get("verify_seen") != (run, seen["status"]):
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        kit.badge(seen["status"])
        st.caption("Reading both sides and comparing…" if seen["phase"] == "verifying" else DESCRIPTIONS["running"], width="content")
    st.progress(seen["progress"], text=words.percent(seen["progress"]))


def _unproven(seen: dict[str, Any]) -> None:
    with st.container(border=True):
        kit.badge(seen["status"])
        st.markdown(DESCRIPTIONS.get(seen["status"], "This run has not been proven yet."))
        if seen["error"]:
            kit.failure(seen["error"]["message"], seen["error"].get("fix", ""))
        if st.button("Go to the run", icon=":material/play_circle:", key="to_run"):
            st.switch_page("../pages/run.py", query_params={"run": seen["run"]})


def _verdict(result: dict[str, Any]) -> None:
    """Draw the verdict in the words of whoever has to sign it off."""
    counts, verdict = result["counts"], result["verdict"]
    when = "" if result["kind"] == "verify" else f" {words.count(counts['copied'])} records were copied"
    if verdict == "proven":
        read = "Both sides were read anew" if result.get("compared_with") == "source" else "The target was read back"
        text = f"**Proven.** {read} and every record is the same: nothing lost, nothing doubled, nothing altered.{when and when + '.'}"
        st.success(text, icon=":material/verified:")
    elif verdict == "differs":
        number = result.get("differences_total", len(result["differences"]))
        number = f"{words.count(number)} {'records differ' if number != 1 else 'record differs'}"
        text = f"**Not the same.** {number} between source and target. Do not cut over before they are explained."
        st.error(text, icon=":material/difference:")
    else:
        number, whole = words.count(counts["rejected"]), words.count(counts["scanned"])
        text = f"**Incomplete.** {number} of {whole} records were rejected and are not in the target. Everything that was copied is the same."
        if not counts["rejected"]:
            text = "**Incomplete.** Not every record of the source is accounted for; the findings below say why."
        st.warning(text, icon=":material/pending:")
    for finding in result.get("findings", []):
        if finding["code"] == "scan_incomplete":
            kit.failure(finding["message"], finding["fix"])


def _figures(result: dict[str, Any]) -> None:
    with kit.cards():
        _records(result)
        _digests(result["digests"])
        changed = _sum(result, "changed")
        caption = "values or metadata differ" if changed else "values and metadata equal"
        kit.card("Changed records", words.count(changed), caption, icon=":material/data_object:", tone="red" if changed else "")
        if result["kind"] == "verify":
            _namespaces(result["namespaces"])
        else:
            rejected = result["counts"]["rejected"]
            caption = "not copied, see the Run page" if rejected else "every record could be copied"
            kit.card("Rejected records", words.count(rejected), caption, icon=":material/error:", tone="orange" if rejected else "")


def _sum(result: dict[str, Any], key: str) -> int:
    return sum(row[key] for row in result["namespaces"].values())


def _records(result: dict[str, Any]) -> None:
    missing, extra = _sum(result, "missing"), _sum(result, "extra")
    gap = f"{words.count(missing)} missing, {words.count(extra)} extra" if missing or extra else "none missing, none extra"
    value = f"{words.count(_sum(result, 'target'))} / {words.count(_sum(result, 'source'))}"
    kit.card("Records in target / source", value, gap, icon=":material/tag:", tone="red" if missing else "")


def _digests(digests: dict[str, str]) -> None:
    source, target = digests["source"][:8], digests["target"][:8]
    if digests["source"] == digests["target"]:
        kit.card("Digests", "equal", f"{source}… on both sides", icon=":material/fingerprint:")
    else:
        kit.card("Digests", "not equal", f"{source}… and {target}…", icon=":material/fingerprint:", tone="red")


def _namespaces(namespaces: dict[str, dict[str, int]]) -> None:
    unequal = sum(bool(row["missing"] or row["extra"] or row["changed"]) for row in namespaces.values())
    caption = f"{unequal:,} of them differ" if unequal else "all of them equal"
    kit.card("Namespaces", words.count(len(namespaces)), caption, icon=":material/folder:", tone="red" if unequal else "")


def _charts(result: dict[str, Any]) -> None:
    left, right = st.columns(2)
    with left:
        kit.chart("Counts per namespace", charts.counts(result["namespaces"]), "chart_counts")
    with right:
        kit.chart("Difference of the counts", charts.count_differences(result["namespaces"]), "chart_deltas")


def _actions(run: str, seen: dict[str, Any]) -> None:
    with st.container(horizontal=True):
        if st.button("Verify again", icon=":material/replay:", key="verify_again", help="Reads both sides as they are now."):
            state.service().start_verify(run)
            st.rerun()
        kit.download("Download the report", state.service().report(run), name=f"report-{run}.html", icon=":material/description:")
        if st.button("Go to export", icon=":material/download:", key="to_export"):
            st.switch_page("../pages/export.py", query_params={"run": seen["run"]})
