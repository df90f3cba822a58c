"""Widgets the pages share: headings, cards, badges, findings, charts, links, and errors as one clear message."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import streamlit as st

from migrator.errors import MigratorError
from ui import downloads
from ui.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from streamlit.delta_generator import DeltaGenerator

    from migrator.model import Finding
    from ui.charts import Chart

ACTIVE = frozenset({"running", "paused"})
"""States of a run on which a page looks again by itself."""

STATUS = {
    "running": ("blue", ":material/sync:", "running"),
    "paused": ("orange", ":material/pause:", "paused"),
    "interrupted": ("orange", ":material/power_off:", "interrupted"),
    "cancelled": ("gray", ":material/stop:", "cancelled"),
    "failed": ("red", ":material/error:", "failed"),
    "proven": ("green", ":material/verified:", "proven"),
    "differs": ("red", ":material/difference:", "differs"),
    "incomplete": ("orange", ":material/pending:", "incomplete"),
}
SEVERITY = {
    "blocking": ("red", ":material/block:", "blocks the run"),
    "lossy": ("orange", ":material/compress:", "loses something"),
    "info": ("blue", ":material/info:", "good to know"),
}


def heading(title: str, caption: str = "") -> None:
    """Draw a page's title and the sentence under it."""
    st.title(title, anchor=False)
    if caption:
        st.caption(caption)


@contextmanager
def guarded() -> Iterator[None]:
    """Show a ``MigratorError`` as one message with its fix, in place of what would have been drawn."""
    try:
        yield
    except MigratorError as error:
        failure(error.message, error.fix)


def failure(message: str, fix: str = "") -> None:
    """Draw an error: what is wrong, and on a line of its own what to do."""
    st.error(_sentence(message) + (f"  \n**What to do:** {plain(fix)}" if fix else ""), icon=":material/error:")


def notice(message: str, fix: str = "") -> None:
    """Draw what is good to know about figures: what it is, and what to do."""
    text = " ".join(f"{_sentence(part.rstrip('.'))}." for part in (message, fix) if part)
    st.info(text, icon=":material/info:")


def _sentence(text: str) -> str:
    """Return ``text`` harmless to Markdown, beginning with a capital unless it begins with a name."""
    word = text.partition(" ")[0].rstrip(":,")
    return plain(text[:1].upper() + text[1:] if word[:2].islower() and word.isalpha() else text)


def nothing_yet(message: str, page: str, action: str, icon: str = ":material/inbox:") -> None:
    """Draw an empty state: why nothing is here, and the button to the page where one goes on."""
    with st.container(border=True, horizontal_alignment="center", gap="small"):
        st.space("small")
        st.markdown(f"### {icon}", width="content")
        st.markdown(message, width="content", text_alignment="center")
        if st.button(action, type="primary", key=f"go_{page}"):
            st.switch_page(f"../pages/{page}.py")
        st.space("small")


def badge(status: str) -> None:
    """Draw the status of a run."""
    color, icon, label = STATUS.get(status, ("gray", ":material/help:", status))
    st.badge(label, color=color, icon=icon)


def card(label: str, value: str, caption: str = "", *, icon: str = "", chart: Sequence[float] | None = None, tone: str = "") -> None:
    """Draw one figure in a frame: what it is, the figure, and the sentence that explains it. ``tone`` colours the sentence."""
    with st.container(border=True, height="stretch", gap=None):
        st.metric(label, plain(value), icon=icon or None, chart_data=chart or None, chart_type="area", delta_color="primary")
        if caption:
            st.caption(f":{tone}[{plain(caption)}]" if tone else plain(caption))


def cards() -> DeltaGenerator:
    """Return the row that ``card`` is called in: four beside each other, fewer where the window is narrow."""
    return st.grid(4, min_column_width=190)


def findings(found: Iterable[Finding]) -> None:
    """Draw what the user should know before a run, what stops it first."""
    order = list(SEVERITY)
    for finding in sorted(found, key=lambda finding: order.index(finding.severity)):
        color, icon, label = SEVERITY[finding.severity]
        with st.container(border=True, gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.badge(label, color=color, icon=icon)
                st.markdown(_sentence(finding.message), width="stretch")
            if finding.fix:
                st.caption(plain(finding.fix))


def chart(title: str, drawn: Chart, key: str) -> None:
    """Draw a chart in a card of its own."""
    with st.container(border=True, height="stretch"):
        st.markdown(f"**{title}**")
        st.plotly_chart(drawn.figure, key=key, alt=drawn.alt, config={"displayModeBar": False, "scrollZoom": False})


def table(rows: Any, columns: dict[str, Any], alt: str, **options: Any) -> Any:
    """Draw a table of data: ``columns`` are Streamlit column configurations, ``alt`` says in words what the table holds."""
    return st.dataframe(rows, hide_index=True, column_config=columns, column_order=list(columns), alt=alt, **{"placeholder": "—", **options})


def download(label: str, path: Path, *, name: str | None = None, icon: str = ":material/download:", key: str | None = None) -> None:
    """Draw a link that streams ``path`` from disk."""
    st.link_button(label, downloads.link(path, name), icon=icon, key=key)
