"""Files that are there already, as the staging side of a staged run: what is written to them is only counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.errors import PermanentError, PlanError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from migrator.model import Collection, ColumnRoles, Endpoint, Plan
    from migrator.protocols import Shaper, StagingArea


class StandingFiles:
    """A staging area that an earlier dump filled."""

    def __init__(self, files: StagingArea, where: Endpoint, log: Callable[[str, str], None]) -> None:
        self._files = files
        self._where = where
        self._log = log
        self._fitting = 0
        self._run = ""
        self._release: Callable[[], None] | None = None
        """Lets others load them."""

    def claim(self, run: str) -> None:
        self._run = run

    def shape_with(self, shaper: Shaper) -> None:
        """Raise ``PlanError`` unless the files have the columns of ``shaper``."""
        found = self._files.columns(self._where)
        if found is not None and found != shaper.roles:
            message = f"the files of {self._where.resource} hold {_told(found)}, and the target loads {_told(shaper.roles)}"
            raise PlanError(
                message, fix="dump again for this target, or name its fields with id_field=, vector_field=, namespace_field=", code="columns_differ"
            )

    def prepare(self, collection: Collection, plan: Plan) -> None:  # noqa: ARG002 (the files are there)
        """Keep others from loading the same files meanwhile, which would double every record. Raise ``RunBusyError`` when another run does."""
        if self._release is not None:
            return
        try:
            self._release = self._files.hold(self._where, self._run)
        except PermanentError as error:  # whoever may only read them can load them
            self._log("warning", f"nothing keeps another run from loading the files of {self._where.resource} at the same time: {error.message}")

    def write(self, batch: pa.RecordBatch, part: str) -> None:
        """Do nothing: the records are there."""

    def keep(self, parts: Mapping[str, int]) -> None:
        """Count the records that the target can hold."""
        self._fitting = sum(parts.values())

    def finish(self) -> None:
        """Raise ``PermanentError`` when the files hold others as well: a bulk load takes whole files."""
        held = sum(unit.records for unit in self._files.units(self._where))
        if held != self._fitting:
            message = f"the files of {self._where.resource} hold {held:,} records, and {self._fitting:,} of them are fit for the target"
            raise PermanentError(message, fix="look at the rejected records; dump again with the same plan, which leaves them out", code="files_unfit")

    def close(self) -> None:
        """Let others load them. Safe twice."""
        release, self._release = self._release, None
        if release is not None:
            release()


def _told(roles: ColumnRoles) -> str:
    return ", ".join(f"{role} in {name}" for role, name in roles.to_json().items() if role != "reserved")
