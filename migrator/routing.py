"""Namespace rules: from a record's own namespace, or a metadata value, to the namespace in the target, and back."""

from __future__ import annotations

import dataclasses
import functools
import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from migrator.ascii_names import DEFAULT_SPELLINGS, decode, encode
from migrator.model import DEFAULT_NAMESPACE
from migrator.records import dump_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from migrator.model import Capabilities
    from migrator.model import Mapping as Rules

Kind = Literal["string", "number", "boolean", "empty", "missing"]
KEEP, DEFAULT, REJECT = "keep", "default", "reject"
"""What may happen to records without a usable value; any other word is the namespace they go to."""
_PLAIN_INTEGERS = 1e21
"""Whole floats below are written without exponent, as JSON in a browser does, so that 7.0 and 7 name one namespace."""
_SAID = 20
"""Merged namespaces named one by one."""
_LIKE_ANOTHER_TYPE = re.compile(r"-?\d.*|true|false", re.DOTALL)


def usable(value: Any) -> tuple[str | None, Kind]:
    """Return the namespace a metadata value names, and what kind of value that is; None for null, lists and objects.

    Strings name it as they are, the empty one the default namespace; numbers and booleans by their JSON text.
    """
    if isinstance(value, str):
        return (value, "string") if value else (DEFAULT_NAMESPACE, "empty")
    if isinstance(value, bool):
        return ("true" if value else "false"), "boolean"
    if isinstance(value, float) and value.is_integer() and abs(value) < _PLAIN_INTEGERS:
        return str(int(value)), "number"
    if isinstance(value, (int, float)):
        return dump_json(value), "number"
    return None, "missing"


class Merged:
    """Remembers namespaces that values of different types name, ``1`` and ``"1"``; filled from several threads."""

    def __init__(self) -> None:
        self._kinds: dict[str, set[Kind]] = {}
        self._lock = threading.Lock()

    def note(self, name: str, kind: Kind) -> None:
        """Remember what named ``name``; strings only when another type could be written so."""
        if kind in ("number", "boolean") or (kind == "string" and _LIKE_ANOTHER_TYPE.fullmatch(name)):
            with self._lock:
                self._kinds.setdefault(name, set()).add(kind)

    def found(self) -> dict[str, list[str]]:
        """Return each namespace that several kinds of value named, with the kinds."""
        with self._lock:
            return {name: sorted(kinds) for name, kinds in sorted(self._kinds.items()) if len(kinds) > 1}

    def messages(self) -> list[str]:
        """Return one sentence for each of them, of many for the first."""
        found = self.found()
        said = [
            f"the namespace {name!r} is named by a {' and by a '.join(kinds)}: their records are put together in it"
            for name, kinds in list(found.items())[:_SAID]
        ]
        return said + ([f"so are {len(found) - _SAID:,} more namespaces"] if len(found) > _SAID else [])


@functools.lru_cache(maxsize=10_000)
def _spelt(name: str) -> str:
    return encode(name, DEFAULT_SPELLINGS)


@dataclasses.dataclass(frozen=True)
class Namespaces:
    """The namespace rules of a plan."""

    target: str | None = None
    field: str | None = None
    missing: str = KEEP
    decodes: bool = False
    """Whether the source's namespaces are spellings of ``migrator.ascii_names``."""
    encodes: bool = False
    """Whether the target's are."""
    merged: Merged = dataclasses.field(default_factory=Merged, compare=False)

    @classmethod
    def of(cls, mapping: Rules) -> Namespaces:
        """Return the rules of a plan's mapping."""
        decodes, encodes = mapping.id_encoding == "decode", mapping.namespace_encoding == "percent"
        return cls(mapping.target_namespace, mapping.namespace_from, mapping.namespace_missing, decodes, encodes)

    @property
    def routes(self) -> bool:
        """Whether records of several namespaces can meet in one."""
        return self.target is not None or self.field is not None

    @property
    def renames(self) -> bool:
        """Whether a record can be in another namespace afterwards."""
        return self.routes or self.decodes or self.encodes

    def own(self, namespace: str) -> str:
        """Return where records of a source's ``namespace`` go that no metadata field routes; as it is if it cannot be decoded."""
        if self.target is not None:
            return self.spelt(self.target)
        try:
            return self.spelt(self._name(namespace))
        except ValueError:
            return namespace

    def spelt(self, name: str) -> str:
        """Return ``name`` as the target spells it."""
        return _spelt(name) if self.encodes else name

    def _name(self, namespace: str) -> str:
        return decode(namespace, DEFAULT_SPELLINGS) if self.decodes else namespace

    def fault(self, namespace: str) -> str:
        """Return why records of ``namespace`` cannot keep it, ``""`` when they can."""
        if self.target is None:
            try:
                self._name(namespace)
            except ValueError as error:
                return f"the namespace {error}"
        return ""

    def of_record(self, metadata: Mapping[str, Any], namespace: str) -> str | None:
        """Return where a record goes, None when the rule for records without a usable value rejects it."""
        name, kind = usable(metadata.get(self.field or ""))
        if name is None:
            return self.without_value(namespace)
        self.merged.note(name, kind)
        return self.spelt(name)

    def without_value(self, namespace: str) -> str | None:
        """Return where a record of ``namespace`` without a usable value goes; None when it is rejected."""
        if self.missing == REJECT:
            return None
        if self.missing == KEEP:
            return self.own(namespace)
        return DEFAULT_NAMESPACE if self.missing == DEFAULT else self.spelt(self.missing)

    def values(self, namespace: str) -> list[str | bool | float]:
        """Return the metadata values that name the target's ``namespace``, of every type that can."""
        text = namespace
        if self.encodes:
            with suppress(ValueError):  # a name that is no spelling was made by nobody here, and names itself
                text = decode(namespace, DEFAULT_SPELLINGS)
        found: list[str | bool | float] = [text]
        if _LIKE_ANOTHER_TYPE.fullmatch(text):
            with suppress(ValueError):
                value = parse_json(text)
                found += [value] if not isinstance(value, str) and usable(value)[0] == text else []
        return found

    def origins(self, namespace: str, known: Iterable[str]) -> list[str]:
        """Return those of the source's ``known`` namespaces from which records can have come to the target's ``namespace``."""
        return sorted(name for name in known if self.field is not None or self.own(name) == namespace)


def settled(mapping: Rules, capabilities: Capabilities) -> Rules:
    """Return ``mapping`` with what the target decides: whether namespaces must be spelt in ASCII, and what its word for the default one means."""
    if not capabilities.ascii_namespaces:
        return dataclasses.replace(mapping, namespace_encoding="keep")
    target = DEFAULT_NAMESPACE if mapping.target_namespace in DEFAULT_SPELLINGS else mapping.target_namespace
    missing = DEFAULT if mapping.namespace_missing in DEFAULT_SPELLINGS else mapping.namespace_missing
    return dataclasses.replace(mapping, target_namespace=target, namespace_missing=missing, namespace_encoding="percent")


def keeps_names(mapping: Rules) -> bool:
    """Return whether every record goes to the namespace it has, or to one that is ASCII."""
    return mapping.namespace_from is None and mapping.id_encoding != "decode" and (mapping.target_namespace or "").isascii()


def spells_itself(namespace: str) -> bool:
    """Return whether a store of ASCII namespaces takes ``namespace`` for what it is."""
    return namespace.isascii() and "\0" not in namespace and namespace not in DEFAULT_SPELLINGS
