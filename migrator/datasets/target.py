"""Writes a dataset: the files of one chunk and namespace, staged, checked, published all at once with a manifest."""

from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from migrator.datasets import locks, naming, staging
from migrator.datasets import manifest as manifests
from migrator.datasets.manifest import Run
from migrator.datasets.staging import StagedFile
from migrator.errors import PermanentError, PlanError, RejectedRecordsError
from migrator.failpoints import failpoint
from migrator.model import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from migrator.datasets.manifest import Entry
    from migrator.datasets.places import Place
    from migrator.model import Collection, Plan

LONGEST_PART = 150
"""Bytes of a part's name; with counts, digest and ending it must stay below the 255 of a file name."""


class Format(Protocol):
    """How records become files."""

    @property
    def ending(self) -> str:
        """What the names of all data files end in."""

    def begin(self, collection: Collection, plan: Plan) -> Mapping[str, Any]:
        """Get ready for the records of ``plan``; return what the manifest is to say about the files beside their names."""

    def encode(self, batch: pa.RecordBatch) -> Iterator[tuple[str, int, Mapping[str, Sequence[pa.Buffer]]]]:
        """Yield a namespace, its records, and of each file its ending and its bytes, in pieces."""


class DatasetTarget:
    """A folder, or a bucket's prefix, that becomes a dataset when ``finish`` returns."""

    def __init__(self, place: Place, form: Format, *, overwrite: bool = False) -> None:
        self._place = place
        self._format = form
        self._overwrite = overwrite
        self._lock = threading.Lock()
        self._staged: dict[str, set[StagedFile]] | None = None
        self._dropped: tuple[Entry, ...] = ()
        self._run = ""
        self._release: Callable[[], None] | None = None
        """Lets others write here."""

    def claim(self, run: str) -> None:
        self._run = run

    def prepare(self, collection: Collection, plan: Plan) -> None:
        """Begin an export, or recognise the one ``plan`` began before, finished or not.

        Raise ``PlanError`` when the folder holds anything else and ``overwrite=true`` was not given.
        """
        self._place.check()
        self._check_namespaces(collection)
        columns = self._format.begin(collection, plan)
        identity = manifests.identity(plan)
        if self._release is None:
            self._release = locks.hold(self._place, self._run or f"of plan {identity[:12]}")
        begun = self._begun()
        if begun is not None and begun.plan == identity:
            self._check_shape(begun, collection, columns)
            self._complete_publication()
            return
        replaced = self._replaceable(begun)
        staging.clear(self._place)
        started = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        shape = (collection.dimension, collection.metric, collection.id_type)
        run = Run(identity, started, collection.name, *shape, tuple(replaced), columns)
        manifests.save_run(self._place, run)

    def _begun(self) -> Run | None:
        unfinished = manifests.load_run(self._place)
        if unfinished is not None:
            return unfinished
        complete = manifests.load_manifest(self._place)
        return None if complete is None else complete.run

    def _check_namespaces(self, collection: Collection) -> None:
        for namespace in collection.namespaces:
            if not naming.fits(namespace):
                raise PlanError(
                    f"namespace {namespace[:40]!r}… is too long for a folder name of {naming.LONGEST_NAME} bytes",
                    fix="map it to another with --target-namespace",
                    code="namespace_too_long",
                )

    def _check_shape(self, run: Run, collection: Collection, columns: Mapping[str, Any]) -> None:
        if (run.dimension, run.metric) != (collection.dimension, collection.metric):
            raise PlanError(
                f"{self._place.shown} holds an export of dimension {run.dimension} and metric {run.metric}, "
                f"the source has {collection.dimension} and {collection.metric}",
                fix="choose an empty folder",
                code="target_differs",
            )
        if dict(run.columns) != dict(columns):
            message = f"{self._place.shown} holds files with other columns than this run would write"
            raise PlanError(message, fix="choose an empty folder", code="target_differs")

    def _replaceable(self, begun: Run | None) -> list[str]:
        """Return the files of an earlier export that this one replaces; refuse a folder that holds anything else."""
        paths = [path for path in map(self._place.relative, self._place.listing()) if not locks.is_lock(path)]
        data = [path for path in paths if not path.startswith(f"{naming.STAGING_FOLDER}/") and path != manifests.MANIFEST]
        if not paths:
            return []
        if not self._overwrite:
            holds = "an export of another run" if begun else f"other files ({paths[0]})"
            raise PlanError(f"{self._place.shown} already holds {holds}", fix="choose an empty folder, or add overwrite=true", code="target_not_empty")
        foreign = [path for path in data if not path.endswith(self._format.ending)]
        if foreign:
            raise PlanError(
                f"{self._place.shown} holds {foreign[0]}, which overwrite=true will not remove", fix="choose an empty folder", code="target_not_empty"
            )
        return data

    def write(self, batch: pa.RecordBatch, part: str) -> None:
        """Stage ``batch``, the files of each namespace for themselves; whatever the same part staged before is replaced."""
        if len(part.encode()) > LONGEST_PART:
            raise PermanentError(f"part {part[:40]}… has a name longer than {LONGEST_PART} bytes", fix="report this as a fault of the source", code="bad_part")
        batch, rejected = _without_long_namespaces(batch)
        written = {file for namespace, records, files in self._format.encode(batch) for file in self._stage(part, namespace, records, files)}
        with self._lock:
            earlier = self._index().get(part, set())
            self._index()[part] = written
        # Only now: a kill before this line leaves both versions, and the newer one counts
        for file in earlier - written:
            self._place.remove(file.path)
        failpoint("dataset.part_staged")
        if rejected:
            raise RejectedRecordsError(f"{len(rejected)} records have a namespace too long for a folder name", rejected, fix="map the namespace to another")

    def _index(self) -> dict[str, set[StagedFile]]:
        if self._staged is None:
            self._staged = {}
            for file in staging.staged_files(self._place):
                self._staged.setdefault(file.part, set()).add(file)
        return self._staged

    def _stage(self, part: str, namespace: str, records: int, files: Mapping[str, Sequence[pa.Buffer]]) -> Iterator[StagedFile]:
        for ending, pieces in files.items():
            digest = hashlib.sha256()
            for piece in pieces:
                digest.update(piece)
            file = StagedFile(part, namespace, records, len(files), ending, digest.hexdigest(), sum(piece.size for piece in pieces))
            self._place.save(file.path, pieces)
            failpoint("dataset.file_staged")
            yield file

    def keep(self, parts: Mapping[str, int]) -> None:
        """Drop what was written under other parts than ``parts``, and check that these still hold their number of records."""
        self._complete_publication()
        complete = manifests.load_manifest(self._place)
        published = complete.files if complete and self._own(complete.run) else ()
        staged = staging.newest(staging.staged_files(self._place))
        held = staging.records_of(staged)
        held.update(manifests.records_of(entry for entry in published if entry.part not in held))
        for part, count in parts.items():
            if held[part] != count:
                raise PermanentError(
                    f"part {part} in {self._place.shown} holds {held[part]} records, {count} were written",
                    fix="someone changed the folder: run the migration again into an empty one",
                    code="staging_lost",
                )
        for file in staging.staged_files(self._place):
            if file.part not in parts:
                self._place.remove(file.path)
        self._dropped = tuple(entry for entry in published if entry.part not in parts)
        with self._lock:
            self._staged = None

    def _own(self, run: Run) -> bool:
        """Whether the manifest found belongs to the run that is being written, not to the one it replaces."""
        begun = manifests.load_run(self._place)
        return begun is None or (begun.plan, begun.started) == (run.plan, run.started)

    def _complete_publication(self) -> None:
        if begun := manifests.load_publication(self._place):
            staging.carry_out(self._place, *begun)

    def finish(self) -> None:
        """Give every staged file its final name and write ``manifest.json``."""
        self._complete_publication()
        complete = manifests.load_manifest(self._place)
        run = manifests.load_run(self._place) or (complete.run if complete else None)
        if run is None:
            raise PermanentError(f"{self._place.shown} holds no export to finish", fix="start the run again", code="staging_lost")
        published = complete.files if complete and self._own(complete.run) else ()
        staged = staging.newest(staging.staged_files(self._place))
        if staged or self._dropped or complete is None or not self._own(complete.run):
            staging.publish(self._place, run, staged, published, self._dropped)
        with self._lock:
            self._staged, self._dropped = None, ()

    def close(self) -> None:
        """Forget what is staged: it is on the disk, and so is everything the next process needs. Let others write here."""
        with self._lock:
            self._staged = None
            release, self._release = self._release, None
        if release is not None:
            release()


def _without_long_namespaces(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Rejected]]:
    long = [namespace for namespace in pc.unique(batch.column("namespace")).to_pylist() if not naming.fits(namespace)]
    if not long:
        return batch, []
    refused = pc.is_in(batch.column("namespace"), pa.array(long, pa.string()))
    message = f"its folder name would be longer than {naming.LONGEST_NAME} bytes"
    rows = batch.select(["namespace", "id"]).filter(refused).to_pylist()
    return batch.filter(pc.invert(refused)), [Rejected(row["namespace"], row["id"], "namespace_too_long", "namespace", message) for row in rows]


def by_namespace(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield each namespace of ``batch`` with its records, which keep their order."""
    column = batch.column("namespace")
    for namespace in pc.unique(column).to_pylist():
        chosen = pc.equal(column, pa.scalar(namespace, pa.string()))
        yield namespace, batch if pc.all(chosen).as_py() else batch.filter(chosen)
