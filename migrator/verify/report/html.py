"""The few elements a report is built of: whatever is not made here is text from outside, and escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NONE = "\N{EN DASH}"
"""Stands where there is no value."""
DEFAULT = "(default)"
"""What the namespace without a name is called."""


class Html(str):
    """Text that is markup of ours already."""

    __slots__ = ()


def text(value: object) -> Html:
    """Return ``value`` as text: markup is escaped, and what cannot be printed is spelt out, so that no character of an id turns the line around."""
    said = str(value)
    if not said.isprintable():
        said = "".join(c if c.isprintable() or c in " \n" else c.encode("unicode_escape").decode() for c in said)
    return Html(escape(said))


def el(name: str, *children: object, **attributes: object) -> Html:
    """Return one element. Children that are not ``Html`` are escaped; None among them, and attributes that are None, are left out."""
    said = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in attributes.items() if value is not None)
    return Html(f"<{name}{said}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Html:
    """Return the children one after the other, escaped unless they are ``Html``."""
    return Html("".join(child if isinstance(child, Html) else text(child) for child in children if child is not None))


def spelt(value: object) -> str:
    """Return a name on one line: two that differ in a line break only must not look alike."""
    return str(value).replace("\n", "\\n")


def outside(value: object) -> Html:
    """Return a name from outside, kept apart from the direction of the text around it."""
    return el("bdi", spelt(value))


def namespace(name: str) -> Html:
    """Return a namespace's name, the one without a name in words."""
    return outside(name) if name else el("span", DEFAULT, class_="dim")


def code(name: object) -> Html:
    """Return an id, a digest or an address in letters of equal width."""
    return el("bdi", spelt(name), class_="code")


def section(title: str, *children: object, lead: object = None) -> Html:
    """Return a part of the report with its heading, and a sentence below it."""
    return el("section", el("h2", title), el("p", lead, class_="dim") if lead else None, *children)


def card(*children: object, title: str = "") -> Html:
    """Return a framed box, for a chart and what belongs to it."""
    return el("div", el("h3", title) if title else None, *children, class_="card")


def table(header: Sequence[str], rows: Iterable[Sequence[object]], numbers: int = 0) -> Html:
    """Return a table whose last ``numbers`` columns are figures."""
    first = len(header) - numbers

    def cells(kind: str, row: Sequence[object]) -> list[Html]:
        return [el(kind, _figure(cell), class_="n" if place >= first else None) for place, cell in enumerate(row)]

    head = el("thead", el("tr", *cells("th", header)))
    return el("div", el("table", head, el("tbody", *(el("tr", *cells("td", row)) for row in rows))), class_="wide")


def facts(rows: Sequence[tuple[object, object]]) -> Html:
    """Return names and their values."""
    body = [el("tr", el("th", name, scope="row"), el("td", _figure(value))) for name, value in rows]
    return el("div", el("table", el("tbody", *body), class_="facts"), class_="wide")


def _figure(cell: object) -> object:
    return f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else NONE if cell is None else cell


def legend(*entries: tuple[str, str]) -> Html:
    """Return what each colour of a chart stands for, from ``(tone, words)``."""
    return el("p", *(el("span", el("i", class_=f"swatch {tone}"), said) for tone, said in entries), class_="legend")


def folded(title: str, *children: object, class_: str = "") -> Html:
    """Return something that is read by few, closed until it is asked for; on paper only if its class is ``print``, or it was opened."""
    return el("details", el("summary", title), *children, class_=class_ or None)


def shown_of(shown: int, total: int, rest: str = "") -> str | None:
    """Return how much of a long list is shown; None when all of it is."""
    return None if shown >= total else f"{shown:,} of {total:,} shown{rest}."


def get(found: Any, *path: str) -> Any:
    """Return what lies at ``path`` of nested dictionaries, None when any of it is missing: older results have fewer keys."""
    for key in path:
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found
