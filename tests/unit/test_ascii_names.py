"""ASCII spellings: each name has one, no two share one, and what fits already is left alone."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from migrator.ascii_names import DEFAULT_SPELLINGS, decode, encode

# few characters, so that Hypothesis meets names that look like spellings of each other
close = st.text(st.sampled_from("%25E7B1_a \0é日😀"), max_size=14) | st.sampled_from(["__default__", "%5F_default__", "%255F_default__"])
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | close
reserved = st.sampled_from([frozenset(), DEFAULT_SPELLINGS])


@given(names, reserved)
@example("%E6%97%A5", frozenset())
@example("100%25", frozenset())
@example("%5F_default__", DEFAULT_SPELLINGS)
def test_every_name_comes_back(name, kept):
    spelling = encode(name, kept)
    assert spelling.isascii()
    assert "\0" not in spelling
    assert spelling not in kept
    assert decode(spelling, kept) == name


@given(close, close, reserved)
def test_no_two_names_share_a_spelling(one, other, kept):
    assert (encode(one, kept) == encode(other, kept)) == (one == other)


@given(close, close, reserved)
def test_no_two_spellings_are_read_as_one_name(one, other, kept):
    try:
        same = decode(one, kept) == decode(other, kept)
    except ValueError:
        return
    assert same == (one == other)


@given(st.text(st.characters(max_codepoint=127, exclude_characters="%\0")))
def test_ascii_without_percent_is_left_alone(name):
    assert encode(name) == decode(name) == name


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("日本", "%E6%97%A5%E6%9C%AC"),
        ("50% off", "50% off"),
        ("a%20b", "a%20b"),
        ("a b", "a b"),
        ("%e6%97%a5", "%e6%97%a5"),
        ("%E6%97%A5", "%25E6%2597%25A5"),
        ("日 50%", "%E6%97%A5 50%25"),
        ("a\0b", "a%00b"),
        ("", ""),
    ],
)
def test_spellings_as_documented(name, spelling):
    assert encode(name) == spelling


def test_the_other_word_for_the_default_namespace_is_kept_apart_from_it():
    assert encode("__default__", DEFAULT_SPELLINGS) == "%5F_default__"
    assert encode("%5F_default__", DEFAULT_SPELLINGS) == "%255F_default__"
    assert encode("__default__") == "__default__"


@pytest.mark.parametrize("spelling", ["日本", "100%25", "%25", "a\0", "%25E6"])
def test_what_no_name_is_spelt_like_is_said(spelling):
    with pytest.raises(ValueError, match="not how any name is encoded"):
        decode(spelling)
