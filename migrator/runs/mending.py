"""Makes single records of a target what the source says they should be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from migrator.errors import PlanError
from migrator.failpoints import failpoint
from migrator.follow.undo_log import NAMES
from migrator.protocols import Deletable
from migrator.runs import undoing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.pipeline.prepare import Prepared
    from migrator.pipeline.write import Writer
    from migrator.protocols import Source, Target
    from migrator.runs.context import Attempt
    from migrator.runs.expected import Expected


@dataclass
class Tally:
    """What a repair has done."""

    copied: int = 0
    deleted: int = 0
    rejected: int = 0
    """Records that the target cannot hold, or refused."""
    left: int = 0
    """Records of the target that stay: extra ones whose deletion nobody asked for, and those the plan's rule for conflicts keeps."""
    gone: int = 0
    """Records that the source does not have any more."""

    def sentence(self) -> str:
        """Return all of it as one sentence."""
        said = f"repaired: {self.copied:,} records copied again, {self.deleted:,} deleted"
        said += f"; {self.rejected:,} cannot be written" if self.rejected else ""
        said += f"; {self.gone:,} are not in the source any more" if self.gone else ""
        return said + (f"; {self.left:,} stay in the target, because nobody asked to delete or overwrite them" if self.left else "")


@dataclass
class Mender:
    """Mends differences, some at a time."""

    attempt: Attempt
    expected: Expected
    target: Target
    write: Writer
    present: Source
    """The target, to look at what is deleted."""
    delete_extra: bool
    tally: Tally = field(default_factory=Tally)
    touched: set[str] = field(default_factory=set)
    _parts: int = 0

    def mend(self, differences: Sequence[Mapping[str, Any]]) -> None:
        """Mend ``differences``, lines of a proof's list. Safe twice."""
        for namespace in sorted({line["namespace"] for line in differences}):
            ids: dict[str, list[str]] = {"missing": [], "changed": [], "extra": [], "duplicate": []}
            for line in differences:
                if line["namespace"] == namespace:
                    ids[line["class"]].append(line["id"])
            self._mend(namespace, ids)

    def _mend(self, namespace: str, ids: Mapping[str, Sequence[str]]) -> None:
        """Delete first: where an id can be in one namespace only, deleting it afterwards could take what was just written."""
        wanted = [*ids["missing"], *ids["changed"], *ids["duplicate"]]
        found = list(self.expected(wanted, namespace)) if wanted else []
        there = {name for prepared in found for name in prepared.batch.column("id").to_pylist()}
        refused = {record.id for prepared in found for record in prepared.rejected}
        strange = [*ids["extra"], *(name for name in ids["duplicate"] if name not in there and name not in refused)]
        self.tally.gone += sum(name not in there and name not in refused for name in (*ids["missing"], *ids["changed"]))
        self.tally.left += 0 if self.delete_extra else len(strange)
        self._delete([*(strange if self.delete_extra else ()), *(name for name in ids["duplicate"] if name in there)], namespace)
        self.tally.deleted += len(strange) if self.delete_extra else 0
        for prepared in found:
            self._write(prepared)

    def _delete(self, ids: Sequence[str], namespace: str) -> None:
        if not ids:
            return
        target = self.target
        if not isinstance(target, Deletable):
            raise PlanError("the target cannot delete records", fix="copy anew, as another run", code="deletes_unsupported")
        self._note(ids, namespace)
        self.touched.add(namespace)
        failpoint("before_delete")
        self.attempt.patiently("deleting from the target", lambda: target.delete(ids, namespace))
        failpoint("after_delete")

    def _note(self, ids: Sequence[str], namespace: str) -> None:
        """Log what is about to be deleted, as far as it was there before the run."""
        known = undoing.before(self.attempt.ledger, self.attempt.run)
        if self.write.undo is None or known is None or not known["records"] or not self.write.occupied(namespace):
            return
        there = self.attempt.patiently("looking at what is to be deleted", lambda: self.present.fetch(ids, namespace))
        if len(there):
            self.write.undo(pa.RecordBatch.from_pylist([], NAMES), there)

    def _write(self, prepared: Prepared) -> None:
        self._parts += 1
        before = len(prepared.rejected)
        if before:
            self.attempt.log("warning", f"{prepared.rejected[0].id!r} cannot be written: {prepared.rejected[0].message}")
        if len(prepared.batch):
            failpoint("before_write")
            prepared = self.write(prepared, f"repair.{self._parts}")
            failpoint("after_write")
            self.touched.update(prepared.digests)
        self.tally.copied += len(prepared.batch)
        self.tally.rejected += len(prepared.rejected)
        self.tally.left += prepared.present
