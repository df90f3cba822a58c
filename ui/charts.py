"""Plotly figures as pure functions of plain data; colours come from the theme, the alternative text from the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import plotly.graph_objects as go

from ui import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

DELTA = "target \N{MINUS SIGN} source"
HEIGHT = 270
"""Pixels."""
MOST_LETTERS = 44
"""Letters of all names together that still fit under upright bars in half a page's width."""
MOST_NAMESPACES = 30
"""Bars a chart shows; the tables beside it show them all."""
STALL_SECONDS = 2.0
MOST_BARS = 24
"""Bars of a histogram."""


class Chart(NamedTuple):
    """A figure and what it shows in words, for those who cannot see it."""

    figure: go.Figure
    alt: str


def throughput(points: Sequence[Sequence[float]], until: float = 0.0) -> Chart:
    """Return records a second over the seconds since the start, from ``[[seconds, records_per_second], …]``.

    A point is the mean of the time until the next one; the last is drawn as wide as the others. A run that has committed nothing
    since then is drawn at zero up to ``until``: a store that stalls must show.
    """
    seconds, rates = [point[0] for point in points], [point[1] for point in points]
    drawn_seconds, drawn_rates = list(seconds), list(rates)
    if points:
        drawn_seconds.append(seconds[-1] + (seconds[1] - seconds[0] if seconds[1:] else 1.0))
        drawn_rates.append(rates[-1])
        if until > drawn_seconds[-1] + STALL_SECONDS:
            drawn_seconds += [drawn_seconds[-1], until]
            drawn_rates += [0.0, 0.0]
    area = go.Scatter(
        x=drawn_seconds,
        y=drawn_rates,
        mode="lines",
        fill="tozeroy",
        line={"width": 2, "shape": "linear" if rates[8:] else "hv"},
        hovertemplate="%{y:,.0f} records/s at %{x:.0f} s<extra></extra>",
    )
    figure = framed(area, x="seconds", y="records / s")
    figure.update_yaxes(rangemode="tozero")
    return Chart(figure, f"Records a second over time: {_range(rates)}, now {words.count(rates[-1])}." if rates else "No throughput measured yet.")


def batch_sizes(sizes: Sequence[int]) -> Chart:
    """Return how many batches had how many records, from the records of each batch."""
    low, width, batches = _histogram(sizes)
    middles = [low + width * (place + 0.5) for place in range(len(batches))]
    spans = [f"{round(low + width * place):,}" + (f" to {round(low + width * (place + 1)) - 1:,}" if width > 1 else "") for place in range(len(batches))]
    bars = go.Bar(x=middles, y=batches, width=width * 0.9, customdata=spans, hovertemplate="%{customdata} records: %{y:,} batches<extra></extra>")
    figure = framed(bars, x="records per batch", y="batches")
    if max(batches, default=0) < 5:
        figure.update_yaxes(dtick=1, rangemode="tozero")
    if len(batches) == 1:  # one size only: a single bar would fill the whole chart
        figure.update_xaxes(range=[low - 6, low + 7], tickvals=[middles[0]], ticktext=[f"{round(low):,}"])
    return Chart(figure, f"Sizes of {len(sizes):,} batches: {_range(sizes)} records each." if sizes else "No batch written yet.")


def _histogram(sizes: Sequence[int]) -> tuple[float, float, list[int]]:
    """Return the lowest edge, the width and the heights of at most ``MOST_BARS`` bars, each a whole number of records wide."""
    if not sizes:
        return 0.0, 1.0, []
    low, high = min(sizes), max(sizes)
    width = max(1, -(-(high - low + 1) // MOST_BARS))
    heights = [0] * ((high - low) // width + 1)
    for size in sizes:
        heights[(size - low) // width] += 1
    return float(low), float(width), heights


def counts(namespaces: Mapping[str, Mapping[str, int]]) -> Chart:
    """Return the records of each namespace in source and target, from ``{name: {"source", "target", …}}``."""
    shown = _largest(namespaces, lambda row: max(row["source"], row["target"]))
    figure = _by_namespace({side: {name: row[side] for name, row in shown.items()} for side in ("source", "target")}, "records")
    source, target = (sum(row[side] for row in namespaces.values()) for side in ("source", "target"))
    return Chart(figure, f"Records per namespace: {source:,} in the source and {target:,} in the target, {_in(namespaces)}.")


def count_differences(namespaces: Mapping[str, Mapping[str, int]]) -> Chart:
    """Return target minus source for each namespace: zero everywhere is what a whole copy looks like."""
    deltas = {name: row["target"] - row["source"] for name, row in namespaces.items()}
    shown = _largest(deltas, abs)
    figure = _by_namespace({"": shown}, DELTA)
    figure.update_traces(text=[f"{delta:+,}" if delta else "0" for delta in shown.values()], textposition="outside", cliponaxis=False)
    most = max((abs(delta) for delta in shown.values()), default=0)
    reach = most * 1.25 or 1
    _along(figure, range=[-reach, reach], zeroline=True, zerolinewidth=1, nticks=5, dtick=None if most > 2 else 1, **({} if most else {"tickvals": [0]}))
    unequal = sum(delta != 0 for delta in deltas.values())
    return Chart(figure, f"Difference of the counts, target minus source: {unequal:,} of {len(deltas):,} namespaces differ.")


def differences(namespaces: Mapping[str, Mapping[str, int]]) -> Chart:
    """Return missing, extra and changed records of each namespace, stacked."""
    kinds = ("missing", "extra", "changed")
    shown = _largest(namespaces, lambda row: sum(row[kind] for kind in kinds))
    figure = _by_namespace({kind: {name: row[kind] for name, row in shown.items()} for kind in kinds}, "records")
    figure.update_layout(barmode="stack", legend_traceorder="normal")
    totals = ", ".join(f"{sum(row[kind] for row in namespaces.values()):,} {kind}" for kind in kinds)
    return Chart(figure, f"Differences per namespace: {totals}.")


def _by_namespace(series: Mapping[str, Mapping[str, int]], title: str) -> go.Figure:
    """Return bars for each namespace, one a series: upright, or lying where the names are too long to stand beside each other."""
    names = _labels(next(iter(series.values())))
    lying = sum(len(name) for name in names) > MOST_LETTERS
    bars = [
        go.Bar(
            name=label,
            x=list(values.values()) if lying else names,
            y=names if lying else list(values.values()),
            orientation="h" if lying else "v",
            customdata=names,
            hovertemplate=f"%{{customdata}}: %{{{'x' if lying else 'y'}:,}} {label}<extra></extra>",
        )
        for label, values in series.items()
    ]
    figure = framed(*bars, x=title if lying else "", y="" if lying else title, legend=len(series) > 1)
    if lying:
        figure.update_layout(height=max(HEIGHT, 24 * len(names) + 70))
        figure.update_yaxes(autorange="reversed", showgrid=False)
    most = max((abs(value) for values in series.values() for value in values.values()), default=0)
    _along(figure, rangemode="tozero", tickformat=",d", **({"dtick": 1} if most < 5 else {}))
    return figure


def _along(figure: go.Figure, **settings: Any) -> None:
    """Set the axis along which the bars grow."""
    (figure.update_xaxes if figure.data and figure.data[0].orientation == "h" else figure.update_yaxes)(**settings)


def vector_delta(source: Sequence[float], target: Sequence[float]) -> Chart:
    """Return target minus source for each component of one vector. Both have the same number of components."""
    deltas = [there - here for here, there in zip(source, target, strict=True)]
    bars = go.Bar(x=list(range(len(deltas))), y=deltas, marker_line_width=0, hovertemplate="component %{x}: %{y:.3g}<extra></extra>")
    figure = framed(bars, x="component", y=DELTA)
    largest = max((abs(delta) for delta in deltas), default=0.0)
    if not largest:
        figure.update_yaxes(range=[-1, 1], tickvals=[0])
    unequal = sum(delta != 0 for delta in deltas)
    return Chart(figure, f"{unequal:,} of {len(deltas):,} components differ, the largest by {largest:.3g}.")


def vector(values: Sequence[float]) -> Chart:
    """Return the components of one vector."""
    bars = go.Bar(x=list(range(len(values))), y=list(values), marker_line_width=0, hovertemplate="component %{x}: %{y:.3g}<extra></extra>")
    figure = framed(bars, x="component", y="value")
    return Chart(figure, f"A vector of {words.several(len(values), 'component')}, from {min(values):.3g} to {max(values):.3g}." if values else "No component.")


def framed(*traces: Any, x: str = "", y: str = "", legend: bool = False) -> go.Figure:
    """Return a figure of ``traces`` with the axes' titles, as tall as its card and without the margins of a paper figure."""
    figure = go.Figure(list(traces))
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 8, "r": 8, "t": 34 if legend else 12, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "title": None},
        bargap=0.12,
        hoverlabel={"namelength": 0},
    )
    figure.update_xaxes(title_text=x, automargin=True)
    figure.update_yaxes(title_text=y, automargin=True)
    return figure


def unmarked(text: str) -> str:
    """Return ``text`` so that Plotly, which reads HTML tags, shows it letter by letter."""
    return words.shorten(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _largest(rows: Mapping[str, Any], weight: Any) -> dict[str, Any]:
    """Return the ``MOST_NAMESPACES`` rows of the greatest weight, by name."""
    heaviest = sorted(rows, key=lambda name: -weight(rows[name]))[:MOST_NAMESPACES]
    return {name: rows[name] for name in sorted(heaviest)}


def _labels(names: Iterable[str]) -> list[str]:
    """Return namespaces as axis labels, no two alike: Plotly would draw two bars of one label as one."""
    labels: list[str] = []
    for name in names:
        label = unmarked(words.shorten(words.namespace(name), 24))
        alike = sum(known == label or known.startswith(f"{label} #") for known in labels)
        labels.append(f"{label} #{alike + 1}" if alike else label)
    return labels


def _in(namespaces: Mapping[str, Any]) -> str:
    """Return how many namespaces there are, and how many are drawn when that is fewer."""
    number = len(namespaces)
    return f"{number:,} namespaces" if number <= MOST_NAMESPACES else f"the {MOST_NAMESPACES} largest of {number:,} namespaces drawn"


def _range(numbers: Sequence[float]) -> str:
    low, high = words.count(min(numbers)), words.count(max(numbers))
    return low if low == high else f"{low} to {high}"
