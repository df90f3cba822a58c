"""What an export says about itself: ``manifest.json`` when it is complete, ``_staging/run.json`` while it is being written."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

import migrator
from migrator import endpoints, records, secrets
from migrator.datasets.failures import unreadable
from migrator.datasets.naming import STAGING_FOLDER
from migrator.model import StoredFile

if TYPE_CHECKING:
    from collections import abc
    from collections.abc import Iterable, Iterator, Sequence

    from migrator.datasets.places import Place
    from migrator.model import IdType, Metric, Plan

MANIFEST = "manifest.json"
RUN = f"{STAGING_FOLDER}/run.json"
PUBLICATION = f"{STAGING_FOLDER}/publication.json"
FORMAT = 1


@dataclass(frozen=True)
class Run:
    """The run an export belongs to."""

    plan: str
    """Digest of what decides which records are written in which parts."""
    started: str
    """``2025-07-10T21-14-03Z``; begins every file name of the run."""
    name: str
    dimension: int
    metric: Metric | None
    id_type: IdType
    replaces: tuple[str, ...] = ()
    """Files of an earlier export, removed when this one is published (overwrite=true)."""
    columns: abc.Mapping[str, Any] = field(default_factory=dict)
    """What the files' columns hold, where their names do not say it."""


@dataclass(frozen=True)
class Entry:
    """One published file."""

    path: str
    namespace: str
    part: str
    records: int
    bytes: int
    sha256: str
    piece: int = 0
    """Tells the pieces of one part and namespace apart."""


@dataclass(frozen=True)
class Manifest:
    """A complete export."""

    run: Run
    files: tuple[Entry, ...] = ()

    @cached_property
    def by_path(self) -> dict[str, Entry]:
        """The files by their path."""
        return {entry.path: entry for entry in self.files}

    def dump(self) -> pa.Buffer:
        """Return the JSON text, indented for readers."""
        run = asdict(self.run)
        del run["replaces"]
        if not run["columns"]:
            del run["columns"]
        content = {
            "format": FORMAT,
            "tool": f"vector-migrator {migrator.__version__}",
            **run,
            "records": records_of(self.files).total(),
            "bytes": sum(entry.bytes for entry in self.files),
            "namespaces": self.namespaces(),
            "files": [asdict(entry) for entry in self.files],
        }
        return pa.py_buffer(orjson.dumps(content, option=orjson.OPT_INDENT_2))

    def namespaces(self) -> dict[str, int]:
        """Return the records of each namespace."""
        counts = Counter[str]()
        for (_, namespace, _), held in _counted(self.files).items():
            counts[namespace] += held
        return dict(counts)


def records_of(files: Iterable[Entry]) -> Counter[str]:
    """Return the records of each part: those of a piece once, however many files hold them together."""
    counts = Counter[str]()
    for (part, *_), held in _counted(files).items():
        counts[part] += held
    return counts


def stored_files(place: Place, data: Iterable[tuple[str, int, str | None]], *, listed: bool) -> Iterator[StoredFile]:
    """Yield the data files, given by path, bytes and ``sha256``; then the manifest, if they are ``listed`` in one."""
    for path, size, sha256 in data:
        yield StoredFile(path, place.show(path), size, sha256)
    if listed and (content := place.load(MANIFEST)) is not None:
        yield StoredFile(MANIFEST, place.show(MANIFEST), len(content), hashlib.sha256(content).hexdigest())


def _counted(files: Iterable[Entry]) -> dict[tuple[str, str, int], int]:
    return {(entry.part, entry.namespace, entry.piece): entry.records for entry in files}


def identity(plan: Plan) -> str:
    """Return a digest of what decides which records a run of ``plan`` writes in which parts; secrets play no role."""
    source = replace(plan.source, options={name: value for name, value in plan.source.options.items() if name not in secrets.SECRET_OPTIONS})
    deciding = [endpoints.render(source), asdict(plan.selection), asdict(plan.mapping), plan.batch, plan.new_only]
    return hashlib.sha256(records.dump_json(deciding).encode()).hexdigest()


def load_manifest(place: Place) -> Manifest | None:
    """Return the manifest of ``place``, or None. Raise ``UnreadableSourceError`` when there is one that is not ours."""
    content = _load(place, MANIFEST)
    if content is None:
        return None
    try:
        if content["format"] != FORMAT:
            raise unreadable(place.show(MANIFEST), f"format {content['format']} is not {FORMAT}")
        run = _run({**content, "replaces": ()})
        return Manifest(run, tuple(_entry(entry) for entry in content["files"]))
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable(place.show(MANIFEST), f"it lacks or garbles {error}") from error


def load_run(place: Place) -> Run | None:
    """Return the unfinished run of ``place``, or None."""
    content = _load(place, RUN)
    return None if content is None else _run(content)


def save_run(place: Place, run: Run) -> None:
    place.save(RUN, [pa.py_buffer(orjson.dumps(asdict(run)))])


def load_publication(place: Place) -> tuple[Manifest, dict[str, str], list[str]] | None:
    """Return a publication begun and not completed: its manifest, the moves and the removals still to make."""
    content = _load(place, PUBLICATION)
    if content is None:
        return None
    manifest = Manifest(_run(content["run"]), tuple(_entry(entry) for entry in content["files"]))
    return manifest, content["moves"], content["removals"]


def save_publication(place: Place, manifest: Manifest, moves: dict[str, str], removals: Sequence[str]) -> None:
    content = {"run": asdict(manifest.run), "files": [asdict(entry) for entry in manifest.files], "moves": moves, "removals": removals}
    place.save(PUBLICATION, [pa.py_buffer(orjson.dumps(content))])


def _load(place: Place, path: str) -> Any:
    raw = place.load(path)
    if raw is None:
        return None
    try:
        found = records.parse_json(raw)
    except ValueError as error:
        raise unreadable(place.show(path), f"it is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise unreadable(place.show(path), "it is no JSON object")
    return found


def _run(content: dict[str, Any]) -> Run:
    later = {"replaces": tuple(content["replaces"]), "columns": content.get("columns", {})}
    run = Run(**{name: content[name] for name in Run.__dataclass_fields__ if name not in later}, **later)
    if not isinstance(run.dimension, int) or run.dimension < 0:
        raise ValueError("dimension")
    return run


def _entry(content: dict[str, Any]) -> Entry:
    entry = Entry(**content)
    parts = entry.path.split("/")
    if ".." in parts or "" in parts or not re.fullmatch(r"[0-9a-f]{64}", entry.sha256) or not isinstance(entry.records, int):
        raise ValueError(f"file {entry.path!r}")
    return entry
