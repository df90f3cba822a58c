"""The embedding map as a Plotly figure: a ring for each vector of the source, a dot for the same record's in the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from ui import words
from ui.charts import Chart, framed, unmarked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def embedding_map(drawn: Mapping[str, Any]) -> Chart:
    """Return a sample's vectors on two axes, from what ``MapsOfRuns.draw`` gives: a ring for the source, a dot in it for the target.

    Where the two lie apart a line joins them; a ring without a dot is a record the target does not have.
    """
    names = [f"{unmarked(record)} · {unmarked(words.namespace(space))}" for record, space in zip(drawn["ids"], drawn["namespaces"], strict=True)]
    apart = [(*pair, (None, None)) for pair in zip(drawn["source"], drawn["target"], strict=True) if pair[1] is not None and pair[0] != pair[1]]
    xs, ys = ([point[axis] for joined in apart for point in joined] for axis in (0, 1))
    lines = go.Scatter(x=xs, y=ys, mode="lines", line={"width": 1}, opacity=0.6, hoverinfo="skip", showlegend=False)
    figure = framed(
        _points("source", drawn["source"], names, {"symbol": "circle-open", "size": 9, "line": {"width": 1.5}}),
        _points("target", drawn["target"], names, {"size": 4}),
        lines,
        x=f"first axis, {words.percent(drawn['explained'][0], 0)} of the variance",
        y=f"second, {words.percent(drawn['explained'][1], 0)}",
        legend=True,
    )
    figure.update_xaxes(showticklabels=False, showgrid=False, zeroline=False)
    figure.update_yaxes(showticklabels=False, zeroline=False)
    number, away = len(names), f"{drawn['absent']:,} are not in the target"
    same = f"{drawn['equal']:,} have the same vector on both sides"
    return Chart(figure, f"Map of {number:,} sampled vectors by their two principal components: {same}, {away}.")


def _points(side: str, places: Sequence[Sequence[float] | None], names: Sequence[str], marker: dict[str, Any]) -> go.Scatter:
    """Return the points of one side; a record that is not there has none."""
    here = [(place, name) for place, name in zip(places, names, strict=True) if place is not None]
    return go.Scatter(
        name=side,
        x=[place[0] for place, _ in here],
        y=[place[1] for place, _ in here],
        customdata=[name for _, name in here],
        mode="markers",
        marker=marker,
        hovertemplate=f"%{{customdata}}<br>{side}<extra></extra>",
    )
