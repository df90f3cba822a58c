"""The error tree: every failure a user can meet, with its code, its cure and its exit code.

    MigratorError
    ├── ConfigError             an endpoint, option or file the user gave is wrong
    ├── PlanError               the plan cannot run as it stands (a blocking Finding)
    ├── ConnectorError          a store said no
    │   ├── TransientError          try again
    │   │   └── RateLimitedError        try again after ``retry_after`` seconds
    │   └── PermanentError          trying again changes nothing
    │       ├── RejectedRecordsError    some records of a batch, each named
    │       └── UnreadableSourceError   the source's own bytes are truncated, foreign or hostile
    ├── LedgerError             the run's own bookkeeping is unreadable or was altered
    └── RunBusyError            another process runs it

Only connectors raise ``ConnectorError``; each has one place where its SDK's errors become these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.model import Rejected


class MigratorError(Exception):
    """Anything that goes wrong in a way the user can understand and act on.

    ``message`` is one sentence naming the record or option, ``fix`` one sentence saying what to do next,
    ``code`` a stable identifier for scripts.
    """

    default_code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, fix: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.code = code or self.default_code

    def to_json(self) -> dict[str, str]:
        """Return ``{"code", "message", "fix"}``, the shape printed under ``error`` by ``--json``."""
        return {"code": self.code, "message": self.message, "fix": self.fix}


class ConfigError(MigratorError):
    default_code = "bad_configuration"
    exit_code = 2


class PlanError(MigratorError):
    default_code = "plan_blocked"
    exit_code = 2


class ConnectorError(MigratorError):
    default_code = "store_error"


class TransientError(ConnectorError):
    default_code = "store_unavailable"


class RateLimitedError(TransientError):
    default_code = "rate_limited"

    def __init__(self, message: str, *, retry_after: float | None = None, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.retry_after = retry_after
        """Seconds the store asked us to wait, or None when it did not say."""


class PermanentError(ConnectorError):
    default_code = "store_refused"


class RejectedRecordsError(PermanentError):
    """The store refused some records of a batch; the others of that batch are written."""

    default_code = "records_rejected"

    def __init__(self, message: str, rejected: Sequence[Rejected], *, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.rejected = tuple(rejected)


class UnreadableSourceError(PermanentError):
    """The source's bytes cannot be read: truncated, another format, or hostile. Nothing was written."""

    default_code = "unreadable_source"
    exit_code = 2


class LedgerError(MigratorError):
    default_code = "ledger_error"


class RunBusyError(MigratorError):
    default_code = "run_busy"
    exit_code = 75
