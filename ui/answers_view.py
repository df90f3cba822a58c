"""One query and its answers: the exact ones, and beside them what each side gave, marked where it is one of the exact."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit import column_config as columns

from ui import kit, words

SIDES = ("source", "target")
FOUND, OTHER = "✓", "○"


def draw(found: dict[str, Any]) -> None:
    """Draw the queries that were kept, the worst answered first, and the answers of the chosen one."""
    kept = found.get("answers") or []
    if not kept:
        return
    st.markdown("**Answers side by side**")
    st.caption(f"{words.several(len(kept), 'query', 'queries')}, the worst answered first. {FOUND} marks an answer that is among the exact ones.")
    _answers(kept[_chosen(kept)])


def _chosen(kept: list[dict[str, Any]]) -> int:
    """Draw the queries and return which of them is ticked, the first one where none is."""
    sides = [side for side in SIDES if any(row.get(f"recall_{side}") is not None for row in kept)]
    rows = [
        {"namespace": words.namespace(row["namespace"] or ""), "query": str(row["query"])} | {side: row.get(f"recall_{side}") for side in sides} for row in kept
    ]
    config: dict[str, Any] = {"namespace": columns.TextColumn("namespace", width=110), "query": columns.TextColumn("query", width=300)}
    config |= {
        side: columns.NumberColumn(f"recall, {side}", format="%.2f", width=90, help=f"Share of the exact answers that the {side} found.") for side in sides
    }
    event = kit.table(
        rows, config, f"{len(rows)} queries with the recall of each side.", on_select="rerun", selection_mode="single-row", key="answer_table", height=218
    )
    ticked = event["selection"]["rows"]
    return ticked[0] if ticked and ticked[0] < len(kept) else 0


def _answers(row: dict[str, Any]) -> None:
    """Draw the exact answers and those of each side, by rank."""
    exact = {hit["id"] for hit in row["exact"]}
    lists = {"exact": row["exact"]} | {side: row[side] for side in SIDES if row.get(side) is not None}
    rows = [
        {"rank": rank + 1} | {name: _hit(hits, rank, None if name == "exact" else exact) for name, hits in lists.items()}
        for rank in range(max(map(len, lists.values()), default=0))
    ]
    with st.container(border=True):
        st.markdown(f"**{kit.plain(words.shorten(str(row['query']), 48))}** in {kit.plain(words.namespace(row['namespace'] or ''))}")
        said = [f"{side} {row[f'recall_{side}']:.2f}" for side in SIDES if row.get(f"recall_{side}") is not None]
        st.caption(
            f"Recall: {kit.plain(', '.join(said) or 'of neither side')}. One that is not marked and just as near as the last exact one counts for it too."
        )
        config: dict[str, Any] = {"rank": columns.NumberColumn("", width=35)}
        config |= {name: columns.TextColumn(name, width=110) for name in lists}
        kit.table(
            rows, config, f"The {len(row['exact'])} exact answers beside those of {' and '.join(name for name in lists if name != 'exact') or 'no side'}."
        )


def _hit(hits: list[dict[str, Any]], rank: int, exact: set[str] | None) -> str:
    """Return the answer at ``rank`` with its score, marked when it is one of the ``exact``."""
    if rank >= len(hits):
        return "—"
    hit = hits[rank]
    mark = "" if exact is None else f"{FOUND if hit['id'] in exact else OTHER} "
    return f"{mark}{hit['id']} · {hit['score']:.4f}"
