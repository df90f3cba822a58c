"""A folder on a disk or under a bucket's prefix: the few file operations the connector needs, each safe against a kill.

On a disk a file is written under a temporary name, synced, measured, and renamed. An object in a bucket appears whole or
not at all: a put, single or multipart, is published only when it completes, so no temporary key is needed there.
"""

from __future__ import annotations

import os
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import fs

from migrator import endpoints
from migrator.datasets import buckets
from migrator.datasets.failures import translated
from migrator.datasets.naming import STAGING_FOLDER
from migrator.errors import ConfigError, ConnectorError, PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.model import Endpoint

PROBE = ".vector-migrator"
"""Nothing below this name is ever written. It is asked for to learn what a store says to a request."""


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
        """Raise ``PermanentError`` when the bucket does not exist (some stores would create it on the first write) or what answers is no store."""
        if self.local:
            return
        bucket = self.root.partition("/")[0]
        with self._explained(), translated(f"bucket {bucket} of {self.shown}"):
            missing = self.files.get_file_info(bucket).type == fs.FileType.NotFound
        if missing:
            fix = "create it, or correct its name (or endpoint=, where another store is meant)"
            raise PermanentError(f"there is no bucket {bucket} for {self.shown}", fix=fix, code="no_bucket")
        if self.size(f"{PROBE}/{uuid.uuid4().hex}") is not None:
            message = f"what answers for {self.shown} is no object store: it has files nobody can have written"
            raise PermanentError(message, fix="correct endpoint=", code="not_a_store")

    def kind(self) -> Any:
        """Return the ``pyarrow.fs.FileType`` of the place itself: a file, a folder or nothing."""
        with self._explained(), translated(self.shown):
            return self.files.get_file_info(self.full("")).type

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Ask again for the reason where a store refuses: what answers a HEAD has no body that could say it (a wrong key, region, clock), a listing has."""
        try:
            yield
        except ConnectorError:
            if not self.local:
                with translated(self.shown):
                    self.files.get_file_info(fs.FileSelector(self.full(f"{PROBE}/{uuid.uuid4().hex}"), allow_not_found=True))
            raise

    def whole(self) -> Place:
        """Return the bucket this place is in, or the root of the disk."""
        bucket, _, prefix = self.root.partition("/")
        shown = "" if self.local else self.shown.removesuffix(prefix).rstrip("/")
        return Place(self.files, bucket, shown, self.local)

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
                if self.files.type_name == "abfs":  # which cannot move ("not implemented for Azure Storage accounts without Hierarchical Namespace")
                    self.files.copy_file(self.full(path), self.full(to))
                    self.files.delete_file(self.full(path))
                else:
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
        with _unless_gone(), translated(self.show(path)):  # Google's folders are gone with their last file, and then deleting them is an error
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
    here = endpoint.connector
    if not text:
        raise ConfigError(f"a {here} endpoint needs a folder", fix=f"write {here}:./folder or {here}:s3://bucket/prefix", code="bad_endpoint")
    if endpoints.in_bucket(text):
        address = buckets.parse(text)
        return Place(buckets.open_store(endpoint, address, text), address.root, text.rstrip("/"), local=False)
    if "://" in text:
        schemes = ", ".join(f"{scheme}://bucket/prefix" for scheme in ("s3", "gs", "az"))
        raise ConfigError(f"{here} cannot read or write {text}", fix=f"use a folder, or {schemes}", code="bad_endpoint")
    if misplaced := sorted(buckets.BUCKET_OPTIONS & endpoint.options.keys()):
        raise ConfigError(f"{misplaced[0]}= belongs to addresses of buckets, not to the folder {text}", fix=f"remove {misplaced[0]}=", code="bad_option")
    return Place(fs.LocalFileSystem(), str(Path(text).absolute()).rstrip("/"), text.rstrip("/"), local=True)
