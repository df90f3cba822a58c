"""Settings of a file of nested keys, by their dotted path; a misspelt key is compared part by part, as all of one section look alike."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from migrator.configs.settings import Settings
from migrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ALIKE = 0.7
"""Likeness of the least like part from which a path is taken for a misspelt one: ``metric`` for ``metricType``, not ``sk`` for ``ak``."""
_SECRETS = frozenset({"ak", "sk", "password"})


class Dotted(Settings):
    """The values of a configuration of nested keys, in any case."""

    def __init__(self, given: Mapping[str, Any], known: Iterable[str], also: Mapping[str, str], what: str) -> None:
        """Take ``given``, where ``also`` holds other spellings of ``known`` keys. Raise ``ConfigError`` for a key that must be a mistake."""
        known = tuple(known)
        self._given = {key.lower() for key in given}
        super().__init__(given, known, {key.lower(): key for key in known} | {key.lower(): name for key, name in also.items()}, what)
        self.unknown = [spelling for spelling in self.unknown if not _section(spelling, given[spelling], known, what)]

    def misspelt(self, key: str) -> str:
        """Return the key that is meant: one like it in each part, or of its name elsewhere; not one that the file has."""
        free = [name for name in self._known if name.lower() not in self._given]
        likeness = {name: _likeness(key, name) for name in free}
        nearest = max(likeness, key=lambda name: likeness[name], default="")
        if nearest and likeness[nearest] >= _ALIKE:
            return nearest
        section, last = key.partition(".")[0], _last(key)
        elsewhere = [name for name in free if _last(name) == last and name.partition(".")[0] == section]
        return elsewhere[0] if len(elsewhere) == 1 else ""

    def nearest(self, key: str) -> str:
        """Return the known key that is most like ``key``, ``""`` when none is."""
        by_lower = {name.lower(): name for name in self._known}
        return by_lower.get(next(iter(difflib.get_close_matches(key.lower(), by_lower, n=1, cutoff=0.5)), ""), "")

    def secret(self, key: str) -> bool:
        """Return whether the value of ``key`` is not for messages: an address may carry a sign-in."""
        return _last(key) in _SECRETS or "@" in str(self.value(key))


def _last(key: str) -> str:
    return key.lower().rpartition(".")[2]


def _likeness(key: str, name: str) -> float:
    parts, others = key.lower().split("."), name.lower().split(".")
    if len(parts) != len(others):
        return 0.0
    return min(difflib.SequenceMatcher(None, one, other).ratio() for one, other in zip(parts, others, strict=True))


def _section(spelling: str, value: Any, known: Iterable[str], what: str) -> bool:
    """Return whether ``spelling`` is a section left empty. Raise for one that holds a value, and for a value that holds keys."""
    path = spelling.lower()
    for name in known:
        if path.startswith(f"{name.lower()}."):
            raise ConfigError(f"{what}: {name} holds keys, it takes one value", fix=f"write {_last(name)}: and the value", code="bad_config")
        if name.lower().startswith(f"{path}.") and value is not None:
            raise ConfigError(f"{what}: {spelling} holds no keys", fix=f"write {name} below it, indented", code="bad_config")
    return any(name.lower().startswith(f"{path}.") for name in known)
