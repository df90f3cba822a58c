"""Batches read back from a real server before its collection is finished, in every mode of namespaces."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from migrator.connectors import memory
from migrator.connectors.memory.table import Table
from migrator.service import PlanOptions, Service
from tests.contract.milvus_harness import MilvusServerHarness
from tests.parameters import rest_slow
from tests.runs.conftest import Ended
from tests.unit.batches import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import MilvusServer

pytestmark = pytest.mark.server


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with closing(Service(tmp_path / "home")) as opened:
        yield opened
    memory.COLLECTIONS.clear()


@pytest.mark.slow
@pytest.mark.parametrize("mode", rest_slow(["partition_key", "partition", "collection"]))
def test_every_batch_is_found_as_it_was_written(milvus_server: MilvusServer, service: Service, mode: str) -> None:
    memory.COLLECTIONS["source"] = table = Table(3)
    table.append(numbered(300, namespace="a"))
    table.append(numbered(200, namespace="b", start=300))
    endpoint = MilvusServerHarness(milvus_server).new_target()
    options = PlanOptions(batch=100, workers=1, verify_batches=True)
    ended = Ended(service, service.start(service.plan("memory:source", f"{endpoint}&namespace_mode={mode}", options)))
    assert (str(ended), ended.status["error"]) == ("proven", None)
    assert ended.status["verified_batches"] == {"batches": 5, "records": 500, "differences": 0}
