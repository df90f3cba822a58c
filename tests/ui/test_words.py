"""Figures and data as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "—"), (0, "under 1 s"), (0.99, "under 1 s"), (1, "1 s"), (59.4, "59 s"), (59.6, "1m 00s"), (62, "1m 02s"), (3599.9, "1h 00m"), (11_100, "3h 05m")],
)
def test_duration(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("octets", "text"), [(None, "—"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (214_000_000, "214 MB"), (1.5e9, "1.5 GB"), (2.5e12, "2.5 TB")]
)
def test_size(octets, text):
    assert words.size(octets) == text


@pytest.mark.parametrize(("share", "text"), [(0, "0.0 %"), (0.1558, "15.6 %"), (0.99999, "99.9 %"), (1, "100.0 %")])
def test_only_a_finished_whole_is_100_percent(share, text):
    assert words.percent(share) == text


def test_an_endpoint_is_shown_without_its_options():
    assert words.endpoint("milvus:products?uri=http://host:19530&token=env:MILVUS_TOKEN") == "milvus:products"
    assert words.endpoint("parquet:/a/very/long/way/down/to/the/folder/of/this/export") == "parquet:…/this/export"
    assert words.namespace("") == "(default)"


def test_moment():
    assert words.moment("2026-11-21T03:45:12+00:00") == "21 Nov 2026, 03:45 UTC"
    assert words.moment(None) == "—"


HOSTILE = [
    *("**bold**", "[link](http://evil.example)", "![i](http://evil.example/x.png)", ":material/home:", ":red[x]"),
    *("`code`", "$x^2$", "<b>x</b>", "# h", "a_b_c", "~x~"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_plain_escapes_every_markdown_character(text):
    escaped = words.plain(text)
    assert escaped.replace("\\", "") == text.replace("\\", "")
    markers = set("*[]()!`$<>#_~:{}")
    for place, letter in enumerate(escaped):
        if letter in markers:
            assert escaped[place - 1] == "\\"


@given(st.text())
def test_plain_is_one_line_whatever_the_data(text):
    assert not set(words.plain(text)) & set("\n\r\x00\x1b\u2028")


@given(st.text(), st.integers(3, 80))
def test_shorten_keeps_both_ends(text, letters):
    short = words.shorten(text, letters)
    assert len(short) <= max(letters, 1)
    assert short == text or (short[0] == text[0] and "…" in short)
