"""Indexes and sidecars that lie in a bucket: their files are fetched to this machine, where the reader and its limited process read them."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pyarrow import fs

from migrator import endpoints
from migrator.connectors.faiss.folders import locate
from migrator.datasets import fetching
from migrator.datasets.buckets import BUCKET_OPTIONS
from migrator.datasets.failures import translated
from migrator.datasets.places import Place, place_of
from migrator.errors import ConfigError, MigratorError
from migrator.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.datasets.fetching import Found
    from migrator.model import Finding

_SUFFIXES = frozenset({".faiss", ".index", ".pkl", ".json"})
_NAMES = frozenset({"config", "embeddings", "documents", "ids"})
"""Files of a folder that may belong to an index; ``folders.locate`` chooses among them."""
_HEAD = 64
"""Bytes of a LlamaIndex store that tell its kind."""


@dataclass(frozen=True)
class Wanted:
    """Objects of one place that an option names."""

    option: str
    """"" for the index itself."""
    place: Place
    found: tuple[Found, ...]
    name: str
    """What of the copy is to be read: the file, or "" for the folder of them."""


@dataclass
class Brought:
    """An endpoint whose files are all on this machine. ``close()`` it."""

    endpoint: Endpoint
    wanted: tuple[Wanted, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    """Paths on this machine, with the addresses users know."""
    _stack: ExitStack = field(default_factory=ExitStack)

    def renamed(self, text: str) -> str:
        """Return ``text`` with addresses in the place of this machine's paths."""
        for path in sorted(self.names, key=len, reverse=True):
            text = text.replace(path, self.names[path])
        return text

    @contextmanager
    def renaming(self) -> Iterator[None]:
        """Let errors raised inside speak of addresses."""
        try:
            yield
        except MigratorError as error:
            error.message, error.fix = self.renamed(error.message), self.renamed(error.fix)
            error.args = (error.message,)
            raise

    def findings(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        return tuple(replace(finding, message=self.renamed(finding.message), fix=self.renamed(finding.fix)) for finding in findings)

    @property
    def tags(self) -> str:
        """What the store says the fetched objects are; "" when nothing was fetched."""
        return "\n".join(f"{wanted.place.show(one.path)}\0{one.size}\0{one.tag}" for wanted in self.wanted for one in wanted.found)

    def in_place(self) -> bool:
        """Return whether the objects are still those that were fetched."""
        return all(fetching.look(wanted.place, one.path) == one for wanted in self.wanted for one in wanted.found)

    def close(self) -> None:
        self._stack.close()


def is_remote(endpoint: Endpoint) -> bool:
    """Return whether any file of ``endpoint`` lies in a bucket."""
    return any(endpoints.in_bucket(text) for text in _named(endpoint).values())


def _named(endpoint: Endpoint) -> dict[str, str]:
    return {"": endpoint.resource} | {name: endpoint.options[name] for name in ("ids", "metadata") if endpoint.options.get(name)}


def find(endpoint: Endpoint) -> tuple[Wanted, ...]:
    """Return what of ``endpoint`` lies in buckets. Raise ``ConfigError`` when an object is not there, or an option of a bucket has no bucket."""
    if not is_remote(endpoint):
        if misplaced := sorted(BUCKET_OPTIONS & endpoint.options.keys()):
            message = f"{misplaced[0]}= belongs to addresses of buckets, and faiss:{endpoint.resource} is on this machine"
            raise ConfigError(message, fix=f"remove {misplaced[0]}=", code="bad_option")
        return ()
    return tuple(_find(endpoint, option, text) for option, text in _named(endpoint).items() if endpoints.in_bucket(text))


def _find(endpoint: Endpoint, option: str, text: str) -> Wanted:
    place = place_of(endpoint, text)
    folder, _, name = place.root.rpartition("/")
    above = Place(place.files, folder, place.shown.removesuffix(name).rstrip("/"), local=False)
    if folder and name not in {".", ".."} and place.kind() == fs.FileType.File:
        names = [name, f"{Path(name).stem}.pkl"] if not option and name.endswith(".faiss") else [name]  # LangChain's, as on a disk
        return Wanted(option, above, tuple(found for one in names if (found := fetching.look(above, one))), name)
    place.check()
    if option or not (listed := _listed(place)):
        what = f"{option}={text}" if option else text
        raise ConfigError(f"there is no object {what}", fix="correct its address", code="file_not_found")
    return Wanted("", place, tuple(found for one in _chosen(place, listed) if (found := fetching.look(place, one))), "")


def _listed(place: Place) -> dict[str, int]:
    """Return the names and sizes of the objects right below ``place`` that may belong to an index."""
    with translated(place.shown):
        infos = place.files.get_file_info(fs.FileSelector(place.full(""), allow_not_found=True))
    files = {place.relative(info): int(info.size) for info in infos if info.type == fs.FileType.File}
    return {name: size for name, size in files.items() if Path(name).suffix in _SUFFIXES or name in _NAMES}


def _chosen(place: Place, listed: dict[str, int]) -> list[str]:
    """Return those of ``listed`` that are read. They are chosen as on a disk, among empty files of their names, before gigabytes are fetched."""
    with tempfile.TemporaryDirectory(prefix="migrator-names-") as folder:
        for name in listed:
            head = b""
            if name.endswith("vector_store.json"):
                with place.open(name) as stored, translated(place.show(name)):
                    head = stored.read(_HEAD)
            Path(folder, name).write_bytes(head)
        with Brought(Endpoint("faiss", folder, {}), names={folder: place.shown}).renaming():
            located = locate(Path(folder))
    return [path.name for path in (*located.indexes, *located.companions, *filter(None, [located.database]))]


def bring(endpoint: Endpoint, wanted: Sequence[Wanted] | None = None) -> Brought:
    """Return ``endpoint`` with its files on this machine, fetched where they lie in buckets. ``wanted`` is what ``find`` returned, where that was asked.

    Raise ``ConfigError`` when an object is not there, ``ConnectorError`` when the store refuses, or the disk has no room.
    """
    found = tuple(find(endpoint) if wanted is None else wanted)
    if not found:
        return Brought(endpoint)
    resource, options = endpoint.resource, {name: value for name, value in endpoint.options.items() if name not in BUCKET_OPTIONS}
    with ExitStack() as stack:
        names: dict[str, str] = {}
        for one in found:
            copy = fetching.bring(one.place, one.found, endpoint.options.get("endpoint", ""))
            stack.callback(copy.close)
            names[str(copy.content)] = one.place.shown
            path = str(copy.content / one.name) if one.name else str(copy.content)
            resource, options = (path, options) if not one.option else (resource, options | {one.option: path})
        return Brought(Endpoint(endpoint.connector, resource, options), found, names, stack.pop_all())
