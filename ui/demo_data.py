"""One click to something that works: the shipped passages in a Faiss index for Milvus Lite, or in a pod index of a local Pinecone."""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING

import streamlit as st

from demo import build
from migrator.errors import MigratorError
from ui import endpoint_card, kit, state, stores

if TYPE_CHECKING:
    from migrator.local_pinecone.server import Server

_lock = threading.Lock()
_pinecone: Server | None = None


def button() -> None:
    """Draw the offers; they are made as long as nothing is described yet."""
    if problem := st.session_state.pop("demo_problem", None):
        kit.failure(*problem)
    if any(state.endpoint(side) for side in state.SIDES):
        return
    with st.container(horizontal=True, vertical_alignment="center", border=True):
        st.markdown("**New here?** Try it with 7,764 passages of presidents' addresses; nothing leaves this machine.", width="stretch")
        st.button("Use the demo", icon=":material/experiment:", key="use_demo", on_click=_fill, help="A Faiss index into a Milvus Lite file.")
        st.button(
            "Pods → serverless",
            icon=":material/cloud_sync:",
            key="use_pods",
            on_click=_fill_pods,
            help="Between two indexes of a local stand-in for Pinecone.",
        )


def is_source(described: str) -> bool:
    """Return whether an endpoint is one of the demo's, for which it has questions."""
    return f"{state.service().home / 'demo'}/" in described or (_pinecone is not None and _pinecone.url in described)


def _fill() -> None:
    """Build the demo if it is not there and fill both cards."""
    folder = state.service().home / "demo"
    try:
        build.build(folder)
        _describe(build.endpoints(folder))
        st.session_state["plan_namespace_from"] = build.NAMESPACE_FIELD
    except MigratorError as error:
        st.session_state["demo_problem"] = (error.message, error.fix)


def _fill_pods() -> None:
    """Start the local Pinecone if it does not run yet and fill both cards."""
    from demo import pods  # noqa: PLC0415 - with it come gRPC and a web server, which most sessions never need

    global _pinecone  # noqa: PLW0603 - one a process, like the service
    try:
        with _lock:
            if _pinecone is None:
                _pinecone = pods.start(state.service().home / "demo" / "pinecone")
                atexit.register(_pinecone.close)
        store = stores.named("pinecone")
        _describe(pods.endpoints(_pinecone.url))
        for side in state.SIDES:
            st.session_state[endpoint_card.field_key(side, store, "api_key")] = pods.KEY
    except MigratorError as error:
        st.session_state["demo_problem"] = (error.message, error.fix)


def _describe(ends: tuple[str, str]) -> None:
    for side, text in zip(state.SIDES, ends, strict=True):
        endpoint_card.fill(side, text)
        state.set_endpoint(side, text)
