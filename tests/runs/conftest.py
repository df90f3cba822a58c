"""A service over a fresh home and memory collections that vanish after the test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from migrator import retry
from migrator.connectors import memory
from migrator.connectors.memory.table import Row, Table
from migrator.service import PlanOptions, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa


@pytest.fixture
def service(tmp_path) -> Iterator[Service]:
    opened = Service(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def collections() -> Iterator[dict[str, Table]]:
    before = dict(memory.COLLECTIONS)
    yield memory.COLLECTIONS
    memory.COLLECTIONS.clear()
    memory.COLLECTIONS.update(before)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.005)


@pytest.fixture
def seed(collections) -> Callable[..., Table]:
    """Return a function that puts batches into a new memory collection."""

    def make(name: str, *batches: pa.RecordBatch, dimension: int = 3) -> Table:
        table = collections[name] = Table(dimension)
        for batch in batches:
            table.append(batch)
        return table

    return make


class Ended:
    """A run that has ended: its id, status and, if it was proven, result."""

    def __init__(self, service: Service, run: str) -> None:
        self.run = run
        self.status = service.wait(run, 60)
        finished = self.status["status"] in ("proven", "differs", "incomplete") and self.status["kind"] != "dry-run"
        self.result: dict[str, Any] = service.result(run) if finished else {}

    def __str__(self) -> str:
        return str(self.status["status"])

    @property
    def counts(self) -> tuple[int, ...]:
        """scanned, copied, rejected, vanished, duplicate; they must balance in every case."""
        found = tuple(self.status["counts"].values())
        assert found[0] == sum(found[1:]), f"the counts do not balance: {self.status['counts']}"
        return found

    @property
    def log(self) -> str:
        return "\n".join(line["message"] for line in self.status["log"])


@pytest.fixture
def copy(service) -> Callable[..., Ended]:
    """Return a function that plans, runs and proves a copy."""

    def run(source: str = "memory:source", target: str = "memory:target", *, dry_run: bool = False, **options: Any) -> Ended:
        plan = service.plan(source, target, PlanOptions(**{"batch": 10, **options}))
        return Ended(service, service.start(plan, dry_run=dry_run))

    return run


def contents(table: Table) -> dict[tuple[str, str], tuple[bytes, str | None, str]]:
    """Return every record of a table by name, straight from its rows; a record that is there twice fails."""
    found: dict[tuple[str, str], tuple[bytes, str | None, str]] = {}
    for row in table.live():
        assert (row.namespace, row.id) not in found, f"{row.id} is there twice"
        found[row.namespace, row.id] = plain(row)
    return found


def plain(row: Row) -> tuple[bytes, str | None, str]:
    return row.values.tobytes(), row.metadata, repr(row.sparse_values)
