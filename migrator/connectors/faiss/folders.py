"""Finds out what a path is: one index, shards of one, or the folder of LangChain, LlamaIndex or txtai."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from migrator.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

Layout = Literal["index", "shards", "langchain", "llamaindex", "txtai"]

_LARGEST_SHARD_COUNT = 512  # each keeps a file open
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Located:
    """The files behind an endpoint."""

    layout: Layout
    indexes: tuple[Path, ...]
    companions: tuple[Path, ...] = ()
    """Files with ids and metadata, in the order their reader expects them."""
    database: Path | None = None
    """txtai's SQLite file with texts and data."""


def locate(path: Path) -> Located:
    """Return what stands at ``path``. Raise ``ConfigError`` when there is nothing, no index in a folder, or no right to look."""
    try:
        return _located(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be looked into: {error.strerror}", fix="correct its permissions", code="file_not_found") from None


def _located(path: Path) -> Located:
    if not path.exists():
        raise ConfigError(f"there is no file or folder {path}", fix="correct the path after faiss:", code="file_not_found")
    if not path.is_dir():
        beside = path.with_suffix(".pkl")
        if path.suffix == ".faiss" and beside.is_file():
            return Located("langchain", (path,), (beside,))
        return Located("index", (path,))
    found = _langchain(path) or _llamaindex(path) or _txtai(path) or _shards(path)
    if found is None:
        raise ConfigError(
            f"there is no Faiss index in the folder {path}",
            fix="name the index file itself, or a folder of LangChain, LlamaIndex, txtai or of *.faiss or *.index shards",
            code="no_index",
        )
    return found


def _langchain(folder: Path) -> Located | None:
    pairs = [(index, index.with_suffix(".pkl")) for index in sorted(folder.glob("*.faiss")) if index.with_suffix(".pkl").is_file()]
    if (folder / "docs.index").is_file() and (folder / "faiss_store.pkl").is_file():
        pairs.append((folder / "docs.index", folder / "faiss_store.pkl"))
    if len(pairs) > 1:
        names = ", ".join(index.name for index, _ in pairs)
        raise ConfigError(f"the folder {folder} holds several LangChain indexes: {names}", fix=f"name one of them: faiss:{pairs[0][0]}", code="several_indexes")
    return Located("langchain", (pairs[0][0],), (pairs[0][1],)) if pairs else None


def _llamaindex(folder: Path) -> Located | None:
    stores = [path for path in sorted(folder.glob("*vector_store.json")) if path.is_file()]
    if not stores:
        return None
    binary = [path for path in stores if not _begins_with_brace(path)]
    if len(binary) != 1:
        state = "keeps its vectors as JSON, not in Faiss" if not binary else "holds several Faiss indexes"
        raise ConfigError(
            f"the LlamaIndex folder {folder} {state}", fix="persist it from a FaissVectorStore, or name the index file itself", code="several_indexes"
        )
    companions = (folder / "index_store.json", folder / "docstore.json")
    missing = [path.name for path in companions if not path.is_file()]
    if missing:
        raise ConfigError(
            f"the LlamaIndex folder {folder} lacks {missing[0]}",
            fix=f"copy {missing[0]} too, or name the index file alone: faiss:{binary[0]}",
            code="file_not_found",
        )
    return Located("llamaindex", (binary[0],), companions)


def _begins_with_brace(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(64).lstrip()[:1] == b"{"


def _txtai(folder: Path) -> Located | None:
    configs = [folder / name for name in ("config", "config.json") if (folder / name).is_file()]
    if not configs or not (folder / "embeddings").is_file():
        return None
    if (folder / "documents").is_file():
        return Located("txtai", (folder / "embeddings",), database=folder / "documents")
    return Located("txtai", (folder / "embeddings",), (folder / "ids" if (folder / "ids").is_file() else configs[0],))


def _shards(folder: Path) -> Located | None:
    paths = sorted((path for path in folder.iterdir() if path.suffix in {".faiss", ".index"} and path.is_file()), key=_natural)
    if len(paths) > _LARGEST_SHARD_COUNT:
        raise ConfigError(
            f"the folder {folder} holds {len(paths)} index files, more than {_LARGEST_SHARD_COUNT}",
            fix="migrate them in several folders",
            code="several_indexes",
        )
    return Located("shards" if len(paths) > 1 else "index", tuple(paths)) if paths else None


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Sort ``part10`` after ``part9``."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in _NUMBER.split(path.name)]
