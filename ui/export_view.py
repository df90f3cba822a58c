"""What runs left behind, to be taken along: Parquet files, the report, the rejected records, the plan; and a form to export to Parquet."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit import column_config as columns

from migrator import endpoints
from migrator.model import Endpoint
from migrator.service import PlanOptions
from ui import downloads, hosting, kit, profiles, state, words

KIND = {"parquet": "Parquet", "report": "report", "rejected": "rejected records", "differences": "differences", "plan": "plan"}


def form() -> None:
    """Draw the form that exports a collection to Parquet as a run."""
    with st.container(border=True):
        st.subheader("Export to Parquet", anchor=False)
        st.caption(
            "Writes a collection as Parquet files: ids, vectors and metadata, one folder a namespace. The export is a run: it resumes, and it is proven."
        )
        known = profiles.without_secrets(state.endpoint(state.SOURCE)) if state.endpoint(state.SOURCE) else ""
        with st.form("export", border=False):
            left, right = st.columns(2)
            source = left.text_input(
                "Collection", known, key="export_source", placeholder="milvus:products?uri=./demo.db", help="connector:resource?option=value"
            )
            folder = right.text_input("Folder or S3 address", key="export_folder", placeholder="left empty: the exports folder of this server")
            pressed = st.form_submit_button("Export", type="primary", icon=":material/output:", key="export_start")
        if pressed:
            with kit.guarded():
                _start(source.strip(), folder.strip())


def _start(source: str, folder: str) -> None:
    if not source:
        kit.failure("There is no collection to export.", "Write its endpoint, or describe it as the source on the Connect page.")
        return
    folder = folder or str(state.service().home / "exports" / _folder_name(source))
    ends = [hosting.check(text, state.service().home) for text in (source, endpoints.render(Endpoint("parquet", folder)))]
    plan = state.service().plan(*ends, PlanOptions())
    run = state.service().start(plan, owner=state.owner())
    st.session_state["chosen_run"] = run
    st.switch_page("../pages/run.py", query_params={"run": run})


def _folder_name(source: str) -> str:
    """Return a folder name for the export of ``source``: the last part of its name."""
    last = endpoints.parse(source).resource.rstrip("/").rsplit("/", 1)[-1]
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in last).lstrip(".") or "export"


def files(run: str) -> None:
    """Draw the files ``run`` left, each with its size, checksum and a link that streams it."""
    found = state.service().artifacts(run)
    st.subheader("Files", anchor=False)
    if not found:
        st.caption("This run left no files yet.")
        return
    rows = [{**file, "kind": KIND.get(file["kind"], file["kind"]), "size": words.size(file["bytes"]), "link": link(run, file)} for file in found]
    config: dict[str, Any] = {
        "link": columns.LinkColumn("", display_text="Download", width=90),
        "kind": columns.TextColumn("what", width=110),
        "name": columns.TextColumn("file", width=330),
        "size": columns.TextColumn("size", width=80),
        "sha256": columns.TextColumn("SHA-256", width=330),
    }
    kit.table(rows, config, f"{len(rows)} files of this run with their sizes and checksums.")
    st.caption("Links work for an hour. Files are streamed; an interrupted download can go on where it stopped.")


def link(run: str, file: dict[str, Any]) -> str:
    """Return the signed link to an artifact; files of a run are named after it, so that two reports do not overwrite each other."""
    name = file["name"] if file["kind"] == "parquet" else f"{run}-{file['name']}"
    return downloads.link(file["path"], name.replace("/", "-"))
