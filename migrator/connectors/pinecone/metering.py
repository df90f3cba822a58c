"""What a move uses of Pinecone, in the units it bills: read units, write units, gigabytes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from migrator.connectors.pinecone import prices
from migrator.connectors.pinecone.options import read_options
from migrator.model import Bill, Charge
from migrator.pinecone_protocol import limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from migrator.connectors.pinecone.options import Settings
    from migrator.model import Endpoint, Move, PriceList

_SERVERLESS = "serverless"
_DEDICATED = "serverless with dedicated read capacity"
_BY_USE = (_SERVERLESS, _DEDICATED)
"""Kinds of index whose writes and bytes are billed; pods and BYOC are billed otherwise."""


def price_list() -> PriceList:
    return prices.PRICES


def bill(move: Move) -> Bill:
    """Return what Pinecone charges for ``move``: requests are taken to be full, and what planning itself reads is left out."""
    source = "" if move.source is None else _kind(move.source, move.source_kind)
    target = "" if move.target is None else _kind(move.target, move.target_kind)
    charges = [*_source(move, source), *_target(move, target), *_egress(move, source, target)]
    notes = [*dict.fromkeys(_notes(move, source, target))]
    if charges:
        notes.append(f"the Standard plan costs at least ${prices.LEAST_A_MONTH} a month, whatever is used")
    imaginary = any(not _in_the_cloud(side) for side in (move.source, move.target) if side is not None)
    return Bill(tuple(charges), tuple(notes), imaginary)


def _kind(endpoint: Endpoint, kind: str) -> str:
    """Return what an index is, or what the options of one that is still to be made ask for."""
    settings = read_options(endpoint)
    if kind:
        return kind
    if settings.pods is not None:
        return f"pod {settings.pods.pod_type}"
    dedicated = str((settings.read_capacity or {}).get("mode", "")).lower() == "dedicated"
    return _DEDICATED if dedicated else _SERVERLESS


def _in_the_cloud(endpoint: Endpoint) -> bool:
    """Whether Pinecone itself answers there. It does over TLS only; a local server does without."""
    settings: Settings = read_options(endpoint)
    return not (settings.host or settings.controller).startswith("http://")


def _source(move: Move, kind: str) -> Iterator[Charge]:
    """Yield what reading the source costs, once and each pass, and marking its records."""
    if kind == _SERVERLESS:
        yield _read_units("list the source's ids", _list_units(move))
        yield _read_units("fetch from the source", _fetch_units(move))
        if move.follows == "ids":
            yield _read_units("list the source's ids again", _list_units(move), when="pass")
        elif move.follows == "records":
            yield _read_units("list and fetch the source again", _list_units(move) + _fetch_units(move), when="pass")
    if move.stamps and kind in _BY_USE:
        # one update a record, counted like an upsert of its size
        each = max(prices.LEAST_WRITE_UNITS, math.ceil(move.record_bytes / prices.BYTES_A_WRITE_UNIT))
        yield Charge("mark the source's records", "move", _records(move) * each, "write units", prices.WRITE_UNITS.name)


def _target(move: Move, kind: str) -> Iterator[Charge]:
    """Yield what writing the target costs, reading it back, and keeping it."""
    if kind == _SERVERLESS and move.looks_up:
        yield _read_units(
            "look up what the target has", max(math.ceil(_found(move) / prices.FETCHED_A_READ_UNIT), math.ceil(_records(move) / limits.FETCH_IDS))
        )
    if kind == _SERVERLESS and move.reads_back:
        yield _read_units("read each batch back", _fetch_units(move))
    if kind not in _BY_USE:
        return
    if move.staged:
        yield Charge("bulk import", "move", _gigabytes(move), "GB", prices.BULK_IMPORT.name)
    else:
        yield Charge("write to the target", "move", _write_units(move), "write units", prices.WRITE_UNITS.name)
    if kind == _SERVERLESS:
        yield _read_units("read the target back as proof", _list_units(move) + _fetch_units(move))
    yield Charge("keep the target", "month", _gigabytes(move), "GB", prices.STORAGE.name)


def _egress(move: Move, source: str, target: str) -> Iterator[Charge]:
    """Yield what leaves the region: the source read once, and again each pass; the target looked up and read back."""
    looked_up = _found(move) * move.record_bytes / prices.GB if move.looks_up else 0.0
    back = _gigabytes(move) * (1 + move.reads_back) + looked_up
    leaving = (_gigabytes(move) if source in _BY_USE else 0.0) + (back if target in _BY_USE else 0.0)
    if leaving:
        yield Charge("egress", "move", leaving, "GB", prices.EGRESS.name, prices.FREE_EGRESS.name)
    if source in _BY_USE and move.follows == "records":
        yield Charge("egress", "pass", _gigabytes(move), "GB", prices.EGRESS.name, prices.FREE_EGRESS.name)


def _read_units(what: str, units: int, *, when: Literal["move", "pass"] = "move") -> Charge:
    return Charge(what, when, units, "read units", prices.READ_UNITS.name)


def _list_units(move: Move) -> int:
    return sum(max(1, math.ceil(records / limits.LIST_IDS)) for records in move.namespaces.values())


def _fetch_units(move: Move) -> int:
    return sum(math.ceil(records / prices.FETCHED_A_READ_UNIT) for records in move.namespaces.values())


def _write_units(move: Move) -> int:
    """Return the write units of upserts as large as a request may be."""
    units = 0
    for records in move.namespaces.values():
        size = records * move.record_bytes
        requests = max(math.ceil(records / limits.UPSERT_RECORDS), math.ceil(size / limits.UPSERT_BYTES))
        units += max(requests * prices.LEAST_WRITE_UNITS, math.ceil(size / prices.BYTES_A_WRITE_UNIT))
    return units


def _records(move: Move) -> int:
    return sum(move.namespaces.values())


def _found(move: Move) -> int:
    """Return how many records a look-up can find at most: ids that are not there cost a request's least."""
    return min(_records(move), move.present)


def _gigabytes(move: Move) -> float:
    return _records(move) * move.record_bytes / prices.GB


def _notes(move: Move, *kinds: str) -> Iterator[str]:
    for kind in filter(None, kinds):
        if kind.startswith("pod"):
            yield "pod indexes are billed by the hour, whatever is done with them: that is not in these figures"
        elif kind == _DEDICATED:
            yield "dedicated read capacity is billed by the node and hour: reading it is not in these figures"
        elif kind != _SERVERLESS:
            yield f"what Pinecone charges for {kind} is not known here"
    if move.target is not None and not move.target_kind:
        settings = read_options(move.target)
        if settings.pods is None and (settings.cloud, settings.region) != prices.HOME:
            yield f"in {settings.cloud} {settings.region} units may cost more, {prices.ELSEWHERE}"
    if any(kind in _BY_USE for kind in kinds):
        yield "egress applies when this machine is outside the index's region"
    if move.staged:
        yield "what the bucket of the staged files costs is not in these figures"
