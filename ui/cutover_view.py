"""The cut-over of a proven run: the new address and the way back, an alias, more capacity, and the end of the old collection."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from migrator import endpoints
from migrator.errors import ConfigError, MigratorError
from ui import alias_view, kit, state, stores, words

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES = {"Python": "python", "Node": "javascript"}
LOOK_AGAIN = 1.0
"""Seconds between two looks at a cut-over that is under way."""


@dataclass
class Job:
    """A cut-over under way in this process; it goes on when the tab is closed, and what it did is in the run's result."""

    answer: dict[str, Any] | None = None
    error: MigratorError | None = None
    doing: str = "asking both sides"
    thread: threading.Thread = field(default_factory=threading.Thread)


_jobs: dict[str, Job] = {}


def draw(run: str, *, running: bool) -> None:
    """Draw the cut-over of ``run`` if applications can be moved to its target and it has come far enough; looks again while it is ``running``."""
    job = _jobs.get(run)
    st.fragment(_panel, run_every=LOOK_AGAIN if running or (job is not None and job.thread.is_alive()) else None)(run)


def _panel(run: str) -> None:
    with kit.guarded():
        seen = state.service().status(run)
        job = _jobs.get(run)
        if seen["kind"] != "copy" or not _store(seen["target"]).served or not (job or seen["status"] == "proven" or seen["phase"] == "following"):
            return
        with st.container(border=True, key="cutover"):
            st.subheader("Cut over to the new collection", anchor=False)
            if job is not None and job.thread.is_alive():
                st.info(f"Cutting over: {kit.plain(job.doing)}", icon=":material/sync:")
                return
            if job is not None:
                _ended(job)
            done = state.service().result(run).get("cutover") if seen["status"] == "proven" else None
            alias_view.moved(run, seen["aliases"])
            if done:
                _addresses(done)
                st.divider()
            _ask(run, seen)


def _ended(job: Job) -> None:
    if job.error is not None:
        kit.failure(job.error.message, job.error.fix)
    elif job.answer is not None and not job.answer["ready"]:
        st.warning(f"No cut-over, and nothing was changed: {kit.plain(job.answer['reason'])}", icon=":material/block:")


def _addresses(done: Mapping[str, Any]) -> None:
    for line in done["done"]:
        st.markdown(f":material/check: {kit.plain(line)}")
    new, old = st.tabs(["The new address", "The way back"])
    for tab, address in ((new, done["new"]), (old, done["old"])):
        with tab:
            if address.get("note"):
                st.caption(kit.plain(address["note"]))
            if address["environment"]:
                st.code("\n".join(f"{name}={value}" for name, value in address["environment"].items()), language="bash")
            for language, text in address["snippets"].items():
                st.caption(language)
                st.code(text, language=LANGUAGES.get(language))


def _ask(run: str, seen: Mapping[str, Any]) -> None:
    """Ask what is to happen, and start it."""
    following = seen["phase"] == "following" and seen["status"] == "running"
    first = "Stops following after a last pass, proves" if following else "Proves"
    st.caption(f"{first} the whole target once more, and only then gives the address for your application. Nothing is changed unless the proof is green.")
    source, target = _store(seen["source"]), _store(seen["target"])
    alias = alias_view.ask(run, endpoints.parse(seen["target"]).resource) if target.aliases else alias_view.NONE
    scale = _text("Scale the new collection (optional)", "cutover_scale", target.scaling) if target.scaling else ""
    name = endpoints.parse(seen["source"]).resource
    deletes = source.droppable and st.toggle("Delete the old collection afterwards", key="cutover_delete")
    confirm = _text(f"Type its name to confirm: {name}", "cutover_confirm", "") if deletes else ""
    if deletes:
        st.warning(f"{kit.plain(name)} will be deleted for good, after the proof.", icon=":material/delete_forever:")
    label = "Cut over and delete the old collection" if deletes else "Cut over"
    if st.button(label, type="primary", icon=":material/swap_horiz:", key="cutover_start", disabled=not alias.usable or bool(deletes and confirm != name)):
        _start(run, _options(scale), delete=bool(deletes), confirm=confirm, alias=alias.name)
        st.rerun()


def _text(label: str, key: str, placeholder: str) -> str:
    return st.text_input(label, key=key, placeholder=placeholder or None).strip()


def _options(text: str) -> dict[str, str]:
    """Return ``name=value&…`` as a mapping."""
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    if bad := next((name for name, equals, value in pairs if not (name and equals and value)), None):
        raise ConfigError(f"{bad!r} says no value", fix="write name=value, joined by &", code="bad_option")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _start(run: str, scale: Mapping[str, str], *, delete: bool, confirm: str, alias: str) -> None:
    """Cut ``run`` over in a thread of its own: the last pass and the proof may take long."""
    service, job = state.service(), Job()

    def work() -> None:
        try:
            job.answer = service.cutover(run, scale=scale, delete_source=delete, confirm=confirm, alias=alias, on_wait=note)
        except MigratorError as error:
            job.error = error

    def note(status: Mapping[str, Any]) -> None:
        job.doing = f"{status['phase'] or status['status']}, {words.count(status['counts']['scanned'])} records"

    job.thread = threading.Thread(target=work, name=f"cutover-{run}", daemon=True)
    _jobs[run] = job
    job.thread.start()


def _store(endpoint: str) -> stores.Store:
    return stores.named(endpoints.parse(endpoint).connector)
