"""The alias of a cut-over: asking for it with where it leads now, and pointing it back afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from migrator.errors import MigratorError
from ui import kit, state

if TYPE_CHECKING:
    from collections.abc import Mapping

_HELP = "Applications that open this name need no change: once the proof is green it leads to the new collection, from one request to the next."


@dataclass(frozen=True)
class Wanted:
    """The alias that was typed, "" for none, and whether it can be used."""

    name: str
    usable: bool


NONE = Wanted("", usable=True)


def ask(run: str, collection: str) -> Wanted:
    """Ask for the alias that is to lead to ``collection``, the target of ``run``, and say where it leads now."""
    alias = st.text_input("Alias to move to the new collection (optional)", key="cutover_alias", placeholder="products_live", help=_HELP).strip()
    if not alias:
        return NONE
    try:
        now = state.service().aliases.leads_to(run, alias)
    except MigratorError as error:
        kit.failure(error.message, error.fix)
        return Wanted(alias, usable=False)
    name, new = kit.plain(alias), kit.plain(collection)
    if now is None:
        st.caption(f":material/add_link: There is no alias **{name}** yet. It will be made, and lead to **{new}**.")
    elif now == collection:
        st.caption(f":material/link: **{name}** leads to **{new}** already.")
    else:
        st.caption(f":material/swap_horiz: **{name}** leads to **{kit.plain(now)}** now. It will lead to **{new}**.")
    return Wanted(alias, usable=True)


def moved(run: str, aliases: Mapping[str, Mapping[str, Any]]) -> None:
    """Offer the way back of each alias that ``run`` moved and has not pointed back."""
    for alias, note in aliases.items():
        if note["back"]:
            continue
        name, before = kit.plain(alias), note["before"]
        was = "did not exist" if before is None else f"led to **{kit.plain(before)}**"
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.markdown(f":material/link: The alias **{name}** leads to **{kit.plain(note['collection'])}**. Before, it {was}.", width="content")
            with st.popover("Point it back", icon=":material/undo:"):
                st.markdown(f"Applications that open it {'find no collection' if before is None else 'see the old collection'} from then on.")
                label = f"Remove {name}" if before is None else f"Point it back to {kit.plain(before)}"
                if st.button(label, type="primary", icon=":material/undo:", key=f"alias_back_{alias}"):
                    _point_back(run, alias)


def _point_back(run: str, alias: str) -> None:
    try:
        said = state.service().aliases.back(run, alias)["done"]
    except MigratorError as error:
        kit.failure(error.message, error.fix)
        return
    st.toast(kit.plain(said[0]), icon=":material/undo:")
    st.rerun()
