"""The staged route: records are written as files first, which the target then loads by its own bulk path."""

from migrator.staging.findings import staged_findings
from migrator.staging.halves import half
from migrator.staging.load import Watch
from migrator.staging.target import StagedTarget, abandon, capabilities_of, opened, records_of, shape

__all__ = ["StagedTarget", "Watch", "abandon", "capabilities_of", "half", "opened", "records_of", "shape", "staged_findings"]
