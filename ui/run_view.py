"""A run as it goes: status, controls, figures, charts, namespaces, rejected records and the log. Looks again by itself while it is running."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit import column_config as columns

from ui import charts, cutover_view, follow_view, kit, load_view, repair_view, run_list, run_words, state, words
from ui.run_list import FINISHED, STOPPED

RESUMABLE = frozenset({"paused", "interrupted", "failed", "cancelled"})
RECENT, FEW = 40, 4
"""Points of the small charts in the cards, and how many are too few to draw one."""


def draw(run: str) -> None:
    """Draw ``run``, again every second while it is running and every five while somebody else might go on with it."""
    seen = state.service().status(run)
    every = 1.0 if seen["status"] == "running" else 5.0 if seen["status"] in RESUMABLE else None
    if st.session_state.get("run_seen") != (run, seen["status"]):
        st.session_state["run_seen"] = (run, seen["status"])
    st.fragment(_live, run_every=every)(run)
    cutover_view.draw(run, running=seen["status"] == "running")


def _live(run: str) -> None:
    with kit.guarded():
        seen = state.service().status(run)
        if st.session_state.get("run_seen") != (run, seen["status"]):
            st.rerun()  # once: the page then knows the new state and sets its pace by it
        _head(seen)
        _outcome(seen)
        load_view.draw(seen)
        _figures(seen)
        follow_view.draw(seen)
        _charts(seen)
        _namespaces(seen)
        _rejected(seen)
        _log(seen)


def _head(seen: dict[str, Any]) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            run_list.badge(seen)
            st.caption(kit.plain(run_words.sentence(seen)), width="content")
        with st.container(horizontal=True, width="content"):
            _controls(seen)
    st.progress(max(0.0, min(1.0, seen["progress"])), text=run_words.progress_text(seen))


def _controls(seen: dict[str, Any]) -> None:
    run, status = seen["run"], seen["status"]
    service, asked = state.service(), bool(seen["asked"])
    if status == "running":
        _control("Pause", ":material/pause:", service.pause, run, disabled=asked)
    if status in RESUMABLE and not repair_view.is_taken_back(seen):
        _control("Resume", ":material/play_arrow:", service.resume, run, primary=True)
    if status == "running" or (status in STOPPED and not repair_view.is_taken_back(seen)) or (status == "failed" and load_view.stopped(seen)):
        _control("Cancel", ":material/stop:", service.cancel, run, disabled=asked)
    found = "See the proof" if status == "proven" else "See what was found"
    if status in FINISHED and seen["kind"] != "dry-run" and st.button(found, icon=":material/fact_check:", type="primary", key="to_verify"):
        st.switch_page("../pages/verify.py", query_params={"run": run})


def _control(label: str, icon: str, act: Any, run: str, *, primary: bool = False, disabled: bool = False) -> None:
    """Draw a button that steers the run. What was asked shows in the next status, in every tab; a refusal shows at once."""
    if st.button(label, icon=icon, key=f"control_{label.lower()}", type="primary" if primary else "secondary", disabled=disabled):
        act(run)
        st.rerun()


def _outcome(seen: dict[str, Any]) -> None:
    if seen["error"]:
        kit.failure(seen["error"]["message"], seen["error"].get("fix", ""))
    if repair_view.is_taken_back(seen):
        repair_view.how_far_back(seen)
    elif seen["status"] == "failed":
        stays = f"Failed. What was written stays in {load_view.where(seen)}."
        st.info(f"{stays} Once the cause is mended, resume it: it goes on after its last checkpoint. {load_view.stopped(seen)}", icon=":material/error:")
    elif not seen["error"]:
        _ended(seen)


def _ended(seen: dict[str, Any]) -> None:
    counts, status = seen["counts"], seen["status"]
    if status == "interrupted":
        going_on = f"Nothing is lost: resume it, it goes on after its last checkpoint. {load_view.stopped(seen)}"
        st.warning(f"The process that ran this was stopped. {going_on}", icon=":material/power_off:")
    elif status == "cancelled":
        stays = f"What was written stays in {load_view.where(seen)}, and the figures below are those at the end."
        st.info(f"Cancelled. {stays} {load_view.stopped(seen)}", icon=":material/stop:")
    elif seen["kind"] == "dry-run" and status in FINISHED:
        would = f"{words.count(counts['copied'])} would be copied" + (f", {words.count(counts['rejected'])} would be rejected" if counts["rejected"] else "")
        st.info(f"Dry run done: every record was read and mapped, nothing was written. {would}.", icon=":material/science:")
    elif status == "incomplete":
        st.warning(f"**Incomplete.** {words.incomplete(seen)}", icon=":material/pending:")
    elif status == "differs":
        st.error("**Not the same.** Source and target do not hold the same records.", icon=":material/difference:")


def _figures(seen: dict[str, Any]) -> None:
    with kit.cards():
        _speed(seen)
        _time(seen)
        if seen["kind"] == "dry-run":  # which writes no batch
            kit.card("Would be copied", words.count(seen["counts"]["copied"]), "nothing is written", icon=":material/science:")
        else:
            _latency(seen)
        _losses(seen)
        _verified(seen)


def _speed(seen: dict[str, Any]) -> None:
    rates = [] if seen["phase"] == "importing" else [point[1] for point in seen["throughput"][-RECENT:]]  # those are of what was written to the files
    caption = "" if rates[FEW:] else "records a second"
    kit.card("Throughput", f"{words.count(seen['records_per_second'])} /s", caption, icon=":material/speed:", chart=rates[FEW:] and rates)


def _time(seen: dict[str, Any]) -> None:
    if seen["status"] == "running":
        kit.card("Time left", words.duration(seen["eta_seconds"]), run_words.basis(seen), icon=":material/timer:")
    else:
        ended = f"ended {words.moment(seen['finished'])}" if seen["finished"] else ""
        kit.card("Time taken", words.duration(seen["seconds"]), ended, icon=":material/timer:")


def _latency(seen: dict[str, Any]) -> None:
    latencies, p95 = seen["latencies_ms"][-RECENT:], seen["latency_p95_ms"]
    caption = "" if latencies[FEW:] else f"of {words.several(len(latencies), 'batch', 'batches')}" if latencies else "no batch yet"
    value = "—" if p95 is None else words.milliseconds(p95 / 1000)
    kit.card("Batch latency p95", value, caption, icon=":material/network_check:", chart=latencies[FEW:] and latencies)


def _losses(seen: dict[str, Any]) -> None:
    counts = seen["counts"]
    copied = "would be copied" if seen["kind"] == "dry-run" else "copied"
    accounted = f"{words.count(counts['copied'])} {copied}, {words.count(counts['vanished'])} vanished, {words.count(counts['duplicate'])} duplicate"
    if counts["rejected"]:
        kit.card("Rejected records", words.count(counts["rejected"]), "kept with their reasons", icon=":material/error:", tone="red")
    else:
        kit.card("Rejected records", "0", accounted, icon=":material/error:")


def _verified(seen: dict[str, Any]) -> None:
    """Draw what the batches read back came to, where the plan asked for that."""
    if (found := seen["verified_batches"]) is None or seen["kind"] == "dry-run":
        return
    differed = found["differences"]
    said = f"{words.several(differed, 'record')} differed at first" if differed else f"{words.several(found['records'], 'record')} as they were written"
    kit.card("Batches verified", words.count(found["batches"]), said, icon=":material/rule:", tone="red" if differed else "")


def _charts(seen: dict[str, Any]) -> None:
    if not seen["throughput"]:
        return
    left, right = st.columns([3, 2])
    with left:
        kit.chart("Throughput", charts.throughput(seen["throughput"], seen["seconds"] if seen["phase"] == "copying" else 0.0), "chart_throughput")
    with right:
        latest = len(seen["batches"])
        kit.chart(
            f"Batch sizes · last {latest:,}" if seen["counts"]["copied"] > sum(seen["batches"]) else "Batch sizes",
            charts.batch_sizes(seen["batches"]),
            "chart_batches",
        )


def _namespaces(seen: dict[str, Any]) -> None:
    rows = [
        {
            "namespace": words.namespace(row["name"]),
            "progress": min(100.0, 100.0 * (row["done"] + row["rejected"]) / row["total"]) if row["total"] else 100.0,
            "done": row["done"],
            "total": row["total"],
            "rejected": row["rejected"],
        }
        for row in seen["namespaces"]
    ]
    if not rows:
        return
    number = columns.NumberColumn
    config = {
        "namespace": columns.TextColumn("namespace"),
        "progress": columns.ProgressColumn("progress", format="%.0f %%", min_value=0, max_value=100, width="large"),
        "done": number("done", format="localized"),
        "total": number("total", format="localized"),
        "rejected": number("rejected", format="localized"),
    }
    kit.table(rows, config, f"Progress of {words.several(len(rows), 'namespace')}.")


def _rejected(seen: dict[str, Any]) -> None:
    """Draw the first rejected records and the link to all of them."""
    total = seen["counts"]["rejected"]
    if not total:
        return
    st.subheader("Rejected records", anchor=False)
    sample = seen["rejected_sample"]
    copied = "would not be copied" if seen["kind"] == "dry-run" else "were not copied"
    st.caption(f"The first {len(sample):,} of {total:,}. They {copied}; the file on the Export page has each of them whole.")
    config = {name: columns.TextColumn(name) for name in ("namespace", "id", "code", "field", "message")}
    kit.table([{**row, "namespace": words.namespace(row["namespace"])} for row in sample], config, f"{len(sample)} rejected records with their reasons.")


def _log(seen: dict[str, Any]) -> None:
    lines = [f"{line['time'][11:19]} {line['level'].upper():<7} {' '.join(line['message'].split())}" for line in seen["log"]]
    with st.expander("Log", icon=":material/terminal:", expanded=True, key="run_log"):
        st.code("\n".join(lines[-200:]) or "Nothing logged yet.", language="log", height=260 if len(lines) > 9 else "content")
