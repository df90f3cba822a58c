"""A folder on a disk or under a bucket's prefix: the few file operations the connector needs, each safe against a kill.

On a disk a file is written under a temporary name, synced, measured, and renamed. An object in a bucket appears whole or
not at all: S3 publishes a put, single or multipart, only when it completes, so no temporary key is needed there.
"""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from migrator import endpoints, secrets
from migrator.datasets.failures import translated
from migrator.datasets.naming import STAGING_FOLDER
from migrator.errors import ConfigError, PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.model import Endpoint

S3_OPTIONS = frozenset({"endpoint", "region", "access_key", "secret_key", "session_token", "anonymous"})
ATTEMPTS = 3
"""Tries of one S3 request. A chunk is dozens of requests and S3 answers 503 as a matter of course; above this, retry.py decides."""
CONNECT_SECONDS = 5
REQUEST_SECONDS = 60


@dataclass(frozen=True)
class Place:
    """Where a dataset lives. ``root`` has no trailing slash; paths below it are relative, with slashes."""

    files: Any
    """A ``pyarrow.fs.FileSystem``."""
    root: str
    shown: str
    """How users know it, for messages."""
    local: bool

    def check(self) -> None:
        """Raise ``PermanentError`` when the bucket does not exist: some stores would create it on the first write."""
        if self.local:
            return
        bucket = self.root.partition("/")[0]
        with translated(f"bucket {bucket}"):
            missing = self.files.get_file_info(bucket).type == fs.FileType.NotFound
        if missing:
            raise PermanentError(f"there is no bucket {bucket}", fix="create it, or correct its name", code="no_bucket")

    def full(self, path: str) -> str:
        """Return the file system's name for ``path``."""
        return f"{self.root}/{path}" if path else self.root or "/"

    def show(self, path: str) -> str:
        return f"{self.shown}/{path}" if path else self.shown or "/"

    def listing(self, path: str = "") -> list[Any]:
        """Return the ``FileInfo`` of every file at or below ``path``; none when it does not exist."""
        with translated(self.show(path)):
            found = self.files.get_file_info(fs.FileSelector(self.full(path), recursive=True, allow_not_found=True))
        return sorted((info for info in found if info.type == fs.FileType.File), key=lambda info: info.path)

    def relative(self, info: Any) -> str:
        return str(info.path)[len(self.root) + 1 :]

    def size(self, path: str) -> int | None:
        """Return the bytes of a file, or None when there is no such file."""
        with translated(self.show(path)):
            info = self.files.get_file_info(self.full(path))
        return int(info.size) if info.type == fs.FileType.File else None

    def open(self, path: str) -> Any:
        """Return a random-access file."""
        with translated(self.show(path)):
            return self.files.open_input_file(self.full(path))

    def load(self, path: str) -> bytes | None:
        """Return a small file's bytes, or None when there is none."""
        if self.size(path) is None:
            return None
        with _unless_gone(), translated(self.show(path)), self.files.open_input_stream(self.full(path)) as stream:
            return bytes(stream.read())
        return None

    def save(self, path: str, pieces: Sequence[pa.Buffer]) -> None:
        """Write a file: durable and complete under its name on return, or an error and nothing under that name."""
        with translated(self.show(path)):
            if self.local:
                _save_locally(Path(self.full(path)), Path(self.root, STAGING_FOLDER), pieces)
                return
            stream = self.files.open_output_stream(self.full(path))
            for piece in pieces:
                stream.write(piece)
            stream.close()
        if self.size(path) != sum(piece.size for piece in pieces):
            self.remove(path)
            raise PermanentError(f"{self.show(path)} did not arrive whole", fix="look at the store's health, then resume", code="write_incomplete")

    def move(self, path: str, to: str) -> None:
        """Give a file its final name, replacing what is there. In a bucket this is a copy inside the store, then a delete."""
        with translated(self.show(to)):
            if not self.local:
                self.files.move(self.full(path), self.full(to))
                return
            target = Path(self.full(to))
            make_folder(target.parent)
            Path(self.full(path)).replace(target)

    def sync(self, folder: str) -> None:
        """Make the renames and removals in ``folder`` durable."""
        if self.local and Path(self.full(folder)).is_dir():
            with translated(self.show(folder)):
                sync_folder(Path(self.full(folder)))

    def remove(self, path: str) -> None:
        """Remove a file; none there is no error."""
        with _unless_gone(), translated(self.show(path)):
            if self.size(path) is not None:
                self.files.delete_file(self.full(path))

    def remove_folder(self, path: str) -> None:
        """Remove a folder and all below it; none there is no error."""
        with translated(self.show(path)):
            if self.files.get_file_info(self.full(path)).type == fs.FileType.Directory:
                self.files.delete_dir(self.full(path))


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Let a file that is not there pass: between asking for it and using it another process may have removed it."""
    try:
        yield
    except PermanentError as error:
        if error.code != "not_found":
            raise


def _save_locally(target: Path, staging: Path, pieces: Sequence[pa.Buffer]) -> None:
    make_folder(target.parent)
    make_folder(staging)
    temporary = staging / f"{uuid.uuid4().hex}.tmp"
    try:
        _write_synced(temporary, pieces)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def _write_synced(path: Path, pieces: Sequence[pa.Buffer]) -> None:
    with path.open("xb", buffering=0) as file:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[file.write(view) :]
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
    if size != sum(piece.size for piece in pieces):  # a full disk has let a write that reported success end early
        raise PermanentError(f"{path} does not hold what was written to it", fix="check the disk, then resume the run", code="write_incomplete")


def make_folder(path: Path) -> None:
    """Create a folder and its parents, durably."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def place_of(endpoint: Endpoint, resource: str | None = None) -> Place:
    """Return the place ``endpoint`` (or ``resource`` with its options) names. Raise ``ConfigError`` for what cannot be one."""
    given = endpoint.resource if resource is None else resource
    text = given if given.endswith("://") else given.rstrip("/") or given[:1]
    if not text:
        raise ConfigError("a parquet endpoint needs a folder", fix="write parquet:./folder or parquet:s3://bucket/prefix", code="bad_endpoint")
    if text.startswith("s3://"):
        return _bucket(endpoint, text)
    if "://" in text:
        raise ConfigError(f"parquet cannot read or write {text}", fix="use a folder or s3://bucket/prefix", code="bad_endpoint")
    if misplaced := sorted(S3_OPTIONS & endpoint.options.keys()):
        raise ConfigError(f"{misplaced[0]}= belongs to s3:// addresses, not to the folder {text}", fix=f"remove {misplaced[0]}=", code="bad_option")
    return Place(fs.LocalFileSystem(), str(Path(text).absolute()).rstrip("/"), text.rstrip("/"), local=True)


def _bucket(endpoint: Endpoint, text: str) -> Place:
    root = text.removeprefix("s3://").strip("/")
    if not root or "//" in root:
        raise ConfigError(f"{text} names no bucket, or a folder without a name", fix="write s3://bucket/prefix", code="bad_endpoint")
    keys = {name: secrets.resolve(endpoint.options[name], option=name) for name in ("access_key", "secret_key", "session_token") if endpoint.options.get(name)}
    if ("access_key" in keys) != ("secret_key" in keys):
        raise ConfigError("access_key= and secret_key= belong together", fix="give both, or neither to use the environment's", code="bad_option")
    with translated(f"s3://{root}"):
        files = fs.S3FileSystem(
            **keys,
            **_address(endpoint.options.get("endpoint", "")),
            region=endpoint.options.get("region"),
            anonymous=endpoints.flag(endpoint, "anonymous"),
            connect_timeout=CONNECT_SECONDS,
            request_timeout=REQUEST_SECONDS,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
        )
    return Place(files, root, f"s3://{root}", local=False)


def _address(text: str) -> dict[str, str]:
    if not text:
        return {}
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/") or parts.username:
        raise ConfigError(f"endpoint={text} is not an address", fix="write endpoint=http://host:port or https://host", code="bad_option")
    return {"scheme": parts.scheme, "endpoint_override": parts.netloc}
