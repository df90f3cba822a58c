"""Differences as files: the list as it is filtered, for a spreadsheet, and all of them as they were found."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import streamlit as st

from ui import downloads, kit, state

if TYPE_CHECKING:
    from collections.abc import Iterable

COLUMNS = ("namespace", "id", "class", "fields", "largest_delta", "cosine")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a text for a formula (OWASP, "CSV Injection")."""


def draw(run: str, shown: list[dict[str, Any]]) -> None:
    """Draw the links to both files."""
    with st.container(horizontal=True):
        if shown:
            link = downloads.text_link(as_csv(shown), f"differences-{run}.csv")
            st.link_button(f"Export the {len(shown):,} shown (CSV)", link, icon=":material/table:", key="difference_csv")
        if (path := state.service().differences_file(run)) is not None:
            kit.download("All differences (JSON lines)", path, name=f"differences-{run}.jsonl", key="difference_file")


def as_csv(rows: Iterable[dict[str, Any]]) -> str:
    """Return the differences as CSV with a head line. Ids are data of others: none may run as a formula where the file is opened."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        told = {**row, "fields": " ".join(row["fields"])}
        writer.writerow([harmless(told[name]) if isinstance(told.get(name), str) else told.get(name) for name in COLUMNS])
    return text.getvalue()


def harmless(text: str) -> str:
    """Return ``text`` with an apostrophe before it when a spreadsheet would compute it."""
    return f"'{text}" if text.startswith(FORMULA) else text
