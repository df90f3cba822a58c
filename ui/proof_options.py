"""How deep a proof is to look, and what each depth costs: asked before a run is proven again and before two collections are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from migrator import service as verbs
from migrator.errors import ConfigError, MigratorError
from ui import kit, state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LEVELS = {"content": "Content", "ids": "Ids", "counts": "Counts"}
FINDS = {
    "content": "Every record, bit by bit: id, vector, sparse values and metadata.",
    "ids": "Which ids are missing or extra. Vectors and metadata are not looked at.",
    "counts": "How many records each namespace has. No record is looked at.",
}
READS = {
    "content": "Reads both sides whole.",
    "ids": "Goes through the ids of both sides, and reads the records only where a store cannot list its ids.",
    "counts": "Asks both stores for their counts.",
}
SAMPLE_HELP = "A share such as 5%, or a number of records such as 10000: the same records on both sides. Empty compares all."
FORMS = {"exact": "Exactly", "normalised": "After normalising", "float16": "After rounding to float16"}
FORM_HELP = "A store that keeps directions only brings vectors to length 1; one that keeps float16 rounds them. Both sides are brought to that form first."


def ask(key: str, costs: Mapping[str, str] = READS) -> Any:
    """Draw the choice of the level, each with what it finds and costs, and of a sample and a tolerance; return a function that gives ``scope=``.

    It raises ``ConfigError`` for what cannot be meant.
    """
    levels = [name for name in LEVELS if name in costs]
    captions = [kit.plain(f"{FINDS[name]} {costs[name]}") for name in levels]
    level = st.radio("Compare", levels, format_func=LEVELS.__getitem__, captions=captions, key=f"{key}_level")
    if level != "content":
        return lambda: {"scope": verbs.Scope(level=level)}
    left, middle, right = st.columns(3)
    sample = left.text_input("Sample (optional)", key=f"{key}_sample", placeholder="5% or 10000", help=SAMPLE_HELP)
    form = middle.selectbox("Compare vectors", list(FORMS), format_func=FORMS.__getitem__, key=f"{key}_form", help=FORM_HELP)
    most = right.text_input("Allow a component (optional)", key=f"{key}_most", placeholder="1e-6", help="By how much a component may differ.")
    return lambda: {"scope": _scope(sample.strip(), form, most.strip())}


def _scope(sample: str, form: str, most: str) -> Any:
    try:
        components = float(most or 0)
    except ValueError:
        raise ConfigError(f"{most!r} is no number", fix="write how much a component may differ, such as 1e-6", code="bad_tolerance") from None
    if form == "exact" and not components:
        return verbs.Scope(sample=sample)
    return verbs.Scope(sample=sample, tolerance=verbs.Tolerance(components=components, normalised=form == "normalised", float16=form == "float16"))


@st.dialog("Verify again", width="medium", icon=":material/replay:", on_dismiss="rerun")
def again(run: str) -> None:
    """Ask how deep to look, and prove ``run`` again in the background."""
    with kit.guarded():
        st.caption("Reads the sides as they are now, and puts the new verdict in the place of this one.")
        scope = ask("again", _told(lambda: state.service().scope_costs(run)))
        if st.button("Start", type="primary", icon=":material/play_arrow:", key="again_start"):
            state.service().start_verify(run, **scope())
            st.rerun()


def of_pair(asked: tuple[str, ...], ask_stores: Callable[[], list[dict[str, Any]]]) -> dict[str, str]:
    """Draw the button that asks both stores what comparing them costs, and return what they said; until then what each level does in general.

    ``asked`` is what was typed: an answer is shown as long as it is about that.
    """
    known, costs = st.session_state.get("compare_costs", ((), READS))
    if st.button("See the cost", icon=":material/payments:", key="compare_cost", help="Asks both stores for their counts.", disabled=not all(asked[:2])):
        known, costs = asked, _told(ask_stores)
        st.session_state["compare_costs"] = (known, costs)
    return costs if known == asked else READS


def _told(ask_stores: Callable[[], list[dict[str, Any]]]) -> dict[str, str]:
    """Return the cost of each level the stores can do; one that cannot be asked is said, and stands in nobody's way."""
    try:
        with st.spinner("Asking both stores for their counts…"):
            return {row["level"]: _capital(row["sentence"]) for row in ask_stores()}
    except MigratorError as error:
        kit.failure(error.message, error.fix)
        return READS


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:].rstrip(".") + "."
