"""The fingerprint of a report, and whether a file still agrees with it.

Two SHA-256, neither keyed: one over the result as canonical JSON, which every form of the report carries whole, and one over the text
of the HTML file with its own place blanked. Whoever alters a file can compute both anew; the home that made it knows them.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from html import escape, unescape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = "vector-migrator-report"
_BESIDE = frozenset({"fingerprint", "report", "format"})
"""Keys that are no part of what is fingerprinted: itself, where the file lies, and what the file is."""
_OPEN, _CLOSE = '<template id="data">', "</template>"
_BLANK = "0" * 64
_PLACE = re.compile(r'<meta name="text-fingerprint" content="([0-9a-f]{64})">')


class NotAReportError(Exception):
    """The file is no report of ours."""


@dataclass(frozen=True)
class Reading:
    """What a report file says, and whether it agrees with its own fingerprints."""

    data: Mapping[str, Any]
    fingerprint: str
    """Of the data, as the file states it."""
    text: str
    """Of the HTML's text, as the file states it; "" for JSON."""
    altered: tuple[str, ...]
    """What does not agree: ``the data``, ``the text``."""


def fingerprint(result: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a result as canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(_canonical(result).encode()).hexdigest()


def _canonical(result: Mapping[str, Any]) -> str:
    data = {name: value for name, value in result.items() if name not in _BESIDE}
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def as_json(result: Mapping[str, Any]) -> str:
    """Return the JSON form of the report: the result with its fingerprint, without where it lies on this machine."""
    data = {"format": FORMAT, "fingerprint": fingerprint(result)} | {name: value for name, value in result.items() if name not in _BESIDE}
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def embedded(result: Mapping[str, Any]) -> str:
    """Return the element that carries the data in the HTML form: inert, and shown nowhere."""
    return f"{_OPEN}{escape(_canonical(result), quote=False)}{_CLOSE}"


def place() -> str:
    """Return the element that ``sealed`` fills with the fingerprint of the text."""
    return f'<meta name="text-fingerprint" content="{_BLANK}">'


def sealed(page: str) -> str:
    """Return the HTML ``page``, which has one blank ``place``, with the fingerprint of its text."""
    return page.replace(place(), place().replace(_BLANK, _of_text(page)), 1)


def _of_text(page: str) -> str:
    return hashlib.sha256(page.encode()).hexdigest()


def text_fingerprint(page: str) -> str:
    """Return the fingerprint of its text that an HTML report states."""
    found = _PLACE.search(page)
    return found.group(1) if found else ""


def read(content: bytes) -> Reading:
    """Return what a report file says. Raise ``NotAReportError`` for a file that is none, or too damaged to tell."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise NotAReportError from None
    return _read_html(text) if text.lstrip("\ufeff \r\n\t").startswith("<") else _read_json(text)


def _read_html(page: str) -> Reading:
    _, opened, rest = page.partition(_OPEN)
    raw, closed, _ = rest.partition(_CLOSE)
    stated = _PLACE.search(page)
    shown = re.search(r'<meta name="fingerprint" content="([0-9a-f]{64})">', page)
    if not (opened and closed and stated and shown):
        raise NotAReportError
    blank = page[: stated.start(1)] + _BLANK + page[stated.end(1) :]
    altered = ("the text",) if _of_text(blank) != stated.group(1) else ()
    try:
        data = _parsed(unescape(raw))
    except ValueError:
        return Reading({}, shown.group(1), stated.group(1), ("the data", *altered))
    if fingerprint(data) != shown.group(1):
        altered = ("the data", *altered)
    return Reading(data, shown.group(1), stated.group(1), altered)


def _read_json(text: str) -> Reading:
    try:
        data = _parsed(text)
    except ValueError:
        raise NotAReportError from None
    stated = data.get("fingerprint")
    if not isinstance(stated, str) or "run" not in data or "verdict" not in data:
        raise NotAReportError
    # what is not fingerprinted says nothing else: ``as_json`` writes no place, and one format
    foreign = "format" in data and (data["format"] != FORMAT or "report" in data)
    return Reading(data, stated, "", ("the data",) if foreign or fingerprint(data) != stated else ())


def _parsed(text: str) -> dict[str, Any]:
    """Return the object in ``text``. Raise ``ValueError`` for anything else, and for a key that is there twice: readers would differ over it."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key is there twice")
        return found

    try:
        found = json.loads(text, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - every fault of the file is one error
    return found
