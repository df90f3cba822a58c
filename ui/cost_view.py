"""What a plan costs: the figure, the bill line by line, and the prices, which can be changed for this look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit import column_config as columns

from migrator.service import cost_basis, money, repriced
from ui import kit, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.model import Plan

WHEN = {"move": "once", "month": "a month", "pass": "a pass"}


def _key(figure: Mapping[str, Any]) -> str:
    """Return the name of a price's widget: another when the figure itself becomes another."""
    return f"{figure['name']}_{figure['value']}".replace(".", "_")


def priced(plan: Plan) -> Plan:
    """Return ``plan`` with its cost at the prices chosen on this page."""
    cost = plan.estimate.get("cost")
    if not cost:
        return plan
    chosen = {figure["name"]: st.session_state[_key(figure)] for figure in cost["prices"]["figures"] if _key(figure) in st.session_state}
    return plan.with_(estimate={**plan.estimate, "cost": repriced(cost, chosen)})


def card(cost: Mapping[str, Any]) -> None:
    """Draw what the move costs, and what keeping the target does."""
    told = ["to move"] + ([f"{money(cost['monthly'])} a month to keep"] if cost["monthly"] is not None else [])
    told += [f"{money(cost['follow']['day'])} a day of following"] if cost["follow"] else []
    kit.card("Cost in the cloud" if cost["hypothetical"] else "Cost", money(cost["total_move"]), ", ".join(told), icon=":material/payments:")


def draw(plan: Plan, listed: Mapping[str, Any]) -> None:
    """Draw the bill of ``plan`` and the widgets that change its prices; ``listed`` is its estimate before they did."""
    cost = plan.estimate["cost"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader("Cost", anchor=False)
        _prices(cost, listed["cost"])
    text = ("what", "when", "quantity", "unit", "price")
    config: dict[str, Any] = {name: columns.TextColumn(name) for name in text}
    config["quantity"] = columns.TextColumn("quantity", alignment="right")
    config["dollars"] = columns.TextColumn("dollars", alignment="right")
    free = {figure["name"]: f", {figure['value']:g} {figure['unit']} free" for figure in cost["prices"]["figures"] if figure["kind"] == "free"}
    kit.table([_row(item, free.get(item["free"], "")) for item in cost["items"]], config, f"What {len(cost['items'])} parts of the move cost.")
    notes = [cost_basis(cost), *cost["notes"]]
    if cost["hypothetical"]:
        notes.insert(0, "this local server costs nothing: these are the figures of the service it stands for")
    st.caption(words.plain(". ".join(note[:1].upper() + note[1:] for note in notes) + "."))


def _row(item: Mapping[str, Any], free: str) -> dict[str, str]:
    quantity = item["quantity"]
    return {
        "what": item["what"],
        "when": WHEN[item["when"]],
        "quantity": f"{quantity:,.3f}" if quantity != round(quantity) else f"{quantity:,.0f}",
        "unit": item["unit"],
        "price": f"${item['price']:,.2f} a {item['price_unit']}{free}",
        "dollars": money(item["dollars"]),
    }


def _prices(cost: Mapping[str, Any], listed: Mapping[str, Any]) -> None:
    used = {item[key] for item in cost["items"] for key in ("figure", "free")}
    with st.popover("Prices", icon=":material/tune:"):
        st.caption("For this look. To keep your own, write them into prices.yaml in MIGRATOR_HOME.")
        shown = [figure for figure in listed["prices"]["figures"] if figure["name"] in used]
        for place, figure in zip(st.columns(2) * len(shown), shown, strict=False):
            label = f"{'Free' if figure['kind'] == 'free' else 'Dollars a'} {figure['unit']}"
            place.number_input(words.plain(label), 0.0, value=float(figure["value"]), step=0.01, format="%.2f", key=_key(figure), persist_state="session")
