"""Uploaded files put on disk, a folder each, archives unpacked within limits, and what each is taken for: none is dropped without a word."""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol

from migrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_FILES = 10_000
MOST_BYTES = 16 * 2**30
"""Bytes an archive may unpack to; a larger collection is given by its path on the server."""
_INDEX = {".index", ".faiss", ".bin", ".ivf"}
_IDS = (".npy", ".json", ".csv", ".txt", ".parquet")
_METADATA = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")
_NAMED_IDS = re.compile(r"(?i:(?<![a-z])ids(?![a-z]))|(?<=[a-z])Ids(?![a-z])")  # the word: orchids.csv holds no ids
_DOCSTORES = {"docstore.json", "index_store.json", "documents", "ids"}
_TXTAI = {"config", "documents", "ids", "scoring", "graph", "terms", "lsa"}
_HIDDEN = re.compile(r"(^|/)(\.|_(?!_default__/))")  # what readers of Parquet pass over
_JUNK = re.compile(r"(^|/)(__MACOSX/|\._|\.DS_Store$|Thumbs\.db$|desktop\.ini$)")  # added by operating systems
_hash = functools.partial(hashlib.blake2b, digest_size=16)
_UNSAFE = re.compile(r"[^\w.()\- ]")


class Uploaded(Protocol):
    """An uploaded file, as Streamlit hands it over."""

    name: str

    def read(self, size: int = ..., /) -> bytes: ...
    def seek(self, offset: int, whence: int = ..., /) -> int: ...


@dataclass(frozen=True)
class Kept:
    """An uploaded file in a folder of its own. Equal files share that folder, and it never changes: a run may be reading it."""

    id: str
    name: str
    folder: Path


@dataclass(frozen=True)
class Taken:
    """What an upload was taken for: an endpoint's options, and the same for people, ``("metadata", "photos.jsonl")``."""

    options: dict[str, str]
    roles: tuple[tuple[str, str], ...]


def keep(file: Uploaded, folder: Path) -> Kept:
    """Store ``file`` in a folder inside ``folder`` named by its content. Raise ``ConfigError`` naming the file when it cannot be taken."""
    file.seek(0)
    digest = hashlib.file_digest(file, _hash)  # type: ignore[arg-type]
    digest.update(_hash(file.name.encode()).digest())
    file.seek(0)
    zipped = file.name.lower().endswith(".zip")
    ready = _whole(folder / digest.hexdigest(), lambda fresh: _unpack(file, fresh) if zipped else _copy(file, fresh / safe_name(file.name)))
    return Kept(getattr(file, "file_id", ""), file.name, ready)


def together(kept: Sequence[Kept], folder: Path) -> Path:
    """Return one folder with all files of ``kept``, linked rather than copied. Raise ``ConfigError`` when two have one name."""
    sources = sorted({each.folder for each in kept})
    for each in kept:
        if not each.folder.is_dir():
            raise _refused(f"{each.name} is no longer on the server", "remove it here and upload it again")
    if len(sources) == 1:
        return sources[0]

    def fill(fresh: Path) -> None:
        for source in sources:
            for path in _files(source):
                _link(path, fresh / path.relative_to(source))

    return _whole(folder / _hash("\n".join(source.name for source in sources).encode()).hexdigest(), fill)


def _whole(ready: Path, fill: Callable[[Path], object]) -> Path:
    """Return ``ready``, made by ``fill`` unless it is there. It appears under its name only when it is whole."""
    if ready.is_dir():
        return ready
    ready.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = ready.with_name(f".{secrets.token_hex(6)}")
    fresh.mkdir(mode=0o700)
    try:
        fill(fresh)
        fresh.rename(ready)
    except BaseException as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if isinstance(error, OSError) and ready.is_dir():  # another session uploads the same and was faster
            return ready
        raise
    return ready


def _link(source: Path, path: Path) -> None:
    if path.exists():
        raise _refused(f"two of the uploaded files are called {path.name}", "remove one of them, or rename it")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copy2(source, path)


def safe_name(name: str) -> str:
    """Return the last part of ``name`` with only harmless characters, never hidden and never empty."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return _UNSAFE.sub("_", last).lstrip(".")[-120:] or "file"


def _copy(file: Uploaded | BinaryIO, path: Path, most: int = MOST_BYTES) -> int:
    """Write ``file`` to ``path``, which must not be there yet, and return its bytes."""
    if path.exists():
        raise _refused(f"two of the uploaded files are called {path.name}", "rename one of them and upload again")
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("xb") as target:
        while piece := file.read(1 << 20):
            written += len(piece)
            if written > most:
                raise _refused(f"{path.name} unpacks to more than {MOST_BYTES >> 30} GiB", "give its path on the server instead")
            target.write(piece)
    return written


def _unpack(file: Uploaded, folder: Path) -> None:
    """Unpack an archive into ``folder``; a member that would land outside of it, or is no plain file, is refused."""
    try:
        with zipfile.ZipFile(file) as archive:  # type: ignore[arg-type]
            members = [member for member in archive.infolist() if not member.is_dir() and not _JUNK.search(member.filename)]
            if len(members) > MOST_FILES:
                raise _refused(f"{file.name} holds {len(members):,} files", f"upload at most {MOST_FILES:,}, or give a path on the server")
            left = MOST_BYTES
            for member in members:
                parts = _parts(file.name, member)
                with archive.open(member) as opened:
                    left -= _copy(opened, folder.joinpath(*parts), left)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise _refused(f"{file.name} is no readable .zip archive", "pack it again and upload it") from error


def _parts(archive: str, member: zipfile.ZipInfo) -> list[str]:
    """Return the path of ``member`` as its parts. A folder named ``namespace=a`` keeps its name: it means something."""
    parts = member.filename.replace("\\", "/").split("/")
    kind = (member.external_attr >> 16) & 0o170000
    if ".." in parts or parts[0] in {"", "~"} or ":" in parts[0] or any("\0" in part for part in parts) or kind not in {0, 0o100000}:
        raise _refused(f"{archive} holds {member.filename!r}, which is no plain file inside it", "pack only the files themselves")
    return [part for part in parts if part not in {"", "."}]


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def faiss_parts(folder: Path) -> Taken:
    """Return what the files of an upload are: one index and its sidecars, or the folder of LangChain, LlamaIndex or txtai.

    Raise ``ConfigError`` naming the file when one has no use, or several could have the same.
    """
    files = _files(folder)
    found = {path: beside for path in files if (beside := _beside(path, files)) is not None}
    for path in [path for beside in found.values() for path in beside]:
        found.pop(path, None)
    if len(found) != 1:
        names = _names(list(found)) or "none"
        raise _refused(f"the upload must hold one index ending in .index, .faiss, .bin or .ivf; found: {names}", "upload one index with its own sidecars")
    index, beside = found.popitem()
    rest = [path for path in files if path not in {index, *beside}]
    if beside:
        stores = _names([path for path in beside if path.suffix == ".pkl" or path.name in _DOCSTORES] or beside[:1])
        if rest:
            raise _refused(f"the file {rest[0].name} would not be used: {stores} holds the ids and the metadata", f"leave out {rest[0].name} or {stores}")
        resource = index if index.suffix == ".faiss" and index.stem != "index" else index.parent
        return Taken({"": str(resource)}, (("index", index.name), ("ids and metadata", stores)))
    ids, metadata = _sidecars(index, rest)
    options = {role: str(path) for role, paths in (("", [index]), ("ids", ids), ("metadata", metadata)) for path in paths}
    return Taken(options, (("index", index.name), ("metadata", _names(metadata) or "none"), ("ids", _names(ids) or "stored in the index, or row numbers")))


def _beside(path: Path, files: Sequence[Path]) -> list[Path] | None:
    """Return the library's own files beside the index ``path``, which hold its ids and metadata; None when it is no index."""
    near = {file.name: file for file in files if file.parent == path.parent}
    if path.suffix.lower() in _INDEX:
        pickle = "faiss_store.pkl" if path.name == "docs.index" else f"{path.stem}.pkl" if path.suffix == ".faiss" else ""
        return [near[pickle]] if pickle in near else []
    if path.name.endswith("vector_store.json") and not path.name.startswith("image__") and "index_store.json" in near:
        return [file for name, file in near.items() if name.endswith("store.json") and file != path]
    if path.name == "embeddings" and near.keys() & {"config", "config.json"}:
        inner = path.parent / "indexes"
        return [file for file in files if file.is_relative_to(inner) or (file in near.values() and file.name.split(".")[0] in _TXTAI)]
    return None


def _sidecars(index: Path, rest: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the ids and the metadata among ``rest``, one each at most."""
    ids = [path for path in rest if path.suffix.lower() == ".npy" or (_NAMED_IDS.search(path.stem) and "metadata" not in path.name.lower())]
    others = [path for path in rest if path not in ids and path.suffix.lower() in _METADATA]
    metadata = [path for path in others if "metadata" in path.name.lower()] or others
    for role, paths in (("ids", ids), ("metadata", metadata)):
        if len(paths) > 1:
            both = " and ".join(filter(None, (_names(paths[:-1]), paths[-1].name)))
            kinds = [path.suffix for path in paths if role == "metadata" and path.suffix.lower() in _IDS]
            other = f", or name the one with the ids {index.stem}.ids{kinds[0]}" if kinds else ""
            raise _refused(f"the files {both} could {'both' if len(paths) == 2 else 'all'} be the {role}", f"upload only one of them{other}")
    for path in ids:
        if path.suffix.lower() not in _IDS:
            raise _refused(f"the ids in {path.name} cannot be read", f"upload them as one of {', '.join(_IDS)}, for example {index.stem}.ids.csv")
    for path in rest:
        if path not in {*ids, *metadata}:
            why = f"{metadata[0].name} is the metadata" if path in others else "it is neither an index nor its ids nor its metadata"
            hint = f", or name it {index.stem}.pkl beside an index ending in .faiss if it is LangChain's" if path.suffix == ".pkl" else ""
            raise _refused(f"the file {path.name} would not be used: {why}", f"leave {path.name} out{hint}")
    return ids, metadata


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)


def _refused(message: str, fix: str) -> ConfigError:
    return ConfigError(message, fix=fix, code="bad_upload")


def parquet_parts(folder: Path) -> Taken:
    """Return the folder of an upload as an endpoint's resource. Raise ``ConfigError`` when no Parquet file is in it, or naming one that would not be read."""
    single = list(folder.iterdir())
    root = single[0] if len(single) == 1 and single[0].is_dir() else folder
    names = [path.relative_to(root).as_posix() for path in _files(root)]
    hidden = [name for name in names if _HIDDEN.search(name)]
    data = [name for name in names if name.endswith((".parquet", ".parq")) and name not in hidden]
    if not data:
        raise _refused("the upload holds no .parquet file", "upload .parquet files, or a .zip with them")
    for name in names:
        belongs = name in data or name == "manifest.json" or name.startswith("_staging/") or (name in hidden and ".parq" not in name.lower())
        if not belongs:
            raise _refused(f"the file {name} would not be read", f"leave {name} out, or let its name end in .parquet, without . or _ at its beginning")
    shown = ", ".join(data[:3]) + (f" and {len(data) - 3} more" if len(data) > 3 else "")
    return Taken({"": str(root)}, (("data", shown), *([("manifest", "manifest.json")] if "manifest.json" in names else [])))
