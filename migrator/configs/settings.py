"""Settings of a foreign configuration file, by key: any case, text where the tool expects a number or a flag, and every key accounted for."""

from __future__ import annotations

import difflib
import json
import math
from typing import TYPE_CHECKING, Any, NoReturn

from migrator.errors import ConfigError
from migrator.model import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0", ""})
_MISSPELT = 0.8
"""Likeness from which an unknown key is taken for a misspelt one: ignoring ``verify_onyl`` would copy where a check was asked for."""


def read_object(text: str, what: str) -> dict[str, Any]:
    """Return the JSON object in ``text``, each key once. Raise ``ConfigError`` saying where it is wrong."""
    try:
        found = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=lambda pairs: _once(pairs, what))
    except json.JSONDecodeError as error:
        message = f"{what} is no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise ConfigError(message, fix="correct it; JSON takes no comments and no comma before a closing bracket", code="bad_config") from None
    except RecursionError:
        raise ConfigError(f"{what} is nested too deeply", fix="correct it", code="bad_config") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{what} is no JSON object", fix='write {"source_index": "…", "target_index": "…"}', code="bad_config")
    return found


def _once(pairs: list[tuple[str, Any]], what: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        name = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{what} has the key {name} twice", fix="keep one of them", code="bad_config")
    return found


class Settings:
    """The values of a configuration file by canonical key. Each reader raises ``ConfigError`` naming the key as the user wrote it."""

    def __init__(self, given: Mapping[str, Any], known: Iterable[str], aliases: Mapping[str, str], what: str) -> None:
        """Take ``given``. Raise for a key that is likely misspelt, and for one given in two spellings with two values."""
        self._known = frozenset(known)
        self.unknown: list[str] = []
        """Keys that are none of ``known`` and not like any."""
        self._values: dict[str, Any] = {}
        self._spellings: dict[str, str] = {}
        for spelling, value in given.items():
            plain = spelling.strip().lower().replace("-", "_").replace(" ", "_")
            self._take(aliases.get(plain, plain), spelling, value, what)

    def _take(self, key: str, spelling: str, value: Any, what: str) -> None:
        if key not in self._known:
            if meant := self.misspelt(key):
                raise ConfigError(f"{what} has an unknown key {spelling}", fix=f"did you mean {meant}?", code="unknown_key")
            self.unknown.append(spelling)
        elif key in self._values and self._values[key] != value:
            raise ConfigError(f"{what} has {self._spellings[key]} and {spelling} with different values", fix="keep one of them", code="bad_config")
        else:
            self._values[key], self._spellings[key] = value, spelling

    def nearest(self, key: str) -> str:
        """Return the known key that is most like ``key``, ``""`` when none is."""
        return next(iter(difflib.get_close_matches(key.lower(), self._known, n=1, cutoff=0.5)), "")

    def misspelt(self, key: str) -> str:
        """Return the known key that ``key`` is so like that it must be meant, ``""`` when none is."""
        near = self.nearest(key)
        alike = near and not key.startswith(("_", "//", "#")) and difflib.SequenceMatcher(None, key, near).ratio() >= _MISSPELT
        return near if alike else ""

    def secret(self, key: str) -> bool:
        """Return whether the value of ``key`` is not for messages."""
        return "key" in key.split("_")

    def has(self, key: str) -> bool:
        """Return whether the key has a value; null counts as none."""
        return self._values.get(key) is not None

    def value(self, key: str) -> Any:
        """Return the value as it stands in the file."""
        return self._values.get(key)

    def spelling(self, key: str) -> str:
        """Return the key as the user wrote it."""
        return self._spellings.get(key, key)

    def text(self, key: str) -> str | None:
        """Return a text, None when it is not given."""
        value = self._values.get(key)
        if value is not None and not isinstance(value, str):
            self.refuse(key, "no text", 'write it in quotes: "…"')
        return value

    def flag(self, key: str) -> bool | None:
        """Return a yes or no, None when it is not given."""
        value = self._values.get(key)
        if value is None or isinstance(value, bool):
            return value
        word = value.strip().lower() if isinstance(value, str) else str(value) if isinstance(value, int) else "?"
        if word not in _YES | _NO:
            self.refuse(key, "neither true nor false", "write true or false")
        return word in _YES

    def number(self, key: str, *, least: float = 0.0, unit: str = "", fix: str = "") -> float | None:
        """Return a number of ``least`` or more, None when it is not given. ``fix`` says better what to write."""
        value = self._values.get(key)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        try:
            number = math.nan if isinstance(value, bool) or not isinstance(value, (int, float, str)) else float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if not (math.isfinite(number) and number >= least):
            self.refuse(key, f"no number{unit and ' of ' + unit}", fix or f"write a number of {least:g} or more")
        return number

    def whole(self, key: str, *, least: int, most: int) -> int | None:
        """Return a whole number from ``least`` to ``most``, None when it is not given."""
        fix = f"write a whole number from {least} to {most}"
        number = self.number(key, least=-math.inf, fix=fix)
        if number is not None and not (number.is_integer() and least <= number <= most):
            self.refuse(key, "out of range" if number.is_integer() else "no whole number", fix)
        return None if number is None else int(number)

    def note(self, key: str, message: str, fix: str = "") -> Finding:
        """Return a note on what became of ``key``."""
        return Finding("info", "config_note", f"{self.spelling(key)} {message}", fix)

    def refuse(self, key: str, problem: str, fix: str) -> NoReturn:
        """Raise ``ConfigError`` for the value of ``key``."""
        shown = "its value" if self.secret(key) else json.dumps(self._values.get(key), ensure_ascii=False)
        raise ConfigError(f"{self.spelling(key)}: {shown} is {problem}", fix=fix, code="bad_config")
