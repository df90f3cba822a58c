"""What a cut-over needs of an index: its address for applications, more or less capacity, and its end."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from migrator.errors import ConfigError, PermanentError, TransientError
from migrator.model import Address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.connectors.pinecone.control import Control, Index

_POD_OPTIONS = ("replicas", "pod_type")
_READ_OPTIONS = ("mode", "node_type", "shards", "replicas")
_DROP_SECONDS = 300.0
_POLL_SECONDS = 0.5


def address_of(index: Index) -> Address:
    """Return how applications reach ``index``: by host, which spares them a request to the control plane."""
    host = index.host.removeprefix("https://")
    python = (
        "import os\nfrom pinecone import Pinecone\n\n"
        'index = Pinecone(api_key=os.environ["PINECONE_API_KEY"]).index(host=os.environ["PINECONE_INDEX_HOST"])  # '
        f"{index.name}"
    )
    node = (
        "import { Pinecone } from '@pinecone-database/pinecone';\n\n"
        f"const index = new Pinecone().index({{ name: '{index.name}', host: process.env.PINECONE_INDEX_HOST }});"
    )
    return Address({"PINECONE_INDEX": index.name, "PINECONE_INDEX_HOST": host}, {"Python": python, "Node": node})


def scale(control: Control, index: Index, options: Mapping[str, str]) -> str:
    """Change capacity and return what was done. Raise ``ConfigError`` for what ``capacity_change`` refuses."""
    control.configure(f"scale index {index.name}", **capacity_change(index, options))
    return f"{index.name} is being scaled: {', '.join(f'{name} {value}' for name, value in options.items())}"


def capacity_change(index: Index, options: Mapping[str, str]) -> dict[str, Any]:
    """Return the change ``options`` ask for: replicas and type of pods, read capacity (``mode=Dedicated``, ``node_type``, …) of others.

    Raise ``ConfigError`` for what this kind of index does not have, and for values it cannot take.
    """
    known = _POD_OPTIONS if index.pod else _READ_OPTIONS
    for name in options:
        if name not in known:
            raise ConfigError(f"a {index.kind} index has no {name} to scale", fix=f"use one of: {', '.join(known)}", code="bad_option")
    if not options:
        raise ConfigError("there is nothing to scale", fix=f"give one of: {', '.join(known)}", code="missing_option")
    if index.pod:
        return {"deployment": {name: _number(name, text) if name == "replicas" else _pod_type(index, text) for name, text in options.items()}}
    return {"read_capacity": _read_capacity(options)}


def _pod_type(index: Index, wanted: str) -> str:
    """Return ``wanted`` when the pods of ``index`` can become it: Pinecone lets them grow, within their family ("Scale pod-based indexes")."""
    family, size = _pod(present := index.kind.removeprefix("pod "))
    wanted_family, wanted_size = _pod(wanted)
    if wanted_size and (family, size) != ("", 0) and (wanted_family != family or wanted_size < size):
        raise ConfigError(f"pods of the type {present} cannot become {wanted}", fix=f"choose a larger size of {family}", code="bad_option")
    if not wanted_size:
        raise ConfigError(f"pod_type={wanted} is no type of pods", fix="write one like p1.x2, sizes being x1, x2, x4 and x8", code="bad_option")
    return wanted


def _pod(text: str) -> tuple[str, int]:
    """Return family and size of a pod type; ("", 0) for none that is known here."""
    found = re.fullmatch(r"(s1|p1|p2)(?:\.x([1248]))?", text)
    return (found[1], int(found[2] or 1)) if found else ("", 0)


def _read_capacity(options: Mapping[str, str]) -> dict[str, Any]:
    mode = options.get("mode", "Dedicated")
    if mode not in {"OnDemand", "Dedicated"}:
        raise ConfigError(f"mode={mode} is no read capacity", fix="write mode=OnDemand or mode=Dedicated", code="bad_option")
    if mode == "OnDemand":
        if idle := next((name for name in options if name != "mode"), None):
            raise ConfigError(f"read capacity on demand has no {idle}", fix=f"leave {idle}= out, or write mode=Dedicated", code="bad_option")
        return {"mode": "OnDemand"}
    manual = {name: _number(name, options.get(name, "1")) for name in ("shards", "replicas")}
    return {"mode": "Dedicated", "dedicated": {"node_type": options.get("node_type", "b1"), "scaling": "Manual", "manual": manual}}


def _number(name: str, text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise ConfigError(f"{name}={text} is no number of at least 1", fix=f"write {name}=2", code="bad_option")
    return int(text)


def check_drop(index: Index | None) -> None:
    """Raise ``PermanentError`` (``deletion_protected``) when ``index`` must not be deleted."""
    if index is not None and index.protected:
        message = f"index {index.name} is protected from deletion"
        raise PermanentError(message, fix="disable its deletion protection in Pinecone's console, then try again", code="deletion_protected")


def drop(control: Control) -> None:
    """Delete the index and wait until it is gone. Raise ``PermanentError`` (``deletion_protected``) when it must not be."""
    index = control.find()
    if index is None:
        return
    check_drop(index)
    control.delete()
    end = time.monotonic() + _DROP_SECONDS
    while control.find() is not None:
        if time.monotonic() > end:
            raise TransientError(f"index {index.name} is still being deleted", fix="look at Pinecone's console")
        time.sleep(_POLL_SECONDS)
