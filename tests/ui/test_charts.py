"""The figures: the right numbers in them, colours left to the theme, and a text that says the same."""

import pytest

from ui import charts, map_chart

NAMESPACES = {
    "en": {"source": 12_000, "target": 12_000, "missing": 0, "extra": 0, "changed": 0},
    "de": {"source": 9_000, "target": 8_995, "missing": 7, "extra": 2, "changed": 3},
    "": {"source": 5, "target": 5, "missing": 0, "extra": 0, "changed": 0},
}


def test_throughput():
    chart = charts.throughput([[0.0, 500.0], [1.0, 900.0], [2.0, 700.0]])
    area = chart.figure.data[0]
    assert list(area.x) == [0, 1, 2, 3]  # the last second is drawn as wide as the others
    assert list(area.y) == [500, 900, 700, 700]
    assert list(charts.throughput([[0.0, 500.0]]).figure.data[0].x) == [0, 1]
    assert chart.alt == "Records a second over time: 500 to 900, now 700."
    stalled = charts.throughput([[0.0, 500.0]], until=9.0).figure.data[0]
    assert (list(stalled.x), list(stalled.y)) == ([0, 1, 1, 9], [500, 500, 0, 0])
    assert charts.throughput([]).alt == "No throughput measured yet."


@pytest.mark.parametrize("sizes", [[200], [1, 1, 1, 2], list(range(1, 1000, 7)), [1, 10_000], [500] * 40 + [123]])
def test_every_batch_is_in_one_bar_of_the_histogram(sizes):
    bars = charts.batch_sizes(sizes).figure.data[0]
    assert sum(bars.y) == len(sizes)
    assert len(bars.y) <= charts.MOST_BARS
    edges = [(middle - bars.width / 0.9 / 2, middle + bars.width / 0.9 / 2) for middle in bars.x]
    for (low, high), height in zip(edges, bars.y, strict=True):
        assert height == sum(low <= size < high for size in sizes)


def test_batch_sizes_in_words():
    assert charts.batch_sizes([200, 200, 57]).alt == "Sizes of 3 batches: 57 to 200 records each."
    assert charts.batch_sizes([]).alt == "No batch written yet."


def test_counts_of_both_sides():
    chart = charts.counts(NAMESPACES)
    sides = {bar.name: dict(zip(bar.x, bar.y, strict=True)) for bar in chart.figure.data}
    assert sides["source"] == {"(default)": 5, "de": 9_000, "en": 12_000}
    assert sides["target"]["de"] == 8_995
    assert chart.alt == "Records per namespace: 21,005 in the source and 21,000 in the target, 3 namespaces."


def test_differences_of_the_counts():
    chart = charts.count_differences(NAMESPACES)
    assert dict(zip(chart.figure.data[0].x, chart.figure.data[0].y, strict=True)) == {"(default)": 0, "de": -5, "en": 0}
    assert chart.alt == "Difference of the counts, target minus source: 1 of 3 namespaces differ."


def test_differences_by_class():
    chart = charts.differences(NAMESPACES)
    assert {bar.name: sum(bar.y) for bar in chart.figure.data} == {"missing": 7, "extra": 2, "changed": 3}
    assert chart.alt == "Differences per namespace: 7 missing, 2 extra, 3 changed."


def test_vector_delta():
    chart = charts.vector_delta([1.0, 2.0, 3.0], [1.0, 2.5, 2.0])
    assert list(chart.figure.data[0].y) == [0.0, 0.5, -1.0]
    assert chart.alt == "2 of 3 components differ, the largest by 1."
    with pytest.raises(ValueError, match="zip"):
        charts.vector_delta([1.0], [1.0, 2.0])


def test_only_the_largest_of_many_namespaces_are_drawn_and_the_text_says_so():
    many = {f"n{number:04}": {"source": number, "target": number, "missing": 0, "extra": 0, "changed": 0} for number in range(1000)}
    chart = charts.counts(many)
    bars = chart.figure.data[0]
    assert bars.orientation == "h"  # thirty names do not fit beside each other
    assert sorted(bars.x) == list(range(1000 - charts.MOST_NAMESPACES, 1000))
    assert "the 30 largest of 1,000 namespaces" in chart.alt


def test_a_namespace_is_data_not_markup():
    rows = {"<b>x</b><a href='http://evil.example'>": {"source": 1, "target": 1, "missing": 0, "extra": 0, "changed": 0}}
    for chart in (charts.counts(rows), charts.count_differences(rows), charts.differences(rows)):
        bars = chart.figure.data[0]
        assert "<" not in (bars.y if bars.orientation == "h" else bars.x)[0]


def test_names_that_are_shortened_alike_stay_two_bars():
    rows = {f"{'a' * 30}{number}{'b' * 30}": {"source": number, "target": 0, "missing": 0, "extra": 0, "changed": 0} for number in (1, 2, 3)}
    bars = charts.counts(rows).figure.data[0]
    assert len(set(bars.y)) == 3
    assert list(bars.x) == [1, 2, 3]


def test_colours_are_the_theme_s():
    drawn = [charts.throughput([[0, 1]]), charts.batch_sizes([1]), charts.counts(NAMESPACES), charts.differences(NAMESPACES), charts.vector_delta([0.0], [1.0])]
    for chart in drawn:
        text = chart.figure.to_json().split('"template"')[0]
        assert "#" not in text
        assert "rgb" not in text


def test_the_components_of_a_vector():
    chart = charts.vector([0.5, -2.0, 1.0])
    assert list(chart.figure.data[0].y) == [0.5, -2, 1]
    assert chart.alt == "A vector of 3 components, from -2 to 1."


def test_the_embedding_map():
    drawn = {
        "ids": ["a", "<b>", "c"],
        "namespaces": ["en", "", "en"],
        "source": [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]],
        "target": [[0.0, 1.0], [2.5, 3.0], None],
        "explained": [0.61, 0.2],
        "equal": 1,
        "absent": 1,
    }
    chart = map_chart.embedding_map(drawn)
    source, target, apart = chart.figure.data
    assert (list(source.x), list(source.y)) == ([0, 2, 4], [1, 3, 5])
    assert list(target.x) == [0, 2.5]  # a record that is not there has no dot
    assert (list(apart.x), list(apart.y)) == ([2, 2.5, None], [3, 3, None])
    assert list(target.customdata) == ["a · en", "&lt;b&gt; · (default)"]  # ids are data, also to Plotly
    assert chart.figure.layout.xaxis.title.text == "first axis, 61 % of the variance"
    assert chart.alt == "Map of 3 sampled vectors by their two principal components: 1 have the same vector on both sides, 1 are not in the target."
