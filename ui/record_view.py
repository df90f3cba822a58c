"""One differing record as both sides have it now: its vectors down to the components, its sparse weights and its metadata fields."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit import column_config as columns

from ui import charts, kit, state, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_ROWS = 1_000
"""Sparse weights listed."""


def draw(run: str, row: dict[str, Any]) -> None:
    """Draw the record that ``row`` of the differences names."""
    sides = state.service().difference(run, row["namespace"], row["id"])
    source, target = sides["source"], sides["target"]
    with st.container(border=True):
        st.markdown(f"**{kit.plain(words.shorten(row['id'], 48))}** in {kit.plain(words.namespace(row['namespace']))}")
        if row["class"] == "duplicate":
            st.caption("One of the sides holds this record more than once. A look-up shows one of them.")
        if source is None or target is None:
            _one_sided(source, target)
            return
        _vectors(source["values"], target["values"])
        _sparse(source.get("sparse_values"), target.get("sparse_values"))
        _metadata(source.get("metadata") or {}, target.get("metadata") or {})


def _one_sided(source: dict[str, Any] | None, target: dict[str, Any] | None) -> None:
    """Draw a record that one side does not have."""
    if source is None and target is None:
        st.caption("Neither side has this record now. Verify again to bring the list up to date.")
        return
    st.caption("Only the source has this record." if target is None else "Only the target has this record.")
    for name, record in (("Source", source), ("Target", target)):
        if record is None:
            st.markdown(f"**{name}:** not there")
            continue
        metadata, sparse = record.get("metadata"), record.get("sparse_values")
        said = [words.several(len(record["values"]), "component")] + ([words.several(len(sparse["indices"]), "sparse weight")] if sparse else [])
        st.markdown(f"**{name}:** {', '.join(said)}, {'metadata' if metadata else 'no metadata'}")
        if record["values"]:
            drawn = charts.vector(record["values"])
            st.plotly_chart(drawn.figure, key="chart_vector", alt=drawn.alt, config={"displayModeBar": False})
        if metadata:
            st.code(json.dumps(metadata, ensure_ascii=False, indent=1), language="json", wrap_lines=True, height=220)


def _vectors(source: list[float], target: list[float]) -> None:
    if len(source) != len(target):
        st.caption(f"The vectors have {len(source):,} and {len(target):,} components.")
        return
    drawn = charts.vector_delta(source, target)
    deltas = [there - here for here, there in zip(source, target, strict=True)]
    place = max(range(len(deltas)), key=lambda component: abs(deltas[component]), default=None)
    if place is None or not deltas[place]:
        st.caption("The vectors are equal, component by component.")
        return
    cosine = _cosine(source, target)
    angle = f", cosine {cosine:.6f}" if cosine is not None else ""
    st.caption(f"largest component difference {abs(deltas[place]):.3g} at component {place:,}: {source[place]:.9g} → {target[place]:.9g}{angle}")
    st.plotly_chart(drawn.figure, key="chart_delta", alt=drawn.alt, config={"displayModeBar": False})


def _cosine(source: Sequence[float], target: Sequence[float]) -> float | None:
    """Return the cosine between two vectors, None where one of them has no direction."""
    lengths = math.hypot(*source), math.hypot(*target)
    if not (all(lengths) and all(map(math.isfinite, lengths))):
        return None
    return math.fsum(here / lengths[0] * (there / lengths[1]) for here, there in zip(source, target, strict=True))


def _sparse(source: Mapping[str, Any] | None, target: Mapping[str, Any] | None) -> None:
    """Draw the sparse weights of both sides beside each other, what differs first."""
    if not source and not target:
        return
    ours, theirs = _weights(source), _weights(target)
    names = sorted({*ours, *theirs}, key=lambda index: (_alike(ours, theirs, index), index))
    unequal = sum(not _alike(ours, theirs, index) for index in names)
    st.caption(f"{unequal:,} of {words.several(len(names), 'sparse weight')} {'differs' if unequal == 1 else 'differ'}")
    rows = [
        {"": "=" if _alike(ours, theirs, index) else "≠", "index": str(index), "source": _weight(ours, index), "target": _weight(theirs, index)}
        for index in names[:MOST_ROWS]
    ]
    if rows:
        _side_by_side(rows, "index", f"{len(rows)} sparse weights on both sides.")


def _weights(sparse: Mapping[str, Any] | None) -> dict[int, float]:
    return dict(zip(sparse["indices"], sparse["values"], strict=True)) if sparse else {}


def _alike(source: Mapping[int, float], target: Mapping[int, float], index: int) -> bool:
    return index in source and index in target and source[index] == target[index]


def _weight(weights: Mapping[int, float], index: int) -> str:
    return f"{weights[index]:.9g}" if index in weights else "—"


def _metadata(source: dict[str, Any], target: dict[str, Any]) -> None:
    """Draw the metadata of both sides beside each other, what differs first."""
    names = sorted({*source, *target}, key=lambda name: (_same(source, target, name), name))
    if not names:
        st.caption("Neither side has metadata.")
        return
    rows = [{"": "=" if _same(source, target, name) else "≠", "field": name, "source": _text(source, name), "target": _text(target, name)} for name in names]
    _side_by_side(rows, "field", f"{len(rows)} metadata fields on both sides.")


def _side_by_side(rows: list[dict[str, str]], name: str, alt: str) -> None:
    widths = {"": 30, name: 85, "source": 118, "target": 118}
    config = {column: columns.TextColumn(column, width=width) for column, width in widths.items()}
    kit.table(rows, config, alt)


def _same(source: dict[str, Any], target: dict[str, Any], name: str) -> bool:
    """Return whether both sides hold the same value, as the proof sees it: 1 and 1.0 are the same number, 1 and true are not."""
    if not (name in source and name in target):
        return False
    return json.dumps(_whole(source[name]), sort_keys=True) == json.dumps(_whole(target[name]), sort_keys=True)


def _whole(value: Any) -> Any:
    """Return ``value`` with whole floats as integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def _text(metadata: dict[str, Any], name: str) -> str:
    return json.dumps(metadata[name], ensure_ascii=False, sort_keys=True) if name in metadata else "—"
