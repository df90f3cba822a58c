"""Keeps files that decode to far more than their size away from this process's memory.

A file of 307 bytes can hold a row of 19 GiB, and its footer need not say so. The page headers do: where they allow a batch that is
large both in itself and against the bytes on the disk, the file is first read in a child process that may not use much memory.
Ordinary vector files come nowhere near that and cost a look at their page headers.
"""

from __future__ import annotations

import functools
import itertools
import json
import mmap
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from migrator.connectors.parquet.pages import DELTA_BYTE_ARRAY, PLAIN_DICTIONARY, RLE_DICTIONARY, longest_entry, pages
from migrator.datasets.failures import translated, unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.connectors.parquet.pages import Page
    from migrator.datasets.places import Place

FREE_BYTES = 1 << 30
"""Decoded bytes of a column chunk nobody minds."""
FREE_RATIO = 8
"""Decoded bytes per byte on the disk nobody minds; compressed embeddings have 1 to 2, lists of small integers 8 (as float64)."""
PROBE_MEMORY = 2 << 30
"""Address space the child may have, over what it starts with."""
PROBE_SECONDS = 120
PROBE_ROWS = 10_000
"""Rows the child decodes together at least, so that a file that a small batch would bear is found out at its first one."""
DICTIONARY_BYTES = 16 << 20
"""A dictionary larger than this is not looked into; writers end theirs at 1 or 2 MiB."""
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_LEVELS = 4
"""Bytes of a value's repetition and definition levels while it is decoded."""


def check(place: Place, path: str, columns: Sequence[str], most: int) -> None:
    """Raise ``UnreadableSourceError`` when reading ``columns`` in batches of ``most`` rows would take unreasonable memory.

    In a bucket every page header would be a request of its own: there only the budget of ``rows`` holds.
    """
    if place.local:
        with translated(place.show(path)):
            status = Path(place.full(path)).stat()
        _check(place.full(path), place.show(path), tuple(columns), max(most, PROBE_ROWS), (status.st_size, status.st_mtime_ns))


@functools.lru_cache(maxsize=100_000)
def _check(path: str, shown: str, columns: tuple[str, ...], most: int, _version: tuple[int, int]) -> None:
    suspects = suspicious(path, shown, columns)
    if suspects:
        _probe(path, shown, suspects, most)


def suspicious(path: str, shown: str, columns: Sequence[str]) -> list[str]:
    """Return those of ``columns`` whose page headers allow far more than the file's size suggests."""
    found = set()
    with translated(shown), Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        meta = pq.read_metadata(file)
        for group, number in itertools.product(range(meta.num_row_groups), range(meta.num_columns)):
            chunk = meta.row_group(group).column(number)
            name = next((name for name in columns if chunk.path_in_schema == name or chunk.path_in_schema.startswith(f"{name}.")), None)
            if name is not None and name not in found and _inflates(content, chunk, shown):
                found.add(name)
    return sorted(found)


def _inflates(content: mmap.mmap, chunk: Any, shown: str) -> bool:
    start = min((offset for offset in (chunk.dictionary_page_offset, chunk.data_page_offset) if offset), default=0)
    try:
        found = list(pages(content, start, start + chunk.total_compressed_size))
    except ValueError as error:
        raise unreadable(shown, str(error)) from error
    allowed = max(FREE_BYTES, FREE_RATIO * chunk.total_compressed_size)
    largest = max((page.uncompressed for page in found), default=0)
    decoded = sum(page.uncompressed for page in found)
    if chunk.physical_type in _WIDTHS:
        return bool(decoded + sum(page.values for page in found) * (_WIDTHS[chunk.physical_type] + _LEVELS) > allowed)
    # a value can repeat the longest entry of the dictionary, or the whole of the value before it
    looked_up = sum(page.values for page in found if page.encoding in (PLAIN_DICTIONARY, RLE_DICTIONARY) and not page.dictionary)
    prefixed = sum(page.values for page in found if page.encoding == DELTA_BYTE_ARRAY)
    decoded += prefixed * largest
    if decoded + looked_up * largest <= allowed:
        return False
    return bool(decoded + looked_up * _longest(content, chunk, found) > allowed)


def _longest(content: mmap.mmap, chunk: Any, found: Sequence[Page]) -> int:
    """Return the length of the longest text in the dictionary, or what it could be where that cannot be told cheaply."""
    longest = 0
    for page in found:
        if not page.dictionary:
            continue
        if page.uncompressed > DICTIONARY_BYTES:
            return page.uncompressed
        raw = content[page.start : page.start + page.size]
        try:
            plain = raw if chunk.compression == "UNCOMPRESSED" else pa.decompress(raw, page.uncompressed, chunk.compression.lower(), asbytes=True)
            longest = max(longest, longest_entry(plain))
        except (ValueError, OSError, pa.ArrowException):
            return page.uncompressed
    return longest


def _probe(path: str, shown: str, columns: Sequence[str], most: int) -> None:
    order = json.dumps({"path": path, "columns": list(columns), "most": most, "memory": PROBE_MEMORY, "seconds": PROBE_SECONDS})
    command = [sys.executable, "-m", "migrator.connectors.parquet.probe"]
    try:
        done = subprocess.run(command, input=order.encode(), capture_output=True, timeout=PROBE_SECONDS, check=False)  # noqa: S603 (our own module)
    except subprocess.TimeoutExpired as error:
        raise unreadable(shown, f"{', '.join(columns)} is still not decoded after {PROBE_SECONDS} s") from error
    if done.returncode:
        raise unreadable(shown, f"{', '.join(columns)} decodes to far more than the {Path(path).stat().st_size} bytes of the file")
