"""Figures and data as people read them: counts, sizes, durations, times, endpoints, and data made harmless to Markdown."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from migrator import endpoints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.model import Endpoint

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=\"'@/])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


def plain(data: object) -> str:
    """Return ``data`` so that a Markdown label shows it letter by letter: ids and names are data, never markup."""
    return _MARKDOWN.sub(r"\\\1", _CONTROL.sub(" ", str(data)))


def count(number: float | None) -> str:
    """Return 7764 as ``7,764``."""
    return "—" if number is None else f"{round(number):,}"


def size(octets: float | None) -> str:
    """Return a number of bytes as ``1.5 MB`` (powers of 1000)."""
    if octets is None:
        return "—"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(octets) < 1000:
            return f"{octets:.0f} {unit}" if unit == "B" or octets >= 100 else f"{octets:.1f} {unit}"
        octets /= 1000
    return f"{octets:,.1f} TB"


def duration(seconds: float | None) -> str:
    """Return seconds as ``under 1 s``, ``42 s``, ``1m 02s`` or ``3h 05m``."""
    if seconds is None:
        return "—"
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m"


def milliseconds(seconds: float) -> str:
    """Return a short time as ``48 ms``, ``<1 ms`` or ``1.3 s``."""
    if seconds >= 0.9995:
        return f"{seconds:,.1f} s"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else "<1 ms"


def moment(iso: str | None) -> str:
    """Return an ISO time as ``21 Nov 2026, 03:45 UTC``."""
    if not iso:
        return "—"
    return datetime.fromisoformat(iso).strftime("%d %b %Y, %H:%M UTC")


def percent(share: float, digits: int = 1) -> str:
    """Return 0.1558 as ``15.6 %``, or as ``16 %`` with no ``digits``; only a finished whole reads 100 %."""
    text = f"{share * 100:.{digits}f} %"
    if share < 1 and text == f"{100:.{digits}f} %":
        return f"{100 - 10**-digits:.{digits}f} %"
    return text


def several(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 batch``, ``2 batches``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def left_out(result: Mapping[str, Any]) -> str:
    """Return what became of the records that a copy was not to bring, or a comparison could not read: ``7 were rejected``; ``""`` when none."""
    counts = result["counts"]
    if result["kind"] == "verify":  # its other counts say what differs, and nothing was copied
        return f"{counts['rejected']:,} cannot be read" if counts["rejected"] else ""
    said = [several(counts["rejected"], "was rejected", "were rejected")] if counts["rejected"] else []
    said += [f"{counts['vanished']:,} vanished while reading"] if counts["vanished"] else []
    said += [several(counts["duplicate"], "duplicate was held back", "duplicates were held back")] if counts["duplicate"] else []
    return ", ".join(said)


def partial(result: Mapping[str, Any]) -> str:
    """Return how much of the collections a proof looked at, where that is not all of them bit by bit; else ``""``."""
    scope = result.get("scope") or {}
    whole = scope.get("level", "content") == "content" and not scope.get("sample") and not result.get("tolerance")
    return "" if whole else str(scope.get("sentence", ""))


def outdated(search: Mapping[str, Any], result: Mapping[str, Any]) -> bool:
    """Return whether a search was made before the proof of ``result``."""
    return search.get("proof_finished") not in (None, result["finished"])


def incomplete(result: Mapping[str, Any]) -> str:
    """Return why a run is incomplete, from its counts."""
    counts = result["counts"]
    if not counts["rejected"]:
        return "Not every record of the source is accounted for."
    number = f"{counts['rejected']:,} of {counts['scanned']:,} records"
    if result["kind"] == "verify":
        return f"{number} of the source cannot be read, so nothing is known of their copies. Everything that could be read is the same."
    return f"{number} were rejected and are not in the target. Everything that was copied is the same."


def not_expected(result: Mapping[str, Any]) -> int:
    """Return how many records ``left_out`` is about: those of the source that the namespaces' counts leave out."""
    kinds = ("rejected",) if result["kind"] == "verify" else ("rejected", "vanished", "duplicate")
    return sum(result["counts"][kind] for kind in kinds)


def namespace(name: str) -> str:
    """Return a namespace as shown; the default one has an empty name."""
    return name or "(default)"


def endpoint(side: Endpoint | str) -> str:
    """Return an endpoint without its options, the last two parts of a long path: nothing secret, and short."""
    parsed = endpoints.parse(side) if isinstance(side, str) else side
    resource = parsed.resource.rstrip("/")
    if len(resource) > 28 and resource.count("/") > 1:
        resource = "…/" + "/".join(resource.split("/")[-2:])
    return f"{parsed.connector}:{resource}"


def shorten(text: str, letters: int = 60) -> str:
    """Return ``text`` with its middle left out when it is longer than ``letters``."""
    if len(text) <= letters:
        return text
    half = (letters - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
