"""Uploaded files put on disk: one folder an upload, archives unpacked within limits, and what in it is the index, the ids, the metadata."""

from __future__ import annotations

import re
import secrets
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol

from migrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_FILES = 10_000
MOST_BYTES = 16 * 2**30
"""Bytes an archive may unpack to; a larger collection is given by its path on the server."""
_INDEX = {".index", ".faiss", ".bin", ".ivf"}
_UNSAFE = re.compile(r"[^\w.()\- ]")


class Uploaded(Protocol):
    """An uploaded file, as Streamlit hands it over."""

    name: str

    def read(self, size: int = ..., /) -> bytes: ...
    def seek(self, offset: int, whence: int = ..., /) -> int: ...


def store(files: Sequence[Uploaded], folder: Path) -> Path:
    """Write ``files`` into a new folder inside ``folder`` and return it. Raise ``ConfigError`` naming the file that cannot be taken.

    The new folder appears under its name only when it is whole.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = secrets.token_hex(6)
    fresh, ready = folder / f".{name}", folder / name
    fresh.mkdir(mode=0o700)
    try:
        for file in files:
            file.seek(0)
            if file.name.lower().endswith(".zip"):
                _unpack(file, fresh)
            else:
                _copy(file, fresh / safe_name(file.name))
        fresh.rename(ready)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return ready


def safe_name(name: str) -> str:
    """Return the last part of ``name`` with only harmless characters, never hidden and never empty."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return _UNSAFE.sub("_", last).lstrip(".")[-120:] or "file"


def _copy(file: Uploaded | BinaryIO, path: Path, most: int = MOST_BYTES) -> int:
    """Write ``file`` to ``path``, which must not be there yet, and return its bytes."""
    if path.exists():
        raise ConfigError(f"two of the uploaded files are called {path.name}", fix="rename one of them and upload again", code="bad_upload")
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with path.open("xb") as target:
        while piece := file.read(1 << 20):
            written += len(piece)
            if written > most:
                raise ConfigError(f"{path.name} unpacks to more than {MOST_BYTES >> 30} GiB", fix="give its path on the server instead", code="bad_upload")
            target.write(piece)
    return written


def _unpack(file: Uploaded, folder: Path) -> None:
    """Unpack an archive into ``folder``; a member that would land outside of it, or is no plain file, is refused."""
    try:
        with zipfile.ZipFile(file) as archive:  # type: ignore[arg-type]
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > MOST_FILES:
                raise ConfigError(
                    f"{file.name} holds {len(members):,} files", fix=f"upload at most {MOST_FILES:,}, or give a path on the server", code="bad_upload"
                )
            left = MOST_BYTES
            for member in members:
                parts = _parts(file.name, member)
                with archive.open(member) as opened:
                    left -= _copy(opened, folder.joinpath(*parts), left)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ConfigError(f"{file.name} is no readable .zip archive", fix="pack it again and upload it", code="bad_upload") from error


def _parts(archive: str, member: zipfile.ZipInfo) -> list[str]:
    """Return the path of ``member`` as its parts. A folder named ``namespace=a`` keeps its name: it means something."""
    parts = member.filename.replace("\\", "/").split("/")
    kind = (member.external_attr >> 16) & 0o170000
    if ".." in parts or parts[0] in {"", "~"} or ":" in parts[0] or any("\0" in part for part in parts) or kind not in {0, 0o100000}:
        raise ConfigError(f"{archive} holds {member.filename!r}, which is no plain file inside it", fix="pack only the files themselves", code="bad_upload")
    return [part for part in parts if part not in {"", "."}]


def faiss_parts(folder: Path) -> dict[str, str]:
    """Return what an uploaded folder holds as endpoint options: ``""`` the index or LangChain folder, ``ids``, ``metadata``.

    Raise ``ConfigError`` when it is not clear which file is the index.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__MACOSX" not in path.parts]
    indexes = [path for path in files if path.suffix.lower() in _INDEX]
    if len(indexes) != 1:
        found = ", ".join(path.name for path in indexes) or "none"
        message = f"the upload must hold one index ending in .index, .faiss, .bin or .ivf; found: {found}"
        raise ConfigError(message, fix="upload one index with its own sidecars", code="bad_upload")
    index = indexes[0]
    pickle = index.with_suffix(".pkl")
    parts = {"": str(index.parent if pickle.exists() and index.stem == "index" else index)}
    for role in ("ids", "metadata"):
        matching = [path for path in files if path not in {index, pickle} and role in path.stem.lower() + path.suffix.lower()]
        if len(matching) == 1:
            parts[role] = str(matching[0])
    ids = [path for path in files if path.suffix == ".npy"]
    if "ids" not in parts and len(ids) == 1:
        parts["ids"] = str(ids[0])
    return parts


def parquet_parts(folder: Path) -> dict[str, str]:
    """Return the folder of an upload as an endpoint's resource. Raise ``ConfigError`` when no Parquet file is in it."""
    if not any(path.suffix.lower() == ".parquet" for path in folder.rglob("*")):
        raise ConfigError("the upload holds no .parquet file", fix="upload .parquet files, or a .zip with them", code="bad_upload")
    single = list(folder.iterdir())
    return {"": str(single[0] if len(single) == 1 and single[0].is_dir() else folder)}


def total_bytes(folder: Path) -> int:
    """Return the size of all files in ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
