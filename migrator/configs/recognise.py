"""Tells what kind of configuration a file holds, by its content."""

from __future__ import annotations

from typing import Literal

import yaml

FileKind = Literal["plan", "config", "migration"]
_MIGRATION_PARTS = frozenset({"dumper", "loader", "meta", "source", "target"})


def kind_of(text: str) -> FileKind:
    """Return ``migration`` for a migration.yaml of milvus-migration, ``config`` for another JSON object than a plan, else ``plan``."""
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):  # tabs between keys are right in JSON and wrong in YAML
        data = None
    plain = text.lstrip("\ufeff \t\r\n")
    if isinstance(data, dict):
        sides = [data.get(name) for name in ("source", "target")]
        if any(isinstance(side, dict) for side in sides) and {str(key) for key in data} <= _MIGRATION_PARTS:
            return "migration"
        if "version" in data:
            return "plan"
    return "config" if plain.startswith("{") else "plan"
