"""Which folders of ``.npy`` files a NumPy source consists of, and which file holds which part of a record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migrator.datasets import manifest as manifests
from migrator.datasets.failures import unreadable
from migrator.datasets.naming import namespace_of
from migrator.datasets.places import place_of
from migrator.errors import ConfigError, UnreadableSourceError
from migrator.model import DEFAULT_NAMESPACE, ColumnRoles

if TYPE_CHECKING:
    from collections import abc

    from migrator.datasets.manifest import Manifest
    from migrator.datasets.places import Place
    from migrator.model import Endpoint

ENDING = ".npy"
ROLES = {
    "id": ("id", "ids"),
    "values": ("vector", "vectors", "data", "values", "embedding", "embeddings"),
    "sparse_values": ("sparse",),
    "namespace": ("namespace", "namespaces"),
    "metadata": ("metadata", "$meta", "meta"),
}
"""Options that name a file, without its ending, and the names tried when none is given."""


@dataclass(frozen=True)
class Stored:
    """One ``.npy`` file."""

    path: str
    """Relative to the dataset."""
    bytes: int
    modified: int
    sha256: str | None
    """As the manifest has it."""


@dataclass(frozen=True)
class Part:
    """Files that hold the same records, a column each."""

    path: str
    """Their folder, relative to the dataset; "" is the dataset's own."""
    namespace: str
    """Of its records, unless a column says it."""
    files: abc.Mapping[str, Stored]
    """By column."""
    records: int | None
    """As the manifest has it."""


@dataclass(frozen=True)
class Dataset:
    """The parts of a source, in the order they are read."""

    place: Place
    parts: tuple[Part, ...]
    roles: ColumnRoles
    manifest: Manifest | None

    @property
    def version(self) -> str:
        """Changes when a file does."""
        facts = "\n".join(f"{file.path}\0{file.bytes}\0{file.modified}" for part in self.parts for file in part.files.values())
        return hashlib.sha256(facts.encode()).hexdigest()[:32]


def find(endpoint: Endpoint) -> Dataset:
    """Return the dataset that ``endpoint`` names. Raise ``UnreadableSourceError`` when there is none (code ``not_found``), or it is not whole."""
    place = place_of(endpoint)
    place.check()
    manifest = manifests.load_manifest(place)
    if manifest is None and place.size(manifests.RUN) is not None:
        raise UnreadableSourceError(f"{place.shown} holds a dump that is not finished", fix="wait until the run that writes it has ended, or resume it")
    stored = {path: info for info in place.listing() if _is_data(path := place.relative(info))}
    if manifest is None and not stored:
        raise UnreadableSourceError(f"{place.shown} holds no {ENDING} files", fix="check the path", code="not_found")
    entries = {} if manifest is None else manifest.by_path
    for path, entry in entries.items():
        if path not in stored or stored[path].size != entry.bytes:
            problem = "is missing" if path not in stored else f"has {stored[path].size} bytes instead of {entry.bytes}"
            raise UnreadableSourceError(f"{place.show(path)} {problem}, though manifest.json lists it", fix="get the dump again, whole")
    chosen = stored if manifest is None else {path: stored[path] for path in entries}
    parts = tuple(_parts(chosen, entries))
    roles = _roles(endpoint, place, parts, manifest)
    _check_whole(place, parts, roles, dumped=manifest is not None)
    return Dataset(place, parts, roles, manifest)


def _check_whole(place: Place, parts: abc.Iterable[Part], roles: ColumnRoles, *, dumped: bool) -> None:
    """Raise ``UnreadableSourceError`` when a part lacks a file without which its rows would become other records."""
    for part in parts:
        for name in (roles.id, roles.values, roles.namespace if dumped else None):
            if name and name not in part.files:
                fix = "get the dump again, whole" if dumped else "add the file, or leave the folder out"
                raise UnreadableSourceError(f"{place.show(part.path)} has no {name}{ENDING}, as other folders have", fix=fix)


def _is_data(path: str) -> bool:
    *folders, name = path.split("/")
    hidden = [part for part in folders if part.startswith((".", "_")) and part != "__default__"]
    return name.endswith(ENDING) and not hidden and not name.startswith((".", "_"))


def _parts(stored: abc.Mapping[str, Any], entries: abc.Mapping[str, manifests.Entry]) -> abc.Iterator[Part]:
    folders: dict[str, dict[str, Stored]] = {}
    for path, info in sorted(stored.items()):
        folder, _, name = path.rpartition("/")
        sha256 = entries[path].sha256 if path in entries else None
        folders.setdefault(folder, {})[name.removesuffix(ENDING)] = Stored(path, int(info.size), int(info.mtime_ns or 0), sha256)
    for folder, files in folders.items():
        entry = entries.get(next(iter(files.values())).path)
        if entry is not None:
            yield Part(folder, entry.namespace, files, entry.records)
        else:
            yield Part(folder, "/".join(map(namespace_of, folder.split("/"))) if folder else DEFAULT_NAMESPACE, files, None)


def _roles(endpoint: Endpoint, place: Place, parts: abc.Sequence[Part], manifest: Manifest | None) -> ColumnRoles:
    """Return what the columns hold: as the manifest has it, else as options or names say."""
    if manifest is not None:
        try:
            return ColumnRoles.from_json(manifest.run.columns)
        except ValueError as error:
            raise unreadable(place.show(manifests.MANIFEST), f"its {error} are not those of NumPy files") from error
    names = set.union(*(set(part.files) for part in parts))
    taken = {role: _named(endpoint, place, role, names) for role in ROLES}
    if taken["values"] is None:
        fix = f"name the file of the vectors: values=NAME, one of: {', '.join(sorted(names))}"
        raise ConfigError(f"{place.shown} has no file known to hold vectors", fix=fix, code="missing_option")
    others = tuple(sorted(names - set(taken.values()) - {f"{taken['sparse_values']}.{part}" for part in ("indptr", "indices", "data")}))
    return ColumnRoles(taken["id"] or "", taken["values"], taken["sparse_values"], taken["namespace"], taken["metadata"], others)


def _named(endpoint: Endpoint, place: Place, role: str, names: set[str]) -> str | None:
    option = role.removesuffix("_values")
    known = names | {name.removesuffix(".indptr") for name in names if name.endswith(".indptr")}
    if wanted := endpoint.options.get(option):
        if wanted not in known:
            raise ConfigError(f"{place.shown} has no file {wanted}{ENDING} ({option}=)", fix=f"use one of: {', '.join(sorted(names))}", code="wrong_field")
        return wanted
    return next((name for name in ROLES[role] if name in known), None)
