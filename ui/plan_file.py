"""A plan file opened, or the configuration of another tool (config.json, migration.yaml): both sides and the options as it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from migrator import endpoints, secrets
from migrator.errors import ConfigError, MigratorError
from migrator.model import Endpoint
from migrator.service import convert_config, kind_of_config, load_plan
from ui import endpoint_card, kit, plan_options, staging_form, state, stores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.model import Plan
    from ui.stores import Store


def opener() -> None:
    """Draw the button that opens a plan file."""
    with st.popover("Open a plan file", icon=":material/upload_file:"):
        st.caption(
            "A plan.yaml from the Plan page or the command line, the config.json of the Pinecone index migrator, or the migration.yaml of milvus-migration."
        )
        st.file_uploader("Plan file", ["yaml", "yml", "json"], key="plan_file", on_change=_open, max_upload_size=16)


def outcome() -> None:
    """Draw what was wrong with the file, and what became of its keys: until another is opened, as there is more than can be read at a glance."""
    if problem := st.session_state.pop("plan_file_problem", None):
        kit.failure(*problem)
    if notes := st.session_state.get("plan_file_notes"):
        with st.expander("What became of the keys of the file", expanded=True, icon=":material/fact_check:"):
            kit.findings(notes)


def _open() -> None:
    """Fill both cards and the options from the file, before anything is drawn."""
    st.session_state.pop("plan_file_notes", None)
    file = st.session_state["plan_file"]
    if file is None:
        return
    try:
        text = _text(file.getvalue())
        if kind_of_config(text) == "plan":
            _fill(load_plan(text), {})
        else:
            _convert(text)
    except MigratorError as error:
        st.session_state["plan_file_problem"] = (error.message, error.fix)


def _convert(text: str) -> None:
    """Fill the page from another tool's configuration, and keep what is to be said of its keys."""
    found = convert_config(text)
    if found.action != "copy":
        fix = "python -m migrator run config.json"
        raise ConfigError(f"this configuration asks for no copy but to {found.action}", fix=f"do it on the command line: {fix}", code="no_plan")
    _fill(found.plan, found.secrets)
    st.session_state["plan_file_notes"] = found.notes


def _fill(plan: Plan, keys: Mapping[str, str]) -> None:
    """Fill both cards and the options; ``keys`` are secrets the file gave literally, by the variable the plan names in their place."""
    if plan.staging is None:
        plan_options.fill(plan)  # first: what it refuses leaves the page as it was
    else:
        bare, given = _without(plan.staging, keys)
        plan_options.fill(plan.with_(staging=bare))
        _give(staging_form.SIDE, staging_form.STORE, given)
    for side, endpoint in ((state.SOURCE, plan.source), (state.TARGET, plan.target)):
        bare, given = _without(endpoint, keys)
        endpoint_card.fill(side, endpoints.render(bare))
        _give(side, stores.named(endpoint.connector), given)


def _without(endpoint: Endpoint, keys: Mapping[str, str]) -> tuple[Endpoint, dict[str, str]]:
    """Return the endpoint without its options that ``keys`` has the secrets of, and these secrets."""
    given = {name: keys[value.removeprefix("env:")] for name, value in endpoint.options.items() if value.removeprefix("env:") in keys}
    return Endpoint(endpoint.connector, endpoint.resource, {name: value for name, value in endpoint.options.items() if name not in given}), given


def _give(side: str, store: Store, given: Mapping[str, str]) -> None:
    """Type secrets into their fields. One without a field stands among the other options, as a reference to the memory of this process."""
    asked = {secret.name for secret in store.secrets}
    for name in asked & given.keys():
        st.session_state[endpoint_card.field_key(side, store, name)] = given[name]
    if rest := {name: secrets.stash(value) for name, value in given.items() if name not in asked}:
        key = endpoint_card.field_key(side, store, "*")
        st.session_state[key] = "&".join(filter(None, [st.session_state.get(key, ""), endpoint_card.as_text(rest)]))


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError("the plan file is no text", fix="open the plan.yaml itself", code="bad_plan") from None
