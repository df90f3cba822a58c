"""Tells what kind of configuration a file holds, by its content."""

from __future__ import annotations

import re
from typing import Any, Literal

import yaml

FileKind = Literal["plan", "config", "migration"]
_SIDES, _WORKERS = frozenset({"source", "target"}), frozenset({"dumper", "loader"})
_SECTION = re.compile(r"^(dumper|loader|source|target)[ \t]*:[ \t]*(#.*)?\r?$", re.MULTILINE)
"""A section of a migration.yaml on a line of its own: a plan has ``source`` and ``target`` too, with their value beside them."""


def kind_of(text: str) -> FileKind:
    """Return ``migration`` for a migration.yaml of milvus-migration, ``config`` for another JSON object than a plan, else ``plan``."""
    plain = text.lstrip("\ufeff \t\r\n")
    try:
        node = yaml.compose(text.removeprefix("\ufeff"), Loader=yaml.SafeLoader)  # not loaded: merged anchors could grow without end
    except (yaml.YAMLError, RecursionError):  # tabs between keys are right in JSON and wrong in YAML
        if not plain.startswith("{") and _SECTION.search(text):
            return "migration"
        node = None
    if isinstance(node, yaml.MappingNode):
        keys = {str(key.value).lower(): value for key, value in node.value}
        if "version" in keys:
            return "plan"
        if _WORKERS & keys.keys() or any(_holds_keys(keys.get(side)) for side in _SIDES):
            return "migration"
    return "config" if plain.startswith("{") else "plan"


def _holds_keys(node: Any) -> bool:
    return isinstance(node, yaml.MappingNode)
