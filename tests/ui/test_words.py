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


@pytest.mark.parametrize(("share", "text"), [(0, "0 %"), (0.552, "55 %"), (0.999, "99 %"), (1, "100 %")])
def test_whole_percents(share, text):
    assert words.percent(share, 0) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0001, "<1 ms"), (0.048, "48 ms"), (0.9994, "999 ms"), (0.9996, "1.0 s"), (7.967, "8.0 s")])
def test_milliseconds(seconds, text):
    assert words.milliseconds(seconds) == text


def test_nouns_follow_their_number():
    assert words.several(1, "batch", "batches") == "1 batch"
    assert words.several(2000, "batch", "batches") == "2,000 batches"
    assert words.several(0, "record") == "0 records"


@pytest.mark.parametrize(
    ("kind", "counts", "text", "number"),
    [
        ("copy", (300, 300, 0, 0, 0), "", 0),
        ("copy", (300, 293, 7, 0, 0), "7 were rejected", 7),
        ("copy", (9, 5, 1, 2, 1), "1 was rejected, 2 vanished while reading, 1 duplicate was held back", 4),
        ("verify", (50, 20, 3, 27, 0), "3 cannot be read", 3),
    ],
)
def test_what_became_of_the_records_that_were_not_copied(kind, counts, text, number):
    result = {"kind": kind, "counts": dict(zip(("scanned", "copied", "rejected", "vanished", "duplicate"), counts, strict=True))}
    assert (words.left_out(result), words.not_expected(result)) == (text, number)


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
