"""A run as it goes: status, controls, figures, charts, namespaces, rejected records and the log. Looks again by itself while it is running."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit import column_config as columns

from ui import charts, kit, state, words

FINISHED = frozenset({"proven", "differs", "incomplete"})
RESUMABLE = frozenset({"paused", "interrupted", "failed", "cancelled"})
ASKED = {"Pause": "pausing after the batches under way", "Cancel": "cancelling after the batches under way"}
RECENT, FEW = 40, 4
"""Points of the small charts in the cards, and how many are too few to draw one."""
PHASE = {"preparing": "preparing", "copying": "copying", "finishing": "finishing the target", "verifying": "proving"}


def draw(run: str) -> None:
    """Draw ``run``, again every second while it is running and every five while somebody else might go on with it."""
    seen = state.service().status(run)
    every = 1.0 if seen["status"] == "running" else 5.0 if seen["status"] in RESUMABLE else None
    if st.session_state.get("run_seen") != (run, seen["status"]):
        st.session_state["run_seen"] = (run, seen["status"])
        st.session_state.pop("run_asked", None)
    st.fragment(_live, run_every=every)(run)


def _live(run: str) -> None:
    with kit.guarded():
        seen = state.service().status(run)
        if st.session_state.get("run_seen") != (run, seen["status"]):
            st.rerun()  # once: the page then knows the new state and sets its pace by it
        _head(seen)
        _outcome(seen)
        _figures(seen)
        _charts(seen)
        _namespaces(seen)
        _rejected(seen)
        _log(seen)


def _head(seen: dict[str, Any]) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            kit.badge(seen["status"])
            st.caption(kit.plain(_sentence(seen)), width="content")
        with st.container(horizontal=True, width="content"):
            _controls(seen)
    share = max(0.0, min(1.0, seen["progress"]))
    st.progress(share, text=words.percent(share))


def _sentence(seen: dict[str, Any]) -> str:
    scanned, total = seen["counts"]["scanned"], seen["total"]
    words_ = [f"{words.count(scanned)} of {words.count(total)} records"] if total else []
    if seen["status"] == "running":
        words_.insert(0, ASKED.get(_asked(seen["run"]), PHASE.get(seen["phase"], "")) or "starting")
    words_.append(f"{words.duration(seen['seconds'])} elapsed")
    if seen["attempt"] > 1:
        words_.append(f"attempt {seen['attempt']}")
    if seen["kind"] == "dry-run":
        words_.append("dry run, nothing is written")
    return " · ".join(words_)


def _controls(seen: dict[str, Any]) -> None:
    run, status = seen["run"], seen["status"]
    service = state.service()
    if status == "running":
        _control("Pause", ":material/pause:", service.pause, run)
    if status in RESUMABLE:
        _control("Resume", ":material/play_arrow:", service.resume, run, primary=True)
    if status in {"running", "paused", "interrupted"}:
        _control("Cancel", ":material/stop:", service.cancel, run)
    if status in FINISHED and seen["kind"] != "dry-run" and st.button("See the proof", icon=":material/fact_check:", type="primary", key="to_verify"):
        st.switch_page("../pages/verify.py", query_params={"run": run})


def _control(label: str, icon: str, act: Any, run: str, *, primary: bool = False) -> None:
    """Draw a button that steers the run. What was asked shows in the next status; a refusal shows at once."""
    if st.button(label, icon=icon, key=f"control_{label.lower()}", type="primary" if primary else "secondary", disabled=_asked(run) == label):
        act(run)
        st.session_state["run_asked"] = (run, label)
        st.rerun()


def _asked(run: str) -> str:
    """Return what was asked of ``run`` in this session and has not come about yet."""
    asked_run, label = st.session_state.get("run_asked", ("", ""))
    return label if asked_run == run else ""


def _outcome(seen: dict[str, Any]) -> None:
    if seen["error"]:
        kit.failure(seen["error"]["message"], seen["error"].get("fix", ""))
    elif seen["status"] == "interrupted":
        st.warning("The process that ran this was stopped. Nothing is lost: resume it, it goes on after its last checkpoint.", icon=":material/power_off:")
    elif seen["status"] == "cancelled":
        st.info("Cancelled. What was written stays in the target, and the figures below are those at the end.", icon=":material/stop:")
    elif seen["kind"] == "dry-run" and seen["status"] in FINISHED:
        st.success("Dry run done: every record was read and mapped, nothing was written.", icon=":material/check:")


def _figures(seen: dict[str, Any]) -> None:
    with kit.cards():
        _speed(seen)
        _time(seen)
        _latency(seen)
        _losses(seen)


def _speed(seen: dict[str, Any]) -> None:
    rates = [point[1] for point in seen["throughput"][-RECENT:]]
    caption = "" if rates[FEW:] else "records a second"
    kit.card("Throughput", f"{words.count(seen['records_per_second'])} /s", caption, icon=":material/speed:", chart=rates[FEW:] and rates)


def _time(seen: dict[str, Any]) -> None:
    if seen["status"] == "running":
        kit.card("Time left", words.duration(seen["eta_seconds"]), _basis(seen), icon=":material/timer:")
    else:
        ended = f"ended {words.moment(seen['finished'])}" if seen["finished"] else ""
        kit.card("Time taken", words.duration(seen["seconds"]), ended, icon=":material/timer:")


def _latency(seen: dict[str, Any]) -> None:
    latencies, p95 = seen["latencies_ms"][-RECENT:], seen["latency_p95_ms"]
    caption = "" if latencies[FEW:] else f"of {len(latencies)} batches" if latencies else "no batch yet"
    value = "—" if p95 is None else f"{p95:,.0f} ms"
    kit.card("Batch latency p95", value, caption, icon=":material/network_check:", chart=latencies[FEW:] and latencies)


def _losses(seen: dict[str, Any]) -> None:
    counts = seen["counts"]
    accounted = f"{words.count(counts['copied'])} copied, {words.count(counts['vanished'])} vanished, {words.count(counts['duplicate'])} duplicate"
    if counts["rejected"]:
        kit.card("Rejected records", words.count(counts["rejected"]), "kept with their reasons", icon=":material/error:", tone="red")
    else:
        kit.card("Rejected records", "0", accounted, icon=":material/error:")


def _basis(seen: dict[str, Any]) -> str:
    return "at the speed of the last 10 s" if seen["eta_seconds"] is not None else PHASE.get(seen["phase"], "")


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
            "progress": 100.0 * row["done"] / row["total"] if row["total"] else 100.0,
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
    kit.table(rows, config, f"Progress of {len(rows)} namespaces.")


def _rejected(seen: dict[str, Any]) -> None:
    """Draw the first rejected records and the link to all of them."""
    total = seen["counts"]["rejected"]
    if not total:
        return
    st.subheader("Rejected records", anchor=False)
    sample = seen["rejected_sample"]
    st.caption(f"The first {len(sample):,} of {total:,}. They were not copied; the file on the Export page has each of them whole.")
    config = {name: columns.TextColumn(name) for name in ("namespace", "id", "code", "field", "message")}
    kit.table([{**row, "namespace": words.namespace(row["namespace"])} for row in sample], config, f"{len(sample)} rejected records with their reasons.")


def _log(seen: dict[str, Any]) -> None:
    lines = [f"{line['time'][11:19]} {line['level'].upper():<7} {' '.join(line['message'].split())}" for line in seen["log"]]
    with st.expander("Log", icon=":material/terminal:", expanded=True, key="run_log"):
        st.code("\n".join(lines[-200:]) or "Nothing logged yet.", language="log", height=260 if len(lines) > 9 else "content")
