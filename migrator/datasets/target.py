"""Writes a dataset: the files of one chunk and namespace, staged, checked, published all at once with a manifest."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from migrator.datasets import locks, naming, retract, staging
from migrator.datasets import manifest as manifests
from migrator.datasets.manifest import Run
from migrator.datasets.staging import StagedFile
from migrator.errors import PermanentError, PlanError, RejectedRecordsError
from migrator.failpoints import failpoint

if TYPE_CHECKING:
    from collections import abc
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from migrator.datasets.manifest import Entry
    from migrator.datasets.places import Place
    from migrator.model import Collection, Plan, Rejected

LONGEST_PART = 150
"""Bytes of a part's name; with counts, digest and ending it must stay below the 255 of a file name."""


@dataclass(frozen=True)
class Piece:
    """Records of one namespace that are published together: as one file, or as a folder with one file a column."""

    namespace: str
    """The folder they lie in; "" also where the files themselves say the namespace of each record."""
    records: int
    files: abc.Mapping[str, abc.Sequence[pa.Buffer]]
    """Ending -> the file's bytes, one buffer after the other."""
    number: int = 0
    """Tells the pieces of one batch and namespace apart."""


class Format(Protocol):
    """How records become files."""

    @property
    def ending(self) -> str:
        """What the names of all data files end in."""

    def begin(self, collection: Collection, plan: Plan) -> Mapping[str, Any]:
        """Get ready for the records of ``plan``; return what the manifest is to say about the files beside their names.

        Raise ``PlanError`` for what these files cannot hold.
        """

    def encode(self, batch: pa.RecordBatch) -> tuple[Iterator[Piece], list[Rejected]]:
        """Return the pieces that ``batch`` becomes, and the records that these files cannot hold."""


ReadPiece: TypeAlias = "Callable[[Place, abc.Sequence[StagedFile], Collection], Iterator[pa.RecordBatch]]"
"""Yields the records of one piece, read back from all of its staged files."""


class DatasetTarget:
    """A folder, or a bucket's prefix, that becomes a dataset when ``finish`` returns."""

    def __init__(self, place: Place, form: Format, read: ReadPiece, *, overwrite: bool = False) -> None:
        self._place = place
        self._format = form
        self._read = read
        self._overwrite = overwrite
        self._lock = threading.Lock()
        self._staged: dict[str, set[StagedFile]] | None = None
        self._dropped: tuple[Entry, ...] = ()
        self._run = ""
        self._collection: Collection | None = None
        self._release: Callable[[], None] | None = None
        """Lets others write here."""

    def claim(self, run: str) -> None:
        self._run = run

    def prepare(self, collection: Collection, plan: Plan) -> None:
        """Begin an export, or recognise the one ``plan`` began before, finished or not.

        Raise ``PlanError`` when the folder holds anything else and ``overwrite=true`` was not given.
        """
        self._place.check()
        self._collection = collection
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
        pieces, rejected = self._format.encode(batch)
        written = {file for piece in pieces for file in self._stage(part, piece)}
        with self._lock:
            earlier = self._index().get(part, set())
            self._index()[part] = written
        # Only now: a kill before this line leaves both versions, and the newer one counts
        for file in earlier - written:
            self._place.remove(file.path)
        failpoint("dataset.part_staged")
        if rejected:
            raise RejectedRecordsError(rejected[0].message, rejected, fix="see the rejected records; the others are written")

    def _index(self) -> dict[str, set[StagedFile]]:
        if self._staged is None:
            self._staged = {}
            for file in staging.staged_files(self._place):
                self._staged.setdefault(file.part, set()).add(file)
        return self._staged

    def _stage(self, part: str, piece: Piece) -> Iterator[StagedFile]:
        for ending, buffers in piece.files.items():
            digest = hashlib.sha256()
            for buffer in buffers:
                digest.update(buffer)
            counted = (piece.number, piece.records, len(piece.files))
            file = StagedFile(part, piece.namespace, *counted, ending, digest.hexdigest(), sum(buffer.size for buffer in buffers))
            self._place.save(file.path, buffers)
            failpoint("dataset.file_staged")
            yield file

    def read_part(self, part: str) -> Iterator[pa.RecordBatch]:
        """Yield the records staged as ``part``, decoded from its files as they are on the disk or in the bucket now."""
        with self._lock:
            files = self._index().get(part, ())
        for piece in staging.by_piece(files):
            if self._collection is not None:
                yield from self._read(self._place, piece, self._collection)

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

    def published(self, plan: Plan) -> list[str]:
        """Return the files that are there of what a run of ``plan`` published."""
        return [entry.path for entry in retract.published(self._place, manifests.identity(plan))]

    def retract(self, plan: Plan) -> tuple[int, list[str]]:
        """Remove what a run of ``plan`` published or staged; return the number of files, and those left because they changed since."""
        release = locks.hold(self._place, self._run or f"of plan {manifests.identity(plan)[:12]}")
        try:
            return retract.retract(self._place, manifests.identity(plan))
        finally:
            release()

    def close(self) -> None:
        """Forget what is staged: it is on the disk, and so is everything the next process needs. Let others write here."""
        with self._lock:
            self._staged = None
            release, self._release = self._release, None
        if release is not None:
            release()
