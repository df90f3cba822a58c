"""What the control plane accepts as the name of an index, a collection or a backup, and as tags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from migrator.local_pinecone.engine.errors import invalid
from migrator.pinecone_protocol import limits

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_TAG_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
_NAMESPACE_LENGTH = 512
_TAG_LENGTH = 120
_TAGS = 20


def check_namespace(name: str, *, ascii_only: bool) -> None:
    """Raise a 400 unless ``name`` may name a namespace."""
    if len(name) > _NAMESPACE_LENGTH or (ascii_only and not name.isascii()) or "\0" in name:
        raise invalid(f"Namespace must be at most {_NAMESPACE_LENGTH} ASCII characters without null characters")


def check_name(name: str) -> None:
    """Raise a 400 unless ``name`` may name a resource."""
    if not isinstance(name, str) or not name:
        raise invalid("Name must not be empty")
    if len(name) > limits.INDEX_NAME_LENGTH:
        raise invalid(f"Name must be at most {limits.INDEX_NAME_LENGTH} characters long, got {len(name)}")
    if not _NAME.fullmatch(name):
        raise invalid("Name must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character")


def check_tags(tags: Mapping[str, Any]) -> None:
    """Raise a 400 unless ``tags`` are few, with short keys and text values."""
    if not isinstance(tags, dict) or len(tags) > _TAGS:
        raise invalid(f"Tags must be an object with at most {_TAGS} entries")
    for key, value in tags.items():
        if not _TAG_KEY.fullmatch(key):
            raise invalid(f"Tag key '{key}' must be 1-80 alphanumeric characters, '_' or '-'")
        if not isinstance(value, str) or len(value) > _TAG_LENGTH:
            raise invalid(f"The value of tag '{key}' must be a string of at most {_TAG_LENGTH} characters")
