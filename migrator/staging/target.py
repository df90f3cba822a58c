"""A target made of two: what is written goes to files, and finishing has the real target load them."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors import connector, opened_target
from migrator.errors import ConfigError, MigratorError, RejectedRecordsError
from migrator.failpoints import failpoint
from migrator.model import Rejected
from migrator.protocols import BulkLoader, BulkShaping, Claimable, Holding, PartKeeper, PartReader, Shapeable, StagingArea
from migrator.staging import load
from migrator.staging.notes import Notes
from migrator.staging.standing import StandingFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from migrator.model import Capabilities, Collection, Endpoint, LoadUnit, Plan
    from migrator.protocols import Target
    from migrator.staging.watch import Watch

IN_PLACE_BYTES = 32 << 20
"""Of vectors read at a time where the files are only read."""
ROW_BYTES = 64
"""About what a record has beside its vector."""


def area(staging: Endpoint) -> StagingArea:
    """Return the connector of ``staging``. Raise ``ConfigError`` when no other store could load its files."""
    found = connector(staging.connector)
    if not isinstance(found, StagingArea):
        message = f"files for a bulk load cannot be staged in {staging.connector}"
        raise ConfigError(message, fix="give --staging parquet:s3://bucket/prefix", code="staging_unsuitable")
    return found


def capabilities_of(plan: Plan) -> Capabilities:
    """Return what the plan's target can hold and how to write to it.

    Where files come between, or are written for a store to load them later, records are that store's, and writes the files'.
    """
    store, where = (plan.shaped_for, plan.target) if plan.shaped_for is not None else (plan.target, plan.staging)
    target = connector(store.connector).capabilities(store)
    if where is None:
        return target
    files = connector(where.connector).capabilities(where)
    longest = [limit for limit in (target.max_namespace_bytes, files.max_namespace_bytes) if limit is not None]
    return replace(
        target,
        batch_records=files.batch_records,
        batch_bytes=IN_PLACE_BYTES if plan.in_place else files.batch_bytes,
        max_batch_bytes=files.max_batch_bytes,
        concurrent_writes=files.concurrent_writes,
        max_namespace_bytes=min(longest, default=None),
    )


def records_of(plan: Plan) -> int:
    """Return how many rows a chunk has."""
    if plan.batch:
        return plan.batch
    capabilities = capabilities_of(plan)
    if capabilities.batch_bytes is None or plan.collection is None:
        return capabilities.batch_records
    return max(1, min(capabilities.batch_records, capabilities.batch_bytes // (4 * plan.collection.dimension + ROW_BYTES)))


def opened(plan: Plan, watch: Watch) -> closing[Target]:
    """Open both ends of a staged plan for writing, for a ``with`` block."""
    if plan.staging is None:
        raise ConfigError("the staged route needs a place for its files", fix="add --staging parquet:s3://bucket/prefix", code="staging_missing")
    files = area(plan.staging)
    with ExitStack() as stack:
        standing = closing(cast("Target", StandingFiles(files, plan.staging, watch.log)))
        staging = stack.enter_context(standing if plan.in_place else opened_target(plan.staging))
        target = stack.enter_context(opened_target(plan.target))
        if not isinstance(target, BulkLoader) or not isinstance(staging, PartKeeper):
            raise ConfigError(f"{plan.target.connector} cannot load files by itself", fix="use --route direct", code="route_unavailable")
        at_once = connector(plan.target.connector).capabilities(plan.target).concurrent_loads
        both = StagedTarget(staging, cast("Target", target), files, plan.staging, watch, at_once=at_once)
        stack.pop_all()  # what was opened is closed by ``both`` from here on
        return closing(cast("Target", both))


def shape(target: object, store: Endpoint, collection: Collection, plan: Plan) -> None:
    """Have files written in the columns that ``store`` loads, where it has any of its own; called before their ``prepare``."""
    shaping = connector(store.connector)
    if isinstance(shaping, BulkShaping) and isinstance(target, Shapeable):
        target.shape_with(shaping.shaper(store, collection, plan))


def abandon(plan: Plan, note: Path, log: Callable[[str, str], None]) -> None:
    """End what a cancelled run that nobody drives left going on at the store, as far as ``note`` tells; the log says what came of it."""
    if plan.staging is None or not note.exists() or Notes.read(note).done:
        return
    try:
        with opened_target(plan.target) as target:
            if isinstance(target, BulkLoader):
                for job in load.left_behind(target, area(plan.staging).units(plan.staging), note):
                    load.cancel(target, job, log)
    except MigratorError as error:  # it is cancelled all the same
        log("warning", f"the target cannot be asked to end an import, which may go on there: {error.message}")


class StagedTarget:
    """Writes to the staging area; ``finish`` completes its files, has the target load them, and finishes the target."""

    def __init__(self, staging: PartKeeper, target: Target, files: StagingArea, where: Endpoint, watch: Watch, *, at_once: int) -> None:
        self._staging = cast("Target", staging)
        self._keeper = staging
        self._target = target
        self._files = files
        self._where = where
        self._watch = watch
        self._at_once = at_once
        self._staged = 0

    @property
    def _loaded(self) -> bool:
        """Whether the files have done their work: they may be gone by now."""
        return Notes.read(self._watch.note).done

    def claim(self, run: str) -> None:
        if isinstance(self._staging, Claimable):
            self._staging.claim(run)

    def prepare(self, collection: Collection, plan: Plan) -> None:
        """Prepare both; the files first, as an occupied folder must not leave a new index behind."""
        if not self._loaded:
            shape(self._staging, plan.target, collection, plan)
            self._staging.prepare(collection, plan)
        self._target.prepare(collection, plan)

    def write(self, batch: pa.RecordBatch, part: str) -> None:
        """Write ``batch`` to the files. Records of a namespace that no folder can be named after are refused: they would be loaded into another."""
        column = batch.column("namespace")
        misspelt = [name for name in pc.unique(column).to_pylist() if not self._files.spells(name)]
        if not misspelt:
            self._staging.write(batch, part)
            return
        refused = pc.is_in(column, pa.array(misspelt, pa.string()))
        self._staging.write(batch.filter(pc.invert(refused)), part)
        message = "a bulk load takes the folder's name for the namespace, and no folder can have this one's"
        rejected = [Rejected(row["namespace"], row["id"], "namespace_unspellable", "namespace", message) for row in batch.filter(refused).to_pylist()]
        raise RejectedRecordsError(f"{len(rejected)} records have a namespace that no folder can be named after", rejected, fix="use --route direct for them")

    def read_part(self, part: str) -> Iterator[pa.RecordBatch]:
        """Yield the records of the files of ``part``: the target itself has none of them before they are loaded."""
        if not isinstance(self._staging, PartReader):
            raise ConfigError("the staged files cannot be read back before they are loaded", fix="leave out --verify-batches", code="batches_unreadable")
        return self._staging.read_part(part)

    def keep(self, parts: Mapping[str, int]) -> None:
        """Drop the files of other parts than ``parts``."""
        if not self._loaded:
            self._staged = sum(parts.values())
            self._keeper.keep(parts)

    def finish(self) -> None:
        """Complete the files, have them loaded, and make the target ready. Safe twice: what was loaded is not loaded again."""
        if not self._loaded:
            self._staging.finish()
            failpoint("staging.files_complete")
            if self._staged:
                self._load(cast("BulkLoader", self._target))
        self._target.finish()
        notes = Notes.read(self._watch.note)
        if not notes.done:
            notes.done = True
            notes.save()

    def _load(self, loader: BulkLoader) -> None:
        def arrived(unit: LoadUnit) -> bool | None:
            return loader.holds(unit, self._files.some_ids(self._where, unit)) if isinstance(loader, Holding) else None

        records = load.load(loader, self._files.units(self._where), self._watch, self._at_once, arrived)
        failpoint("staging.load_done")
        counted = f"the target says it loaded {records:,} records, {self._staged:,} were staged"
        self._watch.log("info" if records == self._staged else "warning", counted)

    def close(self) -> None:
        """Close both. Safe twice."""
        with closing(self._staging):
            self._target.close()
