"""What a search is to be measured with: how many queries, one's own or sampled, how many neighbours, and what is enough."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from demo import build
from migrator import service as verbs
from migrator.errors import ConfigError
from ui import demo_data, kit, state, uploads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OWN_TYPES = ["npy", "json", "jsonl", "parquet"]
OWN_HELP = 'A NumPy matrix, JSON or JSON lines of vectors or of {"values": […], "id", "namespace", "filter"}, or Parquet with a column of vectors.'


@st.dialog("Measure search quality", width="medium", icon=":material/target:", on_dismiss="rerun")
def ask(run: str, namespaces: Sequence[str]) -> None:
    """Ask for the options, and measure ``run`` in the background."""
    with kit.guarded():
        st.caption("Asks both sides each query, reads the target's records once to compute the exact answers, and writes nothing.")
        left, middle, right = st.columns(3)
        samples = left.number_input("Queries", 1, 10_000, 200, key="search_samples", help="Stored vectors, spread over the namespaces.")
        neighbours = middle.number_input("Neighbours (k)", 1, 1_000, 10, key="search_k")
        threshold = right.number_input("Recall that is enough", 0.01, 1.0, 0.95, 0.01, key="search_threshold")
        own = st.file_uploader("Your own queries instead (optional)", OWN_TYPES, key="search_queries", help=OWN_HELP)
        shipped = demo_data.is_source(state.service().status(run)["source"]) and st.toggle("Ask the demo's questions", key="search_demo")
        text = st.text_input(
            "Filter (optional)", key="search_filter", placeholder='{"year": {"$gte": 1900}}', help="In Pinecone's filter language, of every query."
        )
        chosen = st.multiselect("Namespaces", namespaces, format_func=lambda name: name or "(default)", key="search_namespaces", placeholder="all of them")
        if st.button("Measure", type="primary", icon=":material/play_arrow:", key="search_start"):
            options = verbs.SearchOptions(
                samples=int(samples),
                k=int(neighbours),
                queries=build.QUESTIONS if shipped else _kept(own),
                filter=_filter(text),
                threshold=float(threshold),
                namespaces=tuple(chosen) or None,
            )
            state.service().searches.start(run, options)
            st.rerun()


def _kept(own: Any) -> Path | None:
    """Return where the uploaded queries lie on disk: the run reads them later, and again when it is gone on with."""
    if own is None:
        return None
    return uploads.keep(own, state.service().uploads).folder / uploads.safe_name(own.name)


def _filter(text: str) -> dict[str, Any] | None:
    """Return the filter that was typed. Raise ``ConfigError`` when it is no JSON object."""
    if not text.strip():
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the filter is no JSON: {error}", fix='write an object such as {"year": {"$gte": 1900}}', code="bad_filter") from None
    if not isinstance(found, dict):
        raise ConfigError("the filter is no JSON object", fix='write an object such as {"year": {"$gte": 1900}}', code="bad_filter")
    return found
