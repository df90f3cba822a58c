"""The proof of a run: the verdict first, then the figures behind it, the differences, and one record on both sides."""

from __future__ import annotations

from typing import Any

import streamlit as st

from migrator.errors import MigratorError
from migrator.service import SHORTFALLS
from ui import charts, difference_view, kit, run_list, run_words, state, words

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
        run_list.badge(seen)
        st.caption("Reading both sides and comparing…" if seen["phase"] == "verifying" else DESCRIPTIONS["running"], width="content")
    st.progress(seen["progress"], text=run_words.progress_text(seen))


def _unproven(seen: dict[str, Any]) -> None:
    with st.container(border=True):
        run_list.badge(seen)
        why = DESCRIPTIONS.get(seen["status"], "This run has not been proven yet.")
        st.markdown("A dry run writes nothing, so there is nothing to prove." if seen["kind"] == "dry-run" else why)
        if seen["error"]:
            kit.failure(seen["error"]["message"], seen["error"].get("fix", ""))
        if st.button("Go to the run", icon=":material/play_circle:", key="to_run"):
            st.switch_page("../pages/run.py", query_params={"run": seen["run"]})


def _verdict(result: dict[str, Any]) -> None:
    """Draw the verdict in the words of whoever has to sign it off."""
    counts, verdict = result["counts"], result["verdict"]
    _explained(result, "dimension_differs")
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
        st.warning(f"**Incomplete.** {words.incomplete(result)}", icon=":material/pending:")
    for code in SHORTFALLS:
        _explained(result, code)


def _explained(result: dict[str, Any], code: str) -> None:
    """Draw the finding that explains the verdict, if there is one of this ``code``."""
    for finding in result.get("findings", []):
        if finding["code"] == code:
            kit.failure(finding["message"], finding["fix"])


def _figures(result: dict[str, Any]) -> None:
    with kit.cards():
        _records(result)
        _digests(result["digests"])
        changed, alike = _sum(result, "changed"), "values and metadata equal" if _matched(result) else "no record is on both sides"
        caption = "values or metadata differ" if changed else alike
        kit.card("Changed records", words.count(changed), caption, icon=":material/data_object:", tone="red" if changed else "")
        if result["kind"] == "verify":
            _namespaces(result["namespaces"])
        else:
            rejected = result["counts"]["rejected"]
            caption = "not copied, see the Run page" if rejected else "every record could be copied"
            kit.card("Rejected records", words.count(rejected), caption, icon=":material/error:", tone="orange" if rejected else "")


def _sum(result: dict[str, Any], key: str) -> int:
    return sum(row[key] for row in result["namespaces"].values())


def _matched(result: dict[str, Any]) -> bool:
    """Return whether any record is on both sides."""
    return any(row["source"] > row["missing"] and row["target"] > row["extra"] for row in result["namespaces"].values())


def _records(result: dict[str, Any]) -> None:
    """Draw the records of both sides: the namespaces' counts leave out what was rejected, which the source has all the same."""
    missing, extra, left_out = _sum(result, "missing"), _sum(result, "extra"), words.left_out(result)
    gap = f"{words.count(missing)} missing, {words.count(extra)} extra" if missing or extra else "" if left_out else "none missing, none extra"
    gap = ", ".join(part for part in (left_out, gap) if part)
    value = f"{words.count(_sum(result, 'target'))} / {words.count(_sum(result, 'source') + words.not_expected(result))}"
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
    """Draw the counts of the namespaces, in a chart where there is something to see and in a sentence where there is not."""
    namespaces = result["namespaces"]
    left_out = words.not_expected(result)
    title = f"Counts per namespace · source less the {left_out:,} left out" if left_out else "Counts per namespace"
    if len(namespaces) < 2 or all(row["source"] == row["target"] for row in namespaces.values()):
        if len(namespaces) > 1:
            kit.chart(title, charts.counts(namespaces), "chart_counts")
        st.caption(kit.plain(_agreement(result)))
        return
    left, right = st.columns(2)
    with left:
        kit.chart(title, charts.counts(namespaces), "chart_counts")
    with right:
        kit.chart("Difference of the counts", charts.count_differences(namespaces), "chart_deltas")


def _agreement(result: dict[str, Any]) -> str:
    """Return the difference of the counts in a sentence, where a chart would have a single bar or none."""
    namespaces = result["namespaces"]
    of = f", without those left out ({left_out})" if (left_out := words.left_out(result)) else ""
    if not namespaces:
        return f"There is nothing to count on either side{of}."
    if all(row["source"] == row["target"] for row in namespaces.values()):
        where = f"all {len(namespaces):,} namespaces" if len(namespaces) > 1 else "the one namespace there is"
        return f"Counts agree in {where}{of}."
    ((name, row),) = namespaces.items()
    return f"Counts differ in {words.namespace(name)}: {words.count(row['target'])} in the target, {words.count(row['source'])} in the source{of}."


def _actions(run: str, seen: dict[str, Any]) -> None:
    with st.container(horizontal=True):
        if st.button("Verify again", icon=":material/replay:", key="verify_again", help="Reads both sides as they are now."):
            state.service().start_verify(run)
            st.rerun()
        kit.download("Download the report", state.service().report(run), name=f"report-{run}.html", icon=":material/description:")
        if st.button("Go to export", icon=":material/download:", key="to_export"):
            st.switch_page("../pages/export.py", query_params={"run": seen["run"]})
