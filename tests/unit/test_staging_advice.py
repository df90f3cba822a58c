"""Which route a plan advises: what was measured for so many records."""

from __future__ import annotations

import pytest

from migrator.endpoints import parse
from migrator.model import Collection, Plan
from migrator.staging import staged_findings

SERVER = "milvus:new?uri=http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("target", "records", "advised"),
    [(SERVER, 200_000, True), (SERVER, 199_999, False), ("milvus:new?uri=./x.db", 200_000, False), ("parquet:out", 200_000, False)],
)
def test_files_are_advised_for_many_records_where_the_target_loads_them(target, records, advised):
    plan = Plan(parse("memory:a"), parse(target))
    found = [finding.code for finding in staged_findings(plan, Collection("a", 768, "cosine", "string", {"": records}), None, [])]
    assert ("staged_pays" in found) is advised
