"""Namespaces as folder names, and back: readable, reversible, and safe on a disk as in a bucket."""

from __future__ import annotations

from urllib.parse import unquote

from migrator.model import DEFAULT_NAMESPACE

DEFAULT_FOLDER = "__default__"
"""Pinecone's bulk import knows the default namespace by this folder name."""

STAGING_FOLDER = "_staging"
LONGEST_NAME = 255
"""Bytes a file name may have on the common file systems (NAME_MAX)."""

_ALWAYS_ENCODED = frozenset('%/\\:*?"<>|')
_ENCODED_FIRST = frozenset("._")
"""A leading dot hides a folder, a leading underscore marks what is not data (``__default__``, ``_staging``, ``_SUCCESS``)."""
_ENCODED_LAST = frozenset(". ")
"""Windows drops them from the end of a name."""


def folder_of(namespace: str) -> str:
    """Return the folder name of ``namespace``; other letters than ASCII stay as they are."""
    if namespace == DEFAULT_NAMESPACE:
        return DEFAULT_FOLDER
    last = len(namespace) - 1
    return "".join(_encoded(character, first=place == 0, last=place == last) for place, character in enumerate(namespace))


def _encoded(character: str, *, first: bool, last: bool) -> str:
    unsafe = character in _ALWAYS_ENCODED or not character.isprintable() or (first and character in _ENCODED_FIRST) or (last and character in _ENCODED_LAST)
    return "".join(f"%{byte:02X}" for byte in character.encode()) if unsafe else character


def namespace_of(folder: str) -> str:
    """Return the namespace a folder name stands for; names not made by ``folder_of`` stand for themselves."""
    if folder == DEFAULT_FOLDER:
        return DEFAULT_NAMESPACE
    try:
        return unquote(folder, errors="strict")
    except UnicodeDecodeError:
        return folder


def fits(namespace: str) -> bool:
    """Return whether the folder name of ``namespace`` is short enough for the common file systems."""
    return len(folder_of(namespace).encode()) <= LONGEST_NAME
