"""How figures, moments and endpoints are said."""

from __future__ import annotations

from datetime import UTC, datetime

STORES = {"pinecone": "Pinecone", "milvus": "Milvus", "faiss": "Faiss", "parquet": "Parquet", "numpy": "NumPy", "memory": "memory"}


def duration(seconds: float) -> str:
    """Return how long something took: ``1h 02m``, ``3m 05s``, ``4.2 s``, ``85 ms``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s" if minutes else f"{seconds:.1f} s"


def moment(seconds: float | None) -> str:
    """Return a moment, seconds since the epoch, for people: ``22 Nov 2026, 05:24:10 UTC``."""
    if seconds is None:
        return "at an unknown time"
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %Y, %H:%M:%S UTC").lstrip("0")


def minute(seconds: float) -> str:
    """Return a moment to the minute: ``22 Nov 2026, 05:24 UTC``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %Y, %H:%M UTC").lstrip("0")


def many(number: int, one: str, more: str = "") -> str:
    """Return a number with its noun: ``1 record``, ``2,000 records``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def signed(number: int) -> str:
    """Return a difference with its sign; 0 has none."""
    return f"{number:+,}".replace("-", "\N{MINUS SIGN}") if number else "0"


def share(number: float) -> str:
    """Return a share of one as per cent, never rounded up to all of it."""
    return f"{int(number * 10_000) / 100:.2f} %" if number < 1 else "100 %"


def small(number: float) -> str:
    """Return a small number with three digits that count."""
    return f"{number:.3g}"


def endpoint(address: str) -> tuple[str, str, str]:
    """Return the store's name, "" for one that is not known, the last part of what lies there, and the address
    without its options and the first folders of a long path.

    ``("Faiss", "photos.index", "faiss:./data/photos.index")``
    """
    connector, _, rest = address.partition(":")
    if connector not in STORES:
        return "", address, ""
    resource, mark, options = rest.rpartition("?")
    resource = resource if mark and "=" in options else rest
    parts = resource.split("/")
    near = "/".join(["…", *parts[-3:]]) if len(parts) > 5 else resource
    return STORES[connector], resource.rstrip("/").rpartition("/")[2] or resource, f"{connector}:{near}"


def shorten(name: str, letters: int) -> str:
    """Return ``name``, its middle left out when it is longer than ``letters``: what tells ids apart often stands at their end."""
    if len(name) <= letters:
        return name
    tail = letters // 3
    return f"{name[: letters - tail - 1]}…{name[-tail:]}"
