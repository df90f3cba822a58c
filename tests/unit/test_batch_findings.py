"""What a plan says of the batches it has read back, by route and target."""

from __future__ import annotations

import pytest

from migrator.batch_findings import SHARE, added, batch_findings
from migrator.endpoints import parse
from migrator.model import Capabilities, Plan

DIRECT = Plan(parse("memory:a"), parse("memory:b"), verify_batches=True)
STAGED = DIRECT.with_(target=parse("pinecone:b"), route="staged", staging=parse("parquet:./files"))
IN_PLACE = STAGED.with_(source=parse("parquet:./files"))


@pytest.mark.parametrize(
    ("plan", "merges", "code", "share"),
    [
        (DIRECT, True, "batches_read_back", 1.0),
        (DIRECT.with_(target=parse("numpy:./out")), False, "batches_read_from_files", SHARE["numpy"]),
        (STAGED, True, "batches_read_from_files", SHARE["parquet"]),
        (IN_PLACE, True, "batches_not_written", 0.0),
    ],
    ids=["direct", "files", "staged", "in place"],
)
def test_what_is_read_back_is_said(plan, merges, code, share):
    assert [(finding.severity, finding.code) for finding in batch_findings(plan, Capabilities(merges=merges))] == [("info", code)]
    assert added(plan) == share
    assert batch_findings(plan.with_(verify_batches=False), Capabilities(merges=merges)) == []
    assert added(plan.with_(verify_batches=False)) == 0.0


def test_how_long_a_batch_may_wait_is_said():
    (finding,) = batch_findings(DIRECT, Capabilities(settling_seconds=30))
    assert "for up to 30 s" in finding.message
