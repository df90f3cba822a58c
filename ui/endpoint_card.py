"""The card that describes one side of a migration and tests the connection; its outcome is an endpoint text in the session."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

from migrator import endpoints, secrets
from migrator.model import Endpoint
from ui import hosting, kit, profiles, state, stores, uploads, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ui.stores import Field, Store
    from ui.uploads import Kept

ENTER, SAVED, ENVIRONMENT, UPLOAD = "Enter now", "Saved profile", "From environment", "Upload"
KEEP = {"persist_state": "session"}
"""Widgets keep what was typed when one goes to another page and back."""


def draw(side: str) -> None:
    """Draw the card of ``side`` and remember the endpoint it describes, ``""`` while something is missing."""
    with st.container(border=True, height="stretch"):
        head = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
        store = _store(side)
        way = _way(side, store)
        with kit.guarded():
            state.set_endpoint(side, "")  # should what follows fail, nothing stale is left
            state.set_endpoint(side, hosting.check(_endpoint(side, store, way), state.service().home))
            _buttons(side)
        _steps(side)
        with head:
            st.subheader(side.capitalize(), anchor=False, width="content")
            _standing(side)


def _store(side: str) -> Store:
    offered = stores.offered(side)
    labels = {store.connector: store.label for store in offered}
    default = "milvus" if side == state.TARGET else "faiss"
    st.session_state.setdefault(f"{side}_store", default)
    chosen = st.selectbox("Store", list(labels), format_func=labels.__getitem__, key=f"{side}_store", **KEEP)
    return stores.named(chosen)


def _way(side: str, store: Store) -> str:
    ways = [SAVED, ENTER]
    if store.secrets:
        ways.append(ENVIRONMENT)
    if store.uploads and side == state.SOURCE:
        ways.append(UPLOAD)
    label = "Where it is" if all(secret.schemes for secret in store.secrets) else "Credentials"
    key = f"{side}_{store.connector}_way"
    st.session_state.setdefault(key, ENTER)
    return st.segmented_control(label, ways, required=True, key=key, **KEEP)


def _endpoint(side: str, store: Store, way: str) -> str:
    """Ask for what ``way`` needs and return the endpoint's text."""
    if way == SAVED:
        return _saved(side, store)
    found = _uploaded(side, store) if way == UPLOAD else {}
    if found is None:
        return ""
    known = {"", "ids", "metadata"} if way == UPLOAD else set()  # what was typed elsewhere is no part of an upload
    values = found | _fields(side, store, frozenset(known))
    given = ask_secrets(side, store, way, values.get("", ""), values)
    if any(field.required and not values.get(field.name) for field in store.fields):
        return ""
    return composed(store, values, given)


def composed(store: Store, values: Mapping[str, str], given: Mapping[str, str]) -> str:
    """Return the endpoint that the fields' ``values`` and the secrets' references describe. Raise ``ConfigError`` for other options in disorder."""
    others = endpoints.parse(f"{store.connector}:?{values['*']}").options if "*" in values else {}
    options = {name: value for name, value in values.items() if name not in {"", "*"}}
    return endpoints.render(Endpoint(store.connector, values[""], {**options, **given, **others}))


def _fields(side: str, store: Store, known: frozenset[str]) -> dict[str, str]:
    """Ask for the fields of ``store`` that are not ``known`` from an upload, the rare ones folded away."""
    asked = [field for field in store.fields if side in field.sides and field.name not in known]
    values = {field.name: ask(side, store, field) for field in asked if not field.more}
    rare = [field for field in asked if field.more]
    if rare:
        with st.expander("More settings", icon=":material/tune:", key=f"{side}_{store.connector}_more"):
            values |= {field.name: ask(side, store, field) for field in rare}
    return {name: value for name, value in values.items() if value}


def ask(side: str, store: Store, field: Field) -> str:
    """Draw the widget of one field and return what it says, "" for nothing or its default."""
    key = field_key(side, store, field.name)
    if field.choices:
        st.session_state.setdefault(key, field.choices[0])
        chosen = st.selectbox(field.label, field.choices, key=key, help=field.help or None, **KEEP)
        return "" if chosen == field.choices[0] else str(chosen)
    label = field.label if field.required else f"{field.label} (optional)"
    return st.text_input(label, key=key, placeholder=field.placeholder, help=field.help or None, **KEEP).strip()


def field_key(side: str, store: Store, name: str) -> str:
    """Return the session key of a field's widget; writing to it fills the field."""
    return f"{side}_{store.connector}_{name or 'resource'}"


def ask_secrets(side: str, store: Store, way: str, resource: str, options: Mapping[str, str]) -> dict[str, str]:
    """Return the endpoint's secrets as references: typed ones stay in this process's memory, the others are read from the environment."""
    given = {}
    for secret in store.secrets_of(resource, options, environment=way == ENVIRONMENT):
        if way == ENVIRONMENT:
            given[secret.name] = f"env:{secret.variable}"
            there = secret.variable in os.environ
            st.badge(f"{secret.variable} is {'set' if there else 'not set'}", color="green" if there else "orange", icon=":material/key:")
        elif typed := st.text_input(
            secret.label if secret.required else f"{secret.label} (if it asks for one)",
            type="password",
            key=f"{side}_{store.connector}_{secret.name}",
            help="Kept in this server's memory only, never written to disk.",
            **KEEP,
        ):
            given[secret.name] = secrets.stash(typed)
    return given


def as_text(options: Mapping[str, str]) -> str:
    """Return options as the field for other options takes them."""
    return endpoints.render(Endpoint("", "", options)).partition("?")[2]


def _saved(side: str, store: Store) -> str:
    home, owner = state.service().home, state.owner()
    known = {name: text for name, text in profiles.load(home, owner).items() if endpoints.parse(text).connector == store.connector}
    if not known:
        st.info(f"No saved profile of {store.label} yet: describe it under “{ENTER}” and save it.", icon=":material/bookmark:")
        return ""
    name = st.selectbox("Profile", list(known), key=f"{side}_{store.connector}_profile", **KEEP)
    st.code(known[name], language=None, wrap_lines=True)
    parsed = endpoints.parse(known[name])
    given = {} if any(secret.name in parsed.options for secret in store.secrets) else ask_secrets(side, store, ENTER, parsed.resource, parsed.options)
    st.button("Forget this profile", icon=":material/delete:", type="tertiary", key=f"{side}_forget", on_click=profiles.forget, args=(home, owner, name))
    return endpoints.render(Endpoint(parsed.connector, parsed.resource, {**parsed.options, **given}))


def _uploaded(side: str, store: Store) -> dict[str, str] | None:
    """Return what was uploaded as fields, None when nothing is there yet."""
    key, hint = f"{side}_{store.connector}", store.upload_hint
    files = st.file_uploader("Files", store.uploads, accept_multiple_files=True, key=f"{key}_files", help=hint, on_change=_taken_out, args=(key,))
    st.caption(hint + " Files over 2 GB: give their path on the server under “Enter now”.")
    st.session_state[f"{key}_listed"] = {file.file_id for file in files}
    folder = state.service().home / "uploads"
    try:
        for file in files:
            if file.file_id not in {kept.id for kept in _held(key)}:
                _add(key, uploads.keep(file, folder))
    finally:  # a file that cannot be taken must not hide the way to remove the others
        _removers(key)
    if not _held(key):
        return None
    whole = uploads.together(_held(key), folder)
    taken = uploads.faiss_parts(whole) if store.connector == "faiss" else uploads.parquet_parts(whole)
    st.caption(" · ".join(f"{role}: {words.plain(what)}" for role, what in taken.roles))
    return taken.options


def _removers(key: str) -> None:
    """Draw a button for each file the uploader cannot remove any more, having forgotten it on another page."""
    for kept in _held(key):
        if kept.id not in st.session_state[f"{key}_listed"]:
            st.button(
                f"Remove {words.plain(kept.name)}", icon=":material/close:", type="tertiary", key=f"{key}_{kept.id}", on_click=_drop, args=(key, {kept.id})
            )


def _held(key: str) -> list[Kept]:
    return st.session_state.get(f"{key}_held", [])


def _add(key: str, kept: Kept) -> None:
    """Hold ``kept``, in place of an equal file from before the uploader forgot its own."""
    listed = st.session_state[f"{key}_listed"]
    st.session_state[f"{key}_held"] = [each for each in _held(key) if each.folder != kept.folder or each.id in listed] + [kept]


def _drop(key: str, ids: set[str]) -> None:
    st.session_state[f"{key}_held"] = [kept for kept in _held(key) if kept.id not in ids]


def _taken_out(key: str) -> None:
    """Forget the files the user took out of the uploader. Going to another page empties it too, but is no change and calls nothing: then they stay."""
    _drop(key, st.session_state[f"{key}_listed"] - {file.file_id for file in st.session_state[f"{key}_files"]})


def _buttons(side: str) -> None:
    described = bool(state.endpoint(side))
    with st.container(horizontal=True):
        if st.button("Test connection", icon=":material/bolt:", key=f"{side}_test", disabled=not described):
            with st.spinner("Testing…"):
                state.set_steps(side, state.service().doctor(state.endpoint(side)))
        with st.popover("Save profile", icon=":material/bookmark:", disabled=not described):
            name = st.text_input("Name", key=f"{side}_profile_name", max_chars=80, placeholder="staging")
            st.caption("Saved without keys and tokens.")
            if st.button("Save", key=f"{side}_save", type="primary", disabled=not name.strip()):
                profiles.save(state.service().home, state.owner(), name.strip(), state.endpoint(side))
                st.toast("Profile saved", icon=":material/bookmark_added:")


def _steps(side: str) -> None:
    """Draw the steps of the last test, and for each that failed what to do."""
    steps = state.steps(side) or []
    with st.container(horizontal=True, gap="xsmall"):
        for step in steps:
            color, icon = {"ok": ("green", ":material/check:"), "failed": ("red", ":material/close:")}.get(step.status, ("gray", ":material/remove:"))
            took = f" · {words.milliseconds(step.seconds)}" if step.status != "skipped" else ""
            st.badge(kit.plain(step.name) + took, color=color, icon=icon, help=kit.plain(step.detail) or None)
    for step in steps:
        if step.status == "failed":
            kit.failure(step.detail or f"the step {step.name} failed", step.fix)


def _standing(side: str) -> None:
    steps = state.steps(side)
    if steps is None:
        return
    if any(step.status == "failed" for step in steps):
        st.badge("failed", color="red", icon=":material/close:")
    else:
        st.badge("connected", color="green", icon=":material/check:")


def fill(side: str, text: str) -> None:
    """Fill the card of ``side`` with the endpoint ``text``. Call it before the card is drawn."""
    endpoint = endpoints.parse(text)
    store = stores.named(endpoint.connector)
    options = {name: value for name, value in endpoint.options.items() if not value.startswith("session:")}
    known = store.secrets_of(endpoint.resource, endpoint.options, environment=True)
    variables = {secret.name: f"env:{secret.variable}" for secret in known}
    from_environment = bool(variables) and all(options.get(name) == value for name, value in variables.items())
    asked = {field.name for field in store.fields} | (set(variables) if from_environment else set())
    options["*"] = as_text({name: value for name, value in options.items() if name not in asked})
    st.session_state[f"{side}_store"] = endpoint.connector
    st.session_state[f"{side}_{store.connector}_way"] = ENVIRONMENT if from_environment else ENTER
    for field in store.fields:
        value = options.get(field.name, "") if field.name else endpoint.resource
        st.session_state[field_key(side, store, field.name)] = value or (field.choices[0] if field.choices else "")
