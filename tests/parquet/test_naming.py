"""Namespaces as folder names: reversible, distinct and safe, whatever the namespace is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.datasets.naming import fits, folder_of, namespace_of

namespaces = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.text("._%/ \0\n\\default", max_size=12)


@given(namespaces)
def test_folder_names_are_reversible_and_safe(namespace):
    folder = folder_of(namespace)
    assert namespace_of(folder) == namespace
    assert folder == "__default__" or not folder.startswith((".", "_"))
    assert folder
    assert not set(folder) & set('/\\\0\n:*?"<>|')
    assert not folder.endswith((".", " "))


@pytest.mark.parametrize(
    ("namespace", "folder"),
    [
        ("", "__default__"),
        ("products", "products"),
        ("日本 語", "日本 語"),
        ("a/b", "a%2Fb"),
        ("..", "%2E%2E"),
        ("__default__", "%5F_default__"),
        ("_staging", "%5Fstaging"),
        ("100%", "100%25"),
        ("%41", "%2541"),
        ("tab\there", "tab%09here"),
        ("nul\0", "nul%00"),
    ],
)
def test_folder_names(namespace, folder):
    assert folder_of(namespace) == folder


@pytest.mark.parametrize("folder", ["color=red", "100%", "%zz", "%FF"])
def test_folders_of_others_stand_for_themselves(folder):
    assert namespace_of(folder) == folder


def test_length_is_that_of_the_folder_name():
    assert fits("x" * 255)
    assert not fits("x" * 256)
    assert not fits("/" * 86)
    assert not fits("日" * 86)
