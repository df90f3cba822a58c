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
    """Change capacity and return what was done: replicas and type of pods, read capacity (``mode=Dedicated``, ``node_type``, …) of others."""
    known = _POD_OPTIONS if index.pod else _READ_OPTIONS
    for name in options:
        if name not in known:
            raise ConfigError(f"a {index.kind} index has no {name} to scale", fix=f"use one of: {', '.join(known)}", code="bad_option")
    if not options:
        raise ConfigError("there is nothing to scale", fix=f"give one of: {', '.join(known)}", code="missing_option")
    if index.pod:
        change: dict[str, Any] = {name: _number(name, text) if name == "replicas" else text for name, text in options.items()}
        control.configure(f"scale index {index.name}", deployment=change)
    else:
        control.configure(f"scale index {index.name}", read_capacity=_read_capacity(options))
    return f"{index.name} is being scaled: {', '.join(f'{name} {value}' for name, value in options.items())}"


def _read_capacity(options: Mapping[str, str]) -> dict[str, Any]:
    mode = options.get("mode", "Dedicated")
    if mode not in {"OnDemand", "Dedicated"}:
        raise ConfigError(f"mode={mode} is no read capacity", fix="write mode=OnDemand or mode=Dedicated", code="bad_option")
    if mode == "OnDemand":
        return {"mode": "OnDemand"}
    manual = {name: _number(name, options.get(name, "1")) for name in ("shards", "replicas")}
    return {"mode": "Dedicated", "dedicated": {"node_type": options.get("node_type", "b1"), "scaling": "Manual", "manual": manual}}


def _number(name: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,4}", text):
        raise ConfigError(f"{name}={text} is no number", fix=f"write {name}=2", code="bad_option")
    return int(text)


def drop(control: Control) -> None:
    """Delete the index and wait until it is gone. Raise ``PermanentError`` (``deletion_protected``) when it must not be."""
    index = control.find()
    if index is None:
        return
    if index.protected:
        message = f"index {index.name} is protected from deletion"
        raise PermanentError(message, fix="disable its deletion protection in Pinecone's console, then try again", code="deletion_protected")
    control.delete()
    end = time.monotonic() + _DROP_SECONDS
    while control.find() is not None:
        if time.monotonic() > end:
            raise TransientError(f"index {index.name} is still being deleted", fix="look at Pinecone's console")
        time.sleep(_POLL_SECONDS)
