"""The plain data every part speaks in: endpoints, collections, plans, counts, findings, differences."""

from migrator.model.columns import ColumnRoles
from migrator.model.costs import Bill, Charge, Figure, Move, PriceList
from migrator.model.mapping import FieldPlace, FieldStats, SampleStats, TargetShape
from migrator.model.plan import Changes, Follow, IdEncoding, Mapping, NamespaceEncoding, OnConflict, OnDuplicate, Plan, Selection
from migrator.model.proof import Difference, DifferenceClass, Level, NamespaceCounts, Scope, Tolerance
from migrator.model.scan import COUNT_NAMES, Chunk, Counts, Rejected, Split
from migrator.model.stores import (
    DEFAULT_NAMESPACE,
    Address,
    Capabilities,
    Collection,
    Endpoint,
    Finding,
    IdType,
    LoadProgress,
    LoadUnit,
    Metric,
    Severity,
    Step,
    StoredFile,
)

__all__ = [
    "COUNT_NAMES",
    "DEFAULT_NAMESPACE",
    "Address",
    "Bill",
    "Capabilities",
    "Changes",
    "Charge",
    "Chunk",
    "Collection",
    "ColumnRoles",
    "Counts",
    "Difference",
    "DifferenceClass",
    "Endpoint",
    "FieldPlace",
    "FieldStats",
    "Figure",
    "Finding",
    "Follow",
    "IdEncoding",
    "IdType",
    "Level",
    "LoadProgress",
    "LoadUnit",
    "Mapping",
    "Metric",
    "Move",
    "NamespaceCounts",
    "NamespaceEncoding",
    "OnConflict",
    "OnDuplicate",
    "Plan",
    "PriceList",
    "Rejected",
    "SampleStats",
    "Scope",
    "Selection",
    "Severity",
    "Split",
    "Step",
    "StoredFile",
    "TargetShape",
    "Tolerance",
]
