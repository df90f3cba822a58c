"""Fixtures for the Parquet connector's own tests: exports into a folder, and datasets written with pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.contract.kit import collection_of, plan_to, read_all, source_of, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that does not exist yet."""
    return tmp_path / "out"


@pytest.fixture
def export(folder: Path) -> Callable[..., Path]:
    """Export batches, one part each, and return the folder."""

    def run(batches: Sequence[pa.RecordBatch], options: str = "", *, finish: bool = True) -> Path:
        text = f"parquet:{folder}{options}"
        with target_of(text) as target:
            target.prepare(collection_of(batches), plan_to(text))
            for number, batch in enumerate(batches):
                target.write(batch, f"split.{number}")
            if finish:
                target.finish()
        return folder

    return run


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., str]:
    """Write columns as one Parquet file and return its endpoint."""

    def write(columns: dict[str, Any], name: str = "data.parquet", options: str = "", **settings: Any) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path, **settings)
        return f"parquet:{path}{options}"

    return write


@pytest.fixture
def read() -> Callable[[str], list[dict[str, Any]]]:
    """Return every record of an endpoint."""

    def run(text: str) -> list[dict[str, Any]]:
        with source_of(text) as source:
            return read_all(source)

    return run
