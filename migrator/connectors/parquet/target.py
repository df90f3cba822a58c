"""Writes an export: one file a chunk and namespace, staged, checked, published all at once with a manifest."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from migrator import endpoints
from migrator.connectors.parquet import encode, locks, naming, staging
from migrator.connectors.parquet import manifest as manifests
from migrator.connectors.parquet.manifest import Run
from migrator.connectors.parquet.places import S3_OPTIONS, place_of
from migrator.connectors.parquet.staging import StagedFile
from migrator.connectors.parquet.vectors import CODECS
from migrator.errors import ConfigError, PermanentError, PlanError, RejectedRecordsError
from migrator.failpoints import failpoint
from migrator.model import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from migrator.connectors.parquet.manifest import Entry
    from migrator.model import Collection, Endpoint, Plan

OPTIONS = S3_OPTIONS | {"compression", "overwrite"}
LONGEST_PART = 150
"""Bytes of a part's name; with count and digest it must stay below the 255 of a file name."""


class ParquetTarget:
    """A folder, or a bucket's prefix, that becomes a dataset when ``finish`` returns."""

    def __init__(self, endpoint: Endpoint) -> None:
        endpoints.check_options(endpoint, OPTIONS)
        self._compression = endpoint.options.get("compression", "none")
        if self._compression not in CODECS:
            raise ConfigError(f"compression={self._compression} is unknown", fix=f"use one of: {', '.join(CODECS)}", code="bad_option")
        self._overwrite = endpoints.flag(endpoint, "overwrite")
        self._place = place_of(endpoint)
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
        identity = manifests.identity(plan)
        if self._release is None:
            self._release = locks.hold(self._place, self._run or f"of plan {identity[:12]}")
        begun = self._begun()
        if begun is not None and begun.plan == identity:
            self._check_shape(begun, collection)
            self._complete_publication()
            return
        replaced = self._replaceable(begun)
        staging.clear(self._place)
        started = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        run = Run(identity, started, collection.name, collection.dimension, collection.metric, collection.id_type, tuple(replaced))
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

    def _check_shape(self, run: Run, collection: Collection) -> None:
        if (run.dimension, run.metric) != (collection.dimension, collection.metric):
            raise PlanError(
                f"{self._place.shown} holds an export of dimension {run.dimension} and metric {run.metric}, "
                f"the source has {collection.dimension} and {collection.metric}",
                fix="choose an empty folder",
                code="target_differs",
            )

    def _replaceable(self, begun: Run | None) -> list[str]:
        """Return the files of an earlier export that this one replaces; refuse a folder that holds anything else."""
        paths = [path for path in map(self._place.relative, self._place.listing()) if not locks.is_lock(path)]
        data = [path for path in paths if not path.startswith(f"{naming.STAGING_FOLDER}/") and path != manifests.MANIFEST]
        if not paths:
            return []
        if not self._overwrite:
            holds = "an export of another run" if begun else f"other files ({paths[0]})"
            raise PlanError(f"{self._place.shown} already holds {holds}", fix="choose an empty folder, or add overwrite=true", code="target_not_empty")
        foreign = [path for path in data if not path.endswith(".parquet")]
        if foreign:
            raise PlanError(
                f"{self._place.shown} holds {foreign[0]}, which overwrite=true will not remove", fix="choose an empty folder", code="target_not_empty"
            )
        return data

    def write(self, batch: pa.RecordBatch, part: str) -> None:
        """Stage ``batch`` as one file a namespace; whatever the same part staged before is replaced."""
        if len(part.encode()) > LONGEST_PART:
            raise PermanentError(f"part {part[:40]}… has a name longer than {LONGEST_PART} bytes", fix="report this as a fault of the source", code="bad_part")
        batch, rejected = _without_long_namespaces(batch)
        written = {self._stage(part, namespace, rows) for namespace, rows in encode.by_namespace(batch)}
        with self._lock:
            earlier = self._index().get(part, set())
            self._index()[part] = written
        # Only now: a kill before this line leaves both versions, and the newer one counts
        for file in earlier - written:
            self._place.remove(file.path)
        failpoint("parquet.part_staged")
        if rejected:
            raise RejectedRecordsError(f"{len(rejected)} records have a namespace too long for a folder name", rejected, fix="map the namespace to another")

    def _index(self) -> dict[str, set[StagedFile]]:
        if self._staged is None:
            self._staged = {}
            for file in staging.staged_files(self._place):
                self._staged.setdefault(file.part, set()).add(file)
        return self._staged

    def _stage(self, part: str, namespace: str, batch: pa.RecordBatch) -> StagedFile:
        pieces = encode.encode(batch, self._compression)
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
        file = StagedFile(part, namespace, batch.num_rows, digest.hexdigest(), sum(piece.size for piece in pieces))
        self._place.save(file.path, pieces)
        failpoint("parquet.file_staged")
        return file

    def keep(self, parts: Mapping[str, int]) -> None:
        """Drop what was written under other parts than ``parts``, and check that these still hold their number of records."""
        self._complete_publication()
        complete = manifests.load_manifest(self._place)
        published = complete.files if complete and self._own(complete.run) else ()
        staged = staging.newest(staging.staged_files(self._place))
        rewritten = {file.part for file in staged}
        held = Counter[str]()
        for part, count in [(file.part, file.records) for file in staged] + [(old.part, old.records) for old in published if old.part not in rewritten]:
            held[part] += count
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
