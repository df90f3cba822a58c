"""From what a move uses to dollars: prices by date and basis, a user's own in their place, sums, and the sentences that say them."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any

import yaml

from migrator.errors import ConfigError

if TYPE_CHECKING:
    from collections import abc
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from migrator.model import Bill, Charge, Figure, Follow, PriceList

_DAY = 86_400.0
_DEAREST = 1e9
_DAYS = 30
"""Of a month."""
_CENT = 0.01
_ORDER = ("move", "pass", "month")

Priced = tuple["PriceList", "Bill"]


def own_prices(path: Path, lists: Sequence[PriceList], others: abc.Set[str] = frozenset()) -> dict[str, float]:
    """Return the figures of ``lists`` that the file ``path`` replaces, none when there is no file. Raise ``ConfigError`` for a wrong key or value.

    ``others`` are stores that a plan does not touch: what the file says of them is left to the plans that do.
    """
    if not path.is_file():
        return {}
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise _bad(f"the prices file {path} cannot be read: {error}", "correct it, or remove it to use the prices that are known here") from None
    if not isinstance(found, (dict, type(None))):
        raise _bad(f"the prices file {path} is no mapping of names to figures", "write lines like pinecone.read_units: 16")
    known = {figure.name for prices in lists for figure in prices.figures}
    for name, value in (found or {}).items():
        if name not in known and str(name).partition(".")[0] not in others:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            raise _bad(f"the prices file {path} has an unknown key {name}", f"did you mean {near[0]}?" if near else f"use: {', '.join(sorted(known))}")
        if type(value) not in (int, float) or not 0 <= value < _DEAREST:  # neither holds of NaN
            raise _bad(f"{name} in the prices file {path}: {repr(value)[:40]} is no price", "write a number of 0 or more, in dollars")
    return {name: float(value) for name, value in (found or {}).items() if name in known}


def _bad(message: str, fix: str) -> ConfigError:
    return ConfigError(message, fix=fix, code="bad_prices")


def cost(priced: Sequence[Priced], own: Mapping[str, float], follow: Follow | None = None, seconds: float = 0.0) -> dict[str, Any]:
    """Return ``estimate.cost`` as JSON types: every charge with its dollars, the sums, and the prices with their date and basis.

    ``seconds`` is how long a pass of a run that follows its source is thought to take.
    """
    lists = [prices for prices, _ in priced]
    bills = [bill for _, bill in priced]
    raw = {
        "items": [_item(charge) for when in _ORDER for bill in bills for charge in bill.charges if charge.when == when],
        "passes_a_day": None if follow is None else _DAY / max(1.0, follow.interval + seconds),
        "hypothetical": any(bill.imaginary for bill in bills),
        "notes": [note for bill in bills for note in bill.notes],
        "prices": {
            "date": min(prices.date for prices in lists),
            "basis": "; ".join(prices.basis for prices in lists),
            "figures": [_figure(figure) for prices in lists for figure in prices.figures],
        },
    }
    return repriced(raw, own)


def _item(charge: Charge) -> dict[str, Any]:
    return {name: getattr(charge, name) for name in ("what", "when", "quantity", "unit", "figure", "free")}


def _figure(figure: Figure) -> dict[str, Any]:
    shown = {name: getattr(figure, name) for name in ("name", "value", "unit", "per", "kind", "confirmed")}
    return {**shown, "listed": figure.value}


def repriced(cost: Mapping[str, Any], own: Mapping[str, float]) -> dict[str, Any]:
    """Return ``cost`` with the figures ``own`` in place of those of their names, and everything that follows from them."""
    figures = [{**figure, "value": own.get(figure["name"], figure["value"])} for figure in cost["prices"]["figures"]]
    by_name = {figure["name"]: figure for figure in figures}
    passes = cost["passes_a_day"]
    items = [_with_dollars(item, by_name, passes) for item in cost["items"]]
    a_pass = math.fsum(item["dollars"] for item in items if item["when"] == "pass")
    monthly = [item["dollars"] for item in items if item["when"] == "month"]
    return {
        **cost,
        "items": items,
        "total_move": math.fsum(item["dollars"] for item in items if item["when"] == "move"),
        "monthly": math.fsum(monthly) if monthly else None,
        "follow": {"pass": a_pass, "passes_a_day": passes, "day": a_pass * passes} if passes and a_pass else None,
        "prices": {**cost["prices"], "figures": figures},
    }


def _with_dollars(item: Mapping[str, Any], figures: Mapping[str, Mapping[str, Any]], passes: float | None) -> dict[str, Any]:
    """Return ``item`` with its price and dollars. What is free is of a month, and so is shared by all passes of one."""
    price = figures[item["figure"]]
    free = figures[item["free"]]["value"] if item["free"] else 0.0
    if item["when"] == "pass":
        free /= max(1.0, (passes or 0.0) * _DAYS)
    dollars = max(0.0, item["quantity"] - free) / price["per"] * price["value"]
    return {**item, "price": price["value"], "price_per": price["per"], "price_unit": price["unit"], "dollars": dollars}


def money(dollars: float) -> str:
    """Return dollars as ``$0.42``, ``under $0.01`` or ``$1,234``."""
    if 0 < dollars < _CENT:
        return "under $0.01"
    return f"${dollars:,.0f}" if dollars >= 1_000 else f"${dollars:,.2f}"


def _about(dollars: float) -> str:
    return money(dollars) if dollars < _CENT else f"about {money(dollars)}"


def sentences(cost: Mapping[str, Any]) -> list[str]:
    """Return what ``cost`` comes to, a sentence each for the move and for following."""
    parts = [f"{item['what']} {money(item['dollars'])}" for item in cost["items"] if item["when"] == "move" and item["dollars"] >= _CENT]
    move = f"{_about(cost['total_move'])} to move" + (f" ({', '.join(parts)})" if len(parts) > 1 else "")
    keep = f", {money(cost['monthly'])} a month to keep" if cost["monthly"] is not None else ""
    cloud = "this local server costs nothing; in the cloud " if cost["hypothetical"] else ""
    told = [f"{cloud}{move}{keep}; {basis(cost)}"]
    if (follow := cost["follow"]) is not None:
        told.append(f"{_about(follow['pass'])} a pass while following, {money(follow['day'])} a day at {follow['passes_a_day']:,.0f} passes")
    return told


def basis(cost: Mapping[str, Any]) -> str:
    """Return where the prices are from: ``prices of 2026-11-04 (…)``, and which are the user's own, or not confirmed."""
    prices = cost["prices"]
    used = {item[key] for item in cost["items"] for key in ("figure", "free")}
    figures = [figure for figure in prices["figures"] if figure["name"] in used]
    own = _names(figure for figure in figures if figure["value"] != figure["listed"])
    unsure = _names(figure for figure in figures if not figure["confirmed"] and figure["value"] == figure["listed"])
    said = [prices["basis"], *([f"your own: {own}"] if own else []), *([f"not confirmed: {unsure}"] if unsure else [])]
    return f"prices of {prices['date']} ({'; '.join(said)})"


def _names(figures: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(figure["name"] for figure in figures)
