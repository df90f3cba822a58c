"""The options of a plan: their widgets, and what they say as ``PlanOptions``. Read before they are drawn, since figures above them depend on them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import streamlit as st

from migrator import routing as rules
from migrator.errors import ConfigError
from migrator.model import Follow
from migrator.service import PlanOptions
from ui import staging_form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.model import Collection, OnConflict, OnDuplicate, Plan

CONFLICT = {"careful": "Careful", "upsert": "Upsert", "skip": "Skip", "fail": "Fail"}
DUPLICATE = {"fail": "Fail", "first": "Keep first", "last": "Keep last"}
MOST_WORKERS = 16
BATCHES = (0, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
DEFAULTS: dict[str, Any] = {
    "plan_conflict": "careful",
    "plan_duplicate": "fail",
    "plan_batch": 0,
    "plan_workers": 2,
    "plan_dry_run": False,
    "plan_new_only": False,
    "plan_keep_overwritten": False,
    "plan_accept_lossy": False,
    "plan_filter": "",
    "plan_namespace_from": "",
    "plan_target_namespace": "",
    "plan_namespace_missing": rules.KEEP,
    "plan_id_encoding": "reject",
    "plan_follow": False,
    "plan_interval": Follow.interval,
    "plan_deletes": False,
    "plan_changes": Follow.changes,
    "plan_stamp": False,
    "plan_verify_batches": False,
    "plan_route": "direct",
}
MISSING = {rules.KEEP: "Keep its own", rules.DEFAULT: "Default", rules.REJECT: "Reject"}
ENCODING = {"reject": "Reject", "percent": "Encode", "decode": "Decode"}
CHANGES = {"all": "New and changed", "new": "New ids only"}
KEEP = {"persist_state": "session"}


def set_defaults() -> None:
    """Give every option its value before anything reads it."""
    for key, value in DEFAULTS.items():
        st.session_state.setdefault(key, value)


def routing() -> tuple[str | None, str | None]:
    """Return the target namespace for everything and the field that names it, None where not chosen."""
    return st.session_state.get("plan_target_namespace", "").strip() or None, st.session_state.get("plan_namespace_from") or None


def current(namespaces: tuple[str, ...] | None) -> PlanOptions:
    """Return the options as they stand. Raise ``ConfigError`` when the filter is no JSON, or the files' place not to be named here."""
    chosen = {key.removeprefix("plan_"): st.session_state[key] for key in DEFAULTS}
    into, by = routing()
    return PlanOptions(
        namespaces=namespaces,
        target_namespace=into,
        namespace_from=by,
        filter=_filter(chosen["filter"]),
        batch=chosen["batch"] or None,
        workers=chosen["workers"],
        on_conflict=None if chosen["conflict"] == "careful" else cast("OnConflict", chosen["conflict"]),
        on_duplicate=cast("OnDuplicate", chosen["duplicate"]),
        accept_lossy=chosen["accept_lossy"],
        new_only=chosen["new_only"],
        keep_overwritten=chosen["keep_overwritten"],
        namespace_missing=chosen["namespace_missing"],
        id_encoding=chosen["id_encoding"],
        follow=Follow(chosen["interval"], chosen["deletes"], chosen["changes"]) if chosen["follow"] else None,
        stamp=chosen["stamp"],
        verify_batches=chosen["verify_batches"],
        route=chosen["route"],
        staging=staging_form.endpoint(),
    )


def _filter(text: str) -> Mapping[str, Any] | None:
    if not text.strip():
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"the filter is no JSON: {error}", fix='write it like {"year": {"$gte": 1990}}', code="bad_filter") from None
    if not isinstance(found, dict):
        raise ConfigError("the filter is no JSON object", fix='write it like {"year": {"$gte": 1990}}', code="bad_filter")
    return found


def fill(plan: Plan) -> None:
    """Set the options to those of ``plan``, and which namespaces are ticked at first. Raise ``ConfigError`` for what no widget can hold."""
    st.session_state.update(staging_form.filled(plan))
    st.session_state["plan_wanted"] = plan.selection.namespaces
    filter_ = json.dumps(dict(plan.selection.filter)) if plan.selection.filter is not None else ""
    values = {
        "conflict": plan.on_conflict if plan.merge else "careful",
        "duplicate": plan.on_duplicate,
        "batch": plan.batch or 0,
        "workers": min(plan.workers, MOST_WORKERS),
        "new_only": plan.new_only,
        "keep_overwritten": plan.keep_overwritten,
        "accept_lossy": plan.accept_lossy,
        "filter": filter_,
        "namespace_from": plan.mapping.namespace_from or "",
        "target_namespace": plan.mapping.target_namespace or "",
        "namespace_missing": plan.mapping.namespace_missing,
        "id_encoding": plan.mapping.id_encoding,
        "follow": plan.follow is not None,
        "stamp": plan.stamp,
        "verify_batches": plan.verify_batches,
    }
    values |= asdict(plan.follow) if plan.follow is not None else {}
    for name, value in values.items():
        st.session_state[f"plan_{name}"] = value


def dry_run() -> bool:
    """Return whether the run is to read and map only."""
    return bool(st.session_state.get("plan_dry_run"))


def draw(collection: Collection, *, consent: bool) -> None:
    """Draw the widgets. The consent to a loss appears only when there is one to consent to."""
    if consent:
        st.checkbox("I accept the losses named above", key="plan_accept_lossy", **KEEP)
    staging_form.draw()
    st.segmented_control(
        "When the target has the id",
        list(CONFLICT),
        format_func=CONFLICT.__getitem__,
        required=True,
        key="plan_conflict",
        help="Careful: refuse a target that holds other records, or other content under the same ids. Upsert: overwrite and add. "
        "Skip: keep what is there. Fail: stop at the first id that is there.",
        **KEEP,
    )
    st.segmented_control("When the source has an id twice", list(DUPLICATE), format_func=DUPLICATE.__getitem__, required=True, key="plan_duplicate", **KEEP)
    sizes = sorted({*BATCHES, st.session_state["plan_batch"]})
    st.select_slider("Batch size", sizes, format_func=lambda size: f"{size:,}" if size else "as the target likes it", key="plan_batch", **KEEP)
    st.slider("Workers", 1, MOST_WORKERS, key="plan_workers", **KEEP)
    _draw_writing()
    st.toggle("Dry run (read and map, write nothing)", key="plan_dry_run", **KEEP)
    _draw_follow()
    _draw_names(collection)


def _draw_writing() -> None:
    """Draw what is done around each write."""
    st.toggle("Only records the target does not have yet", key="plan_new_only", **KEEP)
    st.toggle("Read every batch back and compare it", key="plan_verify_batches", help="Notices at once what the proof in the end would; takes longer.", **KEEP)
    st.toggle(
        "Keep what is overwritten",
        key="plan_keep_overwritten",
        help="Records of the target that the run writes over are kept in the run's folder, and a rollback brings them back. "
        "Without it a rollback deletes them with everything else that the run wrote.",
        **KEEP,
    )


def _draw_names(collection: Collection) -> None:
    with st.expander("Filter and namespaces", icon=":material/filter_alt:"):
        st.text_area("Filter (JSON, optional)", key="plan_filter", placeholder='{"year": {"$gte": 1990}}', height=80, **KEEP)
        fields = ["", *sorted(set(collection.fields) | {st.session_state["plan_namespace_from"]} - {""})]
        st.selectbox("Namespace from field", fields, format_func=lambda name: name or "(keep the source's)", key="plan_namespace_from", **KEEP)
        if st.session_state["plan_namespace_from"]:
            known = dict.fromkeys([*MISSING, st.session_state["plan_namespace_missing"]])
            st.selectbox("Records without that field", known, format_func=lambda rule: MISSING.get(rule, rule), key="plan_namespace_missing", **KEEP)
        st.text_input("One target namespace for all", key="plan_target_namespace", placeholder="keep the source's", **KEEP)
        st.segmented_control(
            "Ids the target cannot spell",
            list(ENCODING),
            format_func=ENCODING.__getitem__,
            required=True,
            key="plan_id_encoding",
            help="Pinecone takes ASCII ids only. Encode: write others percent-encoded, reversibly. Decode: undo that when copying back.",
            **KEEP,
        )


def _draw_follow() -> None:
    with st.expander("Follow and mark the source", icon=":material/sync:"):
        if st.toggle("Go on copying changes until stopped", key="plan_follow", help="Passes over the source until the cut-over. Never writes to it.", **KEEP):
            st.number_input("Seconds between passes", 0.0, 86_400.0, key="plan_interval", **KEEP)
            st.segmented_control("Look for", list(CHANGES), format_func=CHANGES.__getitem__, required=True, key="plan_changes", **KEEP)
            st.toggle("Delete from the target what is gone from the source", key="plan_deletes", **KEEP)
        st.toggle("Mark copied records in the source (migrated, migrated_at)", key="plan_stamp", **KEEP)
