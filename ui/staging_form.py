"""How records travel: straight to the target, or by way of files that it then loads by itself; and where those files are put."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

import streamlit as st

from migrator import secrets
from migrator.errors import ConfigError
from migrator.service import staged_in
from migrator.service import stores as known_stores
from ui import endpoint_card, hosting, state, stores
from ui.endpoint_card import KEEP

if TYPE_CHECKING:
    from migrator.model import Plan

SIDE = "staging"
STORE = stores.PARQUET
"""The fields that say where the files are: the same for every kind of file."""
ROUTES = {"direct": "Direct", "staged": "Staged files"}
PLACE = stores.Field(
    "",
    "Where the files go",
    "s3://bucket/prefix",
    "A bucket that the target can read, and an empty prefix of it. A folder will do for a store that runs on this machine.",
    required=True,
)
FIELDS = (PLACE, *(field for field in STORE.fields if field.name and state.TARGET in field.sides))


def route() -> Literal["direct", "staged"]:
    """Return the route chosen."""
    return cast("Literal['direct', 'staged']", st.session_state["plan_route"])


def endpoint() -> str | None:
    """Return where the files go, None on the direct route or while that is not said. Raise ``ConfigError`` for a place one may not name."""
    values = {field.name: typed for field in FIELDS if (typed := _held(field.name).strip())}
    if route() == "direct" or "" not in values:
        return None
    kind = _kind() or STORE.connector
    given = {secret.name: secrets.stash(typed) for secret in STORE.secrets_of(values[""], {}) if (typed := _held(secret.name))}
    return hosting.check(endpoint_card.composed(replace(STORE, connector=kind), values, given), state.service().home)


def _kind() -> str | None:
    """Return the connector whose files the target loads; None also while the target's options are wrong, which the plan says."""
    try:
        return staged_in(state.endpoint(state.TARGET))
    except ConfigError:
        return None


def _held(name: str) -> str:
    return str(st.session_state.get(endpoint_card.field_key(SIDE, STORE, name), ""))


def filled(plan: Plan) -> dict[str, Any]:
    """Return what the widgets hold for ``plan``, by session key. Raise ``ConfigError`` for files they cannot describe."""
    found: dict[str, Any] = {"plan_route": plan.route}
    if plan.staging is None:
        return found
    kinds = known_stores()
    if plan.staging.connector not in kinds or plan.target.connector not in kinds[plan.staging.connector].stages_for:
        fitting = [name for name, abilities in kinds.items() if plan.target.connector in abilities.stages_for]
        message = f"the plan stages its files in {plan.staging.connector}, and {plan.target.connector} loads {fitting[0] if fitting else 'no files'}"
        raise ConfigError(message, fix=f"write staging: {fitting[0] if fitting else STORE.connector}:s3://bucket/prefix", code="staging_unsuitable")
    options = {name: value for name, value in plan.staging.options.items() if not value.startswith("session:")}
    asked = {field.name for field in FIELDS}
    values = {name: value for name, value in options.items() if name in asked}
    values |= {"": plan.staging.resource, "*": endpoint_card.as_text({name: value for name, value in options.items() if name not in asked})}
    names = [*asked, *(secret.name for secret in STORE.secrets)]
    return found | {endpoint_card.field_key(SIDE, STORE, name): values.get(name, "") for name in names}


def draw() -> None:
    """Draw the choice where the target has one, and where the files go. A route it cannot take stays in sight, to be taken back."""
    if route() == "direct" and _kind() is None:
        return
    st.segmented_control(
        "Route",
        list(ROUTES),
        format_func=ROUTES.__getitem__,
        required=True,
        key="plan_route",
        help="Direct: record by record through the target's API. Staged files: all records are written as files first, "
        "which the target then imports by itself; for a first copy into new namespaces. Either way everything is read back and compared.",
        **KEEP,
    )
    if route() == "direct":
        return
    with st.container(border=True):
        endpoint_card.ask(SIDE, STORE, PLACE)
        with st.expander("Bucket settings", icon=":material/tune:", key=f"{SIDE}_more"):
            endpoint_card.ask_secrets(SIDE, STORE, endpoint_card.ENTER, _held(""), {})
            for field in FIELDS[1:]:
                endpoint_card.ask(SIDE, STORE, field)
