"""The kinds of source of a ``migration.yaml`` other than Faiss: named, with what does the same here."""

from __future__ import annotations

import difflib
import shlex
from typing import TYPE_CHECKING, Any, NoReturn

from migrator.configs.milvus_migration_values import WHAT
from migrator.endpoints import render
from migrator.errors import ConfigError
from migrator.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

MODE = "dumper.worker.workMode"
_FIX = {
    "milvus1x": "Milvus 1.x is not read: let milvus-migration move it to Milvus 2.x once, then copy from there: python -m migrator copy milvus:… milvus:…",
    "elasticsearch": "Elasticsearch is not read: export the index to Parquet (columns id, values, metadata), then python -m migrator copy parquet:… milvus:…",
}


def check_mode(given: Mapping[str, Any]) -> None:
    """Raise ``ConfigError``, with the cure, unless the configuration is one of a Faiss index."""
    plain = {key.lower(): value for key, value in given.items()}
    mode = plain.get(MODE.lower())
    if not isinstance(mode, str) or not mode.strip():
        raise ConfigError(f"{WHAT} has no {MODE}", fix="add it: faiss", code="missing_key")
    word = mode.strip().lower()
    if word == "faiss":
        return
    if word in (*_FIX, "milvus2x"):
        message = f"{WHAT}: {MODE} {word} is not supported, only faiss is"
        raise ConfigError(message, fix=_FIX.get(word) or _between_milvus(plain), code="not_available")
    _refuse(mode, word)


def _refuse(mode: str, word: str) -> NoReturn:
    near = difflib.get_close_matches(word, ["faiss", "milvus2x", *_FIX], n=1)
    raise ConfigError(f"{WHAT}: {MODE}: {mode!r} is none that is known", fix=f"did you mean {near[0]}?" if near else "write faiss", code="bad_config")


def _between_milvus(plain: Mapping[str, Any]) -> str:
    """Return the command that copies from Milvus to Milvus as the configuration says."""
    source = str(plain.get("meta.collection") or "COLLECTION")
    target = str(plain.get("meta.milvus.collection") or source)
    shards = plain.get("meta.milvus.shardnum")
    ends = [_end(plain, "source", source, {}), _end(plain, "target", target, {"shards": str(shards)} if shards else {})]
    return f"no file is needed for that: python -m migrator copy {shlex.join(ends)}"


def _end(plain: Mapping[str, Any], side: str, name: str, more: dict[str, str]) -> str:
    address, user, database = (str(plain.get(f"{side}.milvus2x.{key}") or "") for key in ("endpoint", "username", "database"))
    options = {"uri": address if "://" in address else f"http://{address or 'host:19530'}"}
    if user and set(user) - set("x*"):
        options |= {"user": user, "password": f"env:{'SOURCE_' if side == 'source' else ''}MILVUS_PASSWORD"}
    options |= {"database": database} if database else {}
    return render(Endpoint("milvus", name, options | more))
