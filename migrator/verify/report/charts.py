"""Charts as inline SVG, pure functions of plain numbers: places across are per cents, so letters keep their size on a phone and on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.verify.report.figures import duration, shorten, signed
from migrator.verify.report.html import Html, el, join, spelt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN = 8
"""Namespaces a chart shows; the tables show them all."""
BARS = 24
_ROW = 40
"""Pixels a row of a bar chart takes."""
_LETTERS = 24
_HEIGHT = 150
"""Pixels of the charts over an axis."""


def _svg(height: int, title: str, description: str, *children: object) -> Html:
    return el("svg", el("title", title), el("desc", description), *children, class_="chart", width="100%", height=height, role="img", aria_label=description)


def _label(said: object, x: float, y: float, anchor: str = "start", class_: str | None = None) -> Html:
    return el("text", said, x=f"{x:.2f}%", y=y, text_anchor=anchor, class_=class_)


def _bar(x: float, y: float, width: float, height: float, tone: str) -> Html:
    return el("rect", x=f"{x:.3f}%", y=y, width=f"{max(width, 0.0):.3f}%", height=height, rx=min(4, height / 2), class_=tone)


def _named(name: str) -> str:
    return shorten(spelt(name), _LETTERS) or "(default)"


def pairs(rows: Sequence[tuple[str, float, float]], said: Sequence[str], title: str, description: str, *, mark: float | None = None, most: float = 0.0) -> Html:
    """Return two bars for each row ``(name, source, target)``, ``said`` at its right end; ``mark`` is a line across each, ``most`` the least width."""
    most = max([most, *(max(source, target) for _, source, target in rows)]) or 1.0
    parts = []
    for place, ((name, source, target), words) in enumerate(zip(rows, said, strict=True)):
        y = _ROW * place
        parts += [_label(_named(name), 0, y + 13), _label(words, 100, y + 13, "end", "n")]
        parts += [_bar(0, y + 19, 100, 17, "track"), _bar(0, y + 19, 100 * source / most, 8, "source"), _bar(0, y + 28, 100 * target / most, 8, "target")]
        if mark is not None:
            x = f"{100 * mark / most:.3f}%"
            parts.append(el("line", x1=x, x2=x, y1=y + 17, y2=y + 38, class_="mark"))
    return _svg(_ROW * len(rows), title, description, *parts)


def deltas(rows: Sequence[tuple[str, int]], title: str, description: str) -> Html:
    """Return target minus source of each row as a bar to the left or right of zero."""
    most = max((abs(delta) for _, delta in rows), default=0) or 1
    parts: list[Html] = []
    for place, (name, delta) in enumerate(rows):
        y, width = _ROW * place, 50 * abs(delta) / most
        tone = "missing" if delta < 0 else "extra"
        parts += [_label(_named(name), 0, y + 13), _label(signed(delta), 100, y + 13, "end", "n")]
        parts += [_bar(0, y + 20, 100, 14, "track"), _bar(50 - width if delta < 0 else 50, y + 20, width, 14, tone)]
        parts.append(el("line", x1="50%", x2="50%", y1=y + 17, y2=y + 37, class_="zero"))
    return _svg(_ROW * len(rows), title, description, *parts)


def stacked(rows: Sequence[tuple[str, Mapping[str, int]]], title: str, description: str) -> Html:
    """Return one bar for each row, made of its parts ``{tone: number}``, the longest row across the whole width."""
    most = max((sum(parts.values()) for _, parts in rows), default=0) or 1
    found: list[Html] = []
    for place, (name, parts) in enumerate(rows):
        y, x = _ROW * place, 0.0
        found += [_label(_named(name), 0, y + 13), _label(f"{sum(parts.values()):,}", 100, y + 13, "end", "n"), _bar(0, y + 20, 100, 14, "track")]
        for tone, number in parts.items():
            width = 100 * number / most
            found += [_bar(x, y + 20, width, 14, tone)] if number else []
            x += width
    return _svg(_ROW * len(rows), title, description, *found)


def line_of_parts(parts: Mapping[str, float], tones: Sequence[str], title: str, description: str) -> Html:
    """Return one bar across the whole width, made of its parts."""
    total, x = sum(parts.values()) or 1.0, 0.0
    found = []
    for number, tone in zip(parts.values(), tones, strict=True):
        found.append(el("rect", x=f"{x:.3f}%", y=0, width=f"{100 * number / total:.3f}%", height=18, class_=tone))
        x += 100 * number / total
    return _svg(18, title, description, *found)


def area(points: Sequence[Sequence[float]], title: str, description: str) -> Html:
    """Return records a second over the seconds since the start, from ``[[seconds, rate], …]``; a point holds until the next one."""
    step = points[1][0] - points[0][0] if points[1:] else 1.0
    end = points[-1][0] + step
    ticks = _ticks(max(rate for _, rate in points))
    top = ticks[-1]
    corners = [(x, _HEIGHT * (1 - rate / top)) for start, rate in points for x in (1000 * start / end, 1000 * (start + step) / end)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    inner = el(
        "svg",
        el("polygon", points=f"0,{_HEIGHT} {line} 1000,{_HEIGHT}", class_="under"),
        el("polyline", points=line, class_="over"),
        x=0,
        y=18,
        width="100%",
        height=_HEIGHT,
        viewBox=f"0 0 1000 {_HEIGHT}",
        preserveAspectRatio="none",
    )
    times = [
        _label(duration(end * part) if part else "start", 100 * part, _HEIGHT + 36, anchor) for part, anchor in ((0, "start"), (0.5, "middle"), (1, "end"))
    ]
    return _svg(_HEIGHT + 42, title, description, inner, _grid(ticks), *times)


def histogram(sizes: Sequence[int], title: str, description: str) -> Html:
    """Return how many batches had how many records, from the records of each."""
    low, heights = _bins(sizes)
    ticks = _ticks(max(heights))
    each = 100 / max(len(heights), 6)  # few sizes make bars, not walls
    left = (100 - each * len(heights)) / 2
    bars = [
        _bar(left + each * (place + 0.08), 18 + _HEIGHT * (1 - count / ticks[-1]), each * 0.84, _HEIGHT * count / ticks[-1], "source")
        for place, count in enumerate(heights)
        if count
    ]
    edges = [_label(f"{low:,}", left + each / 2, _HEIGHT + 36, "middle")]
    if heights[1:]:
        edges.append(_label(f"{max(sizes):,}", left + each * (len(heights) - 0.5), _HEIGHT + 36, "middle"))
    return _svg(_HEIGHT + 42, title, description, _grid(ticks), *bars, *edges)


def _bins(sizes: Sequence[int]) -> tuple[int, list[int]]:
    """Return the lowest size and the number of batches in each of at most ``BARS`` bins."""
    low, high = min(sizes), max(sizes)
    width = max(1, -(-(high - low + 1) // BARS))
    heights = [0] * ((high - low) // width + 1)
    for size in sizes:
        heights[(size - low) // width] += 1
    return low, heights


def _ticks(most: float) -> list[float]:
    """Return three to five round numbers from 0 to ``most`` or just above it."""
    rough = max(most, 1.0) / 4
    power = 1.0
    while power * 10 <= rough:
        power *= 10
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    count = max(1, -int(-max(most, 1.0) // step))
    return [step * place for place in range(count + 1)]


def _grid(ticks: Sequence[float]) -> Html:
    lines = []
    for tick in ticks:
        y = round(18 + _HEIGHT * (1 - tick / ticks[-1]), 1)
        lines.append(el("line", x1="0%", x2="100%", y1=y, y2=y, class_="grid"))
        lines.append(_label(f"{tick:,.0f}", 0, y - 4, class_="tick") if tick else Html())
    return join(lines)
