"""The staged route: records are written as files first, which the target then loads by its own bulk path."""

from migrator.staging.findings import loaded_from, staged_findings
from migrator.staging.halves import half
from migrator.staging.target import StagedTarget, abandon, capabilities_of, opened, records_of, shape
from migrator.staging.watch import Watch

__all__ = ["StagedTarget", "Watch", "abandon", "capabilities_of", "half", "loaded_from", "opened", "records_of", "shape", "staged_findings"]
