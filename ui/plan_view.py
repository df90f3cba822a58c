"""The parts of the Plan page: what is copied, how fields map, what it takes, and the same as a command."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st
from streamlit import column_config as columns

from migrator.configs import from_data
from migrator.service import PlanOptions, command, dump_plan
from ui import cost_view, downloads, field_mapping, kit, plan_options, routing_view, schema_view, state, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.model import Collection, Plan
    from migrator.service import Inspection

COMPONENTS_SHOWN = 64


def inspected(source: str) -> Inspection:
    """Return the source's description, looked up once while one stays with that source."""
    known, found = st.session_state.get("inspected", ("", None))
    if known != source or found is None:
        with st.spinner("Looking at the source…"):
            found = state.service().inspect(source)
        st.session_state["inspected"] = (source, found)
    return found


def sampled(source: str) -> list[dict[str, Any]]:
    """Return the first records of the source, read once while one stays with it."""
    known, found = st.session_state.get("sampled", ("", None))
    if known != source or found is None:
        found = state.service().sample(source, 20)
        st.session_state["sampled"] = (source, found)
    return found


def planned(source: str, target: str, options: PlanOptions) -> Plan:
    """Return the plan, made anew only when something it depends on has changed."""
    wanted = (source, target, repr(options))
    known, found = st.session_state.get("planned", (None, None))
    if known != wanted or found is None:
        with st.spinner("Planning…"):
            found = state.service().plan(source, target, options)
        st.session_state["planned"] = (wanted, found)
    return found


def of_run(run: str) -> Plan:
    """Return the plan ``run`` was made from."""
    return from_data(state.service().status(run)["plan"])


def forget() -> None:
    """Look again at both sides the next time the page is drawn."""
    for key in ("inspected", "sampled", "planned", "routed", "shaped"):
        st.session_state.pop(key, None)


def figures(plan: Plan) -> None:
    """Draw what the run will take."""
    estimate = plan.estimate
    seconds = float(estimate["seconds"])
    vectors = estimate.get("vector_bytes")
    split = f"{words.size(vectors)} vectors, {words.size(estimate['payload_bytes'] - vectors)} ids and metadata" if vectors is not None else ""
    collection = plan.collection
    with kit.cards():
        chosen = plan.selection.namespaces
        number = len(collection.namespaces if chosen is None else chosen) if collection else 0
        most = "at most, the filter decides; " if estimate.get("filtered") else ""
        kit.card("Vectors", words.count(estimate["records"]), f"{most}in {number:,} namespace{'s' * (number != 1)}", icon=":material/bubble_chart:")
        kit.card("Payload", words.size(estimate["payload_bytes"]), split, icon=":material/hard_drive:")
        kit.card("Estimated time", words.duration(seconds), str(estimate["basis"]), icon=":material/timer:")
        if estimate.get("cost"):
            cost_view.card(estimate["cost"])
        elif collection:
            kit.card(
                "Shape", f"{collection.dimension:,} dimensions", f"{collection.metric or 'metric not recorded'} · {collection.kind}", icon=":material/category:"
            )


def namespaces(collection: Collection) -> tuple[str, ...] | None:
    """Draw the table of namespaces and return those that are ticked, None when all are."""
    names, wanted = list(collection.namespaces), st.session_state.get("plan_wanted")
    most = max(collection.namespaces.values(), default=0) or 1
    edited = st.data_editor(
        _frame(collection, wanted),
        key=f"plan_namespaces_{zlib.crc32(repr((names, wanted)).encode())}",  # other namespaces: another table, with ticks of its own
        hide_index=True,
        disabled=["namespace", "vectors", "dim", "metric", "target namespace", "risk", "metadata"],
        column_config={
            "copy": columns.CheckboxColumn("copy", width=60),
            "vectors": columns.ProgressColumn("vectors", format="localized", min_value=0, max_value=most, width="medium"),
            "dim": columns.NumberColumn("dim", width=70),
            "metric": columns.TextColumn("metric", width=80),
            "metadata": columns.ListColumn("metadata keys", help="As seen in the collection"),
        },
    )
    ticked = tuple(name for name, copied in zip(names, edited["copy"], strict=True) if copied)
    return None if len(ticked) == len(names) else ticked


def _frame(collection: Collection, wanted: tuple[str, ...] | None) -> pd.DataFrame:
    """Return one row a namespace; ticked are all, or those a plan file wanted."""
    names = list(collection.namespaces)
    return pd.DataFrame(
        {
            "copy": [wanted is None or name in wanted for name in names],
            "namespace": [words.namespace(name) for name in names],
            "vectors": list(collection.namespaces.values()),
            "dim": collection.dimension,
            "metric": collection.metric or "—",
            "target namespace": [_target_namespace(name) for name in names],
            "risk": [_risk(collection, count) for count in collection.namespaces.values()],
            "metadata": [list(collection.fields) for _ in names],
        }
    )


def _target_namespace(name: str) -> str:
    into, by = plan_options.routing()
    return into or (f"by {by}" if by else words.namespace(name))


def _risk(collection: Collection, records: int) -> str:
    if not records:
        return "empty"
    return "ok" if collection.lossless else "values are approximate"


def sample_records(records: Sequence[dict[str, Any]]) -> None:
    """Draw the first records as they will travel."""
    shown = [
        {
            "id": record["id"],
            "namespace": words.namespace(record["namespace"]),
            "values": list(record["values"][:COMPONENTS_SHOWN]),
            "metadata": record.get("metadata") or None,
        }
        for record in records
    ]
    config = {
        "id": columns.TextColumn("id", width=190),
        "namespace": columns.TextColumn("namespace", width=90),
        "values": columns.BarChartColumn(f"first {COMPONENTS_SHOWN} components", width=150),
        "metadata": columns.JsonColumn("metadata", width="medium"),
    }
    kit.table(shown, config, f"The first {len(shown)} records of the source.", height=260)


def mapping(plan: Plan) -> None:
    """Draw which source field becomes which target field."""
    rows = field_mapping.rows(plan)
    config = {name: columns.TextColumn(name) for name in ("source field", "source type", "target field", "target type")}
    config["lossless"] = columns.CheckboxColumn("lossless", width=80)
    kit.table(rows, config, f"How {len(rows)} fields of the source map to the target.")


def as_command(plan: Plan) -> None:
    """Draw the same plan as a command and as a file."""
    with st.expander("The same as a command", icon=":material/terminal:"):
        st.code(command(plan), language="bash", wrap_lines=True)
        link = downloads.text_link(dump_plan(plan), "plan.yaml")
        st.link_button("Download plan.yaml", link, icon=":material/download:")
        st.caption("Run it with: python -m migrator run plan.yaml")


def details(plan: Plan | None, source: str) -> None:
    """Draw the field mapping and the first records."""
    if plan is not None:
        st.subheader("Field mapping", anchor=False)
        mapping(plan)
        schema_view.draw(plan)
        routing_view.draw(plan)
    st.subheader("Sample records", anchor=False)
    sample_records(sampled(source))


def findings(plan: Plan) -> None:
    """Draw what to know before the run, if there is anything."""
    if plan.findings:
        st.subheader("Findings", anchor=False)
        kit.findings(plan.findings)


def lossy(plan: Plan | None) -> bool:
    """Return whether the plan loses something, so that consent is needed."""
    return plan is not None and any(finding.severity == "lossy" for finding in plan.findings)


def start(plan: Plan | None, *, nothing: bool) -> None:
    """Draw the button that starts the run, or why it cannot be pressed."""
    blocked = plan is not None and any(finding.severity == "blocking" for finding in plan.findings)
    refused = lossy(plan) and plan is not None and not plan.accept_lossy
    reasons = {"Tick at least one namespace.": nothing, "A finding above blocks the run.": blocked, "Accept the losses to go on.": refused}
    reason = next((text for text, holds in reasons.items() if holds), "")
    dry = plan_options.dry_run()
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        if reason:
            st.caption(reason, width="content")
        st.button("Look again", icon=":material/refresh:", on_click=forget)
        label = "Start dry run" if dry else "Start migration"
        if st.button(label, type="primary", icon=":material/play_arrow:", key="start", disabled=plan is None or bool(reason)) and plan is not None:
            run = state.service().start(plan, dry_run=dry, owner=state.owner())
            st.session_state["chosen_run"] = run
            st.switch_page("../pages/run.py", query_params={"run": run})
