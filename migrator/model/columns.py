"""Which column of a table holds which part of a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import abc

_NAMES = ("id", "values", "sparse_values", "namespace", "metadata")


@dataclass(frozen=True)
class ColumnRoles:
    """The columns of records by what they hold; None for what the table has no column for."""

    id: str
    values: str | None
    sparse_values: str | None = None
    namespace: str | None = None
    """None where a record's folder says its namespace."""
    metadata: str | None = None
    """JSON text of the metadata fields that have no column of their own."""
    fields: tuple[str, ...] = ()
    """Metadata fields with a column of their own."""
    reserved: tuple[str, ...] = ()
    """Keys that the JSON text could not have, and so has with an underscore more (``migrator.key_escape``)."""

    def to_json(self) -> dict[str, Any]:
        """Return the roles that are taken."""
        named = {name: value for name in _NAMES if (value := getattr(self, name)) is not None}
        return named | {name: list(values) for name in ("fields", "reserved") if (values := getattr(self, name))}

    @classmethod
    def from_json(cls, found: abc.Mapping[str, Any]) -> ColumnRoles:
        """Return what ``to_json`` gave. Raise ``ValueError`` for anything else."""
        texts = {name: found.get(name) for name in _NAMES}
        lists = {name: tuple(found.get(name, ())) for name in ("fields", "reserved")}
        every = [*(value for value in texts.values() if value is not None), *lists["fields"], *lists["reserved"]]
        if not texts["id"] or not all(isinstance(value, str) for value in every):
            raise ValueError("columns")
        return cls(**texts, **lists)  # type: ignore[arg-type]
