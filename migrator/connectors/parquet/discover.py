"""Which files a Parquet source consists of, and the namespace each folder stands for."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyarrow import fs

from migrator import endpoints
from migrator.datasets import manifest as manifests
from migrator.datasets.failures import translated
from migrator.datasets.naming import namespace_of
from migrator.datasets.places import place_of
from migrator.errors import PermanentError, UnreadableSourceError
from migrator.model import DEFAULT_NAMESPACE, Finding

if TYPE_CHECKING:
    from migrator.datasets.manifest import Manifest
    from migrator.datasets.places import Place
    from migrator.model import Endpoint

_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a dataset."""

    path: str
    """Relative to the dataset's root."""
    namespace: str
    bytes: int
    modified: int
    sha256: str | None = None
    """As the manifest has it."""


@dataclass(frozen=True)
class Dataset:
    """The files of a source, in the order they are read."""

    place: Place
    files: tuple[DataFile, ...]
    manifest: Manifest | None
    findings: tuple[Finding, ...] = ()

    @property
    def version(self) -> str:
        """Changes when a file does."""
        facts = "\n".join(f"{file.path}\0{file.bytes}\0{file.modified}" for file in self.files)
        return hashlib.sha256(facts.encode()).hexdigest()[:32]


def find(endpoint: Endpoint) -> Dataset:
    """Return the dataset ``endpoint`` names: a file, a folder, a pattern, or several of them separated by commas.

    Raise ``UnreadableSourceError`` when there is nothing (code ``not_found``), or an export that is unfinished or lacks files.
    """
    if any(f",{scheme}" in endpoint.resource for scheme in endpoints.BUCKETS):
        return _several(endpoint)
    whole = place_of(endpoint)
    whole.check()
    kind = whole.kind()
    if kind == fs.FileType.File:
        return _single(whole, endpoint)
    if kind == fs.FileType.Directory:
        return _folder(whole)
    if "," in endpoint.resource:
        return _several(endpoint)
    if _GLOB.search(endpoint.resource):
        return _matching(endpoint)
    raise UnreadableSourceError(f"{whole.shown} does not exist", fix="check the path", code="not_found")


def _single(place: Place, endpoint: Endpoint) -> Dataset:
    folder = place_of(endpoint, endpoint.resource.rpartition("/")[0] or ("/" if endpoint.resource.startswith("/") else "."))
    with translated(place.shown):
        info = place.files.get_file_info(place.full(""))
    return Dataset(folder, (DataFile(folder.relative(info), DEFAULT_NAMESPACE, int(info.size), int(info.mtime_ns or 0)),), None)


def _folder(place: Place) -> Dataset:
    manifest = manifests.load_manifest(place)
    if manifest is None and place.size(manifests.RUN) is not None:
        raise UnreadableSourceError(f"{place.shown} holds an export that is not finished", fix="wait until the run that writes it has ended, or resume it")
    files = tuple(_data_file(place, info, manifest) for info in place.listing() if _is_data(place.relative(info)))
    if manifest is None and not files:
        raise UnreadableSourceError(f"{place.shown} holds no .parquet files", fix="check the path", code="not_found")
    return Dataset(place, files, manifest, _against_manifest(place, files, manifest))


def _is_data(path: str) -> bool:
    """Whether a path is data: by convention names beginning with a dot or an underscore are not, except our default namespace."""
    *folders, name = path.split("/")
    hidden = [part for part in folders if part.startswith((".", "_")) and part != "__default__"]
    return name.endswith((".parquet", ".parq")) and not hidden and not name.startswith((".", "_"))


def _data_file(place: Place, info: fs.FileInfo, manifest: Manifest | None) -> DataFile:
    path = place.relative(info)
    listed = {} if manifest is None else manifest.by_path
    sha256 = listed[path].sha256 if path in listed else None
    folders = path.split("/")[:-1]
    namespace = "/".join(namespace_of(folder) for folder in folders)
    return DataFile(path, namespace, int(info.size), int(info.mtime_ns or 0), sha256)


def _against_manifest(place: Place, files: tuple[DataFile, ...], manifest: Manifest | None) -> tuple[Finding, ...]:
    if manifest is None:
        return ()
    present = {file.path: file.bytes for file in files}
    for entry in manifest.files:
        if present.get(entry.path) != entry.bytes:
            problem = "is missing" if entry.path not in present else f"has {present[entry.path]} bytes instead of {entry.bytes}"
            raise UnreadableSourceError(f"{place.show(entry.path)} {problem}, though manifest.json lists it", fix="get the export again, whole")
    extra = [file.path for file in files if file.path not in manifest.by_path]
    if not extra:
        return ()
    message = f"{len(extra)} files are not listed in manifest.json and are read as well, first {extra[0]}"
    return (Finding("info", "unlisted_file", message, "move them away if they do not belong to the export"),)


def _several(endpoint: Endpoint) -> Dataset:
    """Join several datasets; their paths are made relative to the file system's root, their namespaces stay their own."""
    texts = endpoint.resource.split(",")
    mixed = PermanentError("files of different stores cannot be one source", fix="migrate them one after the other", code="bad_endpoint")
    if len({endpoints.in_bucket(text) for text in texts}) > 1:  # before any is looked for: who names a bucket may not be allowed this machine's files
        raise mixed
    parts = [find(type(endpoint)(endpoint.connector, text, endpoint.options)) for text in texts]
    base = parts[0].place.whole()
    if len({(part.place.whole().root, part.place.files.type_name) for part in parts}) > 1:
        raise mixed
    files = [
        DataFile(f"{part.place.root}/{file.path}"[len(base.root) + 1 :], file.namespace, file.bytes, file.modified, file.sha256)
        for part in parts
        for file in part.files
    ]
    return Dataset(base, tuple(files), None, tuple(finding for part in parts for finding in part.findings))


def _matching(endpoint: Endpoint) -> Dataset:
    first = _GLOB.search(endpoint.resource)
    fixed = endpoint.resource[: endpoint.resource.rfind("/", 0, first.start() if first else 0) + 1]
    place = place_of(endpoint, fixed.rstrip("/") or ("/" if fixed else "."))
    pattern = re.compile(_as_regex(endpoint.resource[len(fixed) :]))
    files = tuple(_data_file(place, info, None) for info in place.listing() if pattern.fullmatch(place.relative(info)))
    if not files:
        raise UnreadableSourceError(f"no file matches {endpoint.resource}", fix="check the pattern", code="not_found")
    return Dataset(place, files, None)


def _as_regex(pattern: str) -> str:
    """Translate a shell pattern: ``*`` and ``?`` stop at slashes, ``**/`` is any number of folders."""
    words = re.findall(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|.", pattern, re.DOTALL)
    known = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(known.get(word) or (f"[{word[1:-1].replace('!', '^', 1)}]" if word[0] == "[" and len(word) > 2 else re.escape(word)) for word in words)
