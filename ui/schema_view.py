"""What the target's schema will be: its facts, and where each metadata key goes, editable where the collection is yet to be made."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st
from streamlit import column_config as columns

from migrator import endpoints
from migrator.model import Endpoint
from ui import endpoint_card, kit, state, stores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.model import Plan

DYNAMIC, BOTH, COLUMNS = "Dynamic field", "Columns and dynamic field", "Columns only"
TYPE = r"^(bool|int(8|16|32|64)|float|double|json|varchar\([0-9]+\)|array<[a-z0-9()]+(,[0-9]+)?>)( not null)?$"
_CONFIG = {
    "key": columns.TextColumn("key", width="small"),
    "records": columns.NumberColumn("records", width=75, help="How many of those looked at have it"),
    "values": columns.TextColumn("values", help="Types of its values, and how many of each"),
    "longest": columns.TextColumn("longest", width=110, help="The longest text in bytes, the longest list in items"),
    "column": columns.CheckboxColumn("column", width=70, help="A typed column of its own; otherwise it goes into the dynamic field"),
    "type": columns.TextColumn(
        "type", validate=TYPE, help="bool, int8 to int64, float, double, json, varchar(bytes), array<type,items>; not null if it may not be missing"
    ),
}


def previewed(plan: Plan) -> dict[str, Any] | None:
    """Return the preview of ``plan``'s target, made anew only when something it depends on has changed."""
    wanted = repr((plan.source, plan.target, plan.selection, plan.mapping))
    known, found = st.session_state.get("shaped", (None, None))
    if known != wanted:
        with st.spinner("Looking at all namespaces…"):
            found = state.service().mapping_preview(plan)
        st.session_state["shaped"] = (wanted, found)
    return found


def draw(plan: Plan) -> None:
    """Draw the target's schema, if its store has one to decide on."""
    with kit.guarded():
        found = previewed(plan)
        if found is None:
            return
        st.subheader("Target schema", anchor=False)
        shown = [{"what": name, "value": value} for name, value in found["facts"].items()]
        config = {"what": columns.TextColumn("what", width="small"), "value": columns.TextColumn("value", width="large")}
        kit.table(shown, config, "What is decided of the target collection: index, metric, shards, partition key, consistency.")
        seen = f"{found['records_looked_at']:,} records of {found['namespaces_looked_at']:,} namespace{'s' * (found['namespaces_looked_at'] != 1)} looked at."
        st.caption(seen + (" The collection exists, so its schema stays as it is." if found["target_exists"] else ""))
        if found["fields"]:
            _fields(plan, found)


def _fields(plan: Plan, found: Mapping[str, Any]) -> None:
    fixed = found["target_exists"]
    key = zlib.crc32(repr((plan.target, [field["name"] for field in found["fields"]])).encode())
    choice = None
    if not fixed:
        ways = [DYNAMIC, BOTH, COLUMNS]
        choice = st.segmented_control("Metadata becomes", ways, default=_chosen(plan), required=True, key=f"schema_way_{key}")
    frame = _frame(found["fields"], choice)
    locked = list(_CONFIG) if fixed or choice == DYNAMIC else ["key", "records", "values", "longest"]
    edited = st.data_editor(
        frame, key=f"schema_fields_{key}_{choice}", hide_index=True, disabled=locked, column_config=_CONFIG, column_order=list(_CONFIG), height="content"
    )
    if choice is not None:
        wanted = options_of(edited.to_dict("records"), choice)
        there = {name: value for name, value in plan.target.options.items() if name in {"fields", "dynamic"}}
        same = wanted == there or (choice == DYNAMIC and not there)
        st.button("Apply", icon=":material/check:", key="schema_apply", disabled=same, on_click=apply, args=(wanted,))


def _chosen(plan: Plan) -> str:
    options = plan.target.options
    if options.get("dynamic", "true") == "false":
        return COLUMNS
    return BOTH if json.loads(options.get("fields") or "{}") else DYNAMIC


def _frame(fields: list[dict[str, Any]], choice: str | None) -> pd.DataFrame:
    """Return one row a metadata key; with ``choice`` None as the target has it, else columns for what one type holds exactly."""
    rows = []
    for field in fields:
        column = field["place"].startswith("column")
        kind = (field["type"] if column else field["proposal"]) if choice != DYNAMIC else ""
        rows.append(
            {
                "key": field["name"],
                "records": field["records"],
                "values": ", ".join(f"{name} {count:,}" for name, count in field["types"].items()),
                "longest": _longest(field),
                "column": choice != DYNAMIC and (column or (choice is not None and bool(kind))),
                "type": kind or field["type"],
            }
        )
    return pd.DataFrame(rows)


def _longest(field: Mapping[str, Any]) -> str:
    text = f"{field['max_bytes']:,} bytes" if field["max_bytes"] else ""
    items = f"{field['max_items']:,} items" if field["max_items"] else ""
    return ", ".join(filter(None, (text, items)))


def options_of(rows: list[dict[str, Any]], choice: str) -> dict[str, str]:
    """Return the ``fields`` and ``dynamic`` options that make the target as the edited ``rows`` say."""
    if choice == DYNAMIC:
        return {"dynamic": "true"}
    made = {row["key"]: row["type"] for row in rows if row["column"]}
    return {"fields": json.dumps(made, ensure_ascii=False, sort_keys=True, separators=(",", ":"))} | ({"dynamic": "false"} if choice == COLUMNS else {})


def apply(wanted: Mapping[str, str]) -> None:
    """Write ``wanted`` into the target's endpoint, and into the form on the Connect page that describes it."""
    target = endpoints.parse(state.endpoint(state.TARGET))
    kept = {name: value for name, value in target.options.items() if name not in {"fields", "dynamic"}}
    state.set_endpoint(state.TARGET, endpoints.render(Endpoint(target.connector, target.resource, kept | wanted)))
    store = stores.named(target.connector)
    for field in store.fields:
        if field.name in {"fields", "dynamic"}:
            st.session_state[endpoint_card.field_key(state.TARGET, store, field.name)] = wanted.get(field.name, field.choices[0] if field.choices else "")
