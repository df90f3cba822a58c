"""Milvus Lite in a temporary folder, and the real server; ``both`` runs a test on each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.milvus_harness import MilvusLiteHarness, MilvusServerHarness

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def lite(tmp_path: Path) -> MilvusLiteHarness:
    """Milvus Lite."""
    return MilvusLiteHarness(tmp_path)


@pytest.fixture(
    params=["engine", pytest.param("grpc", marks=pytest.mark.slow), pytest.param("server", marks=[pytest.mark.server, pytest.mark.slow])],
)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MilvusLiteHarness | MilvusServerHarness:
    """Milvus Lite through its engine, Milvus Lite as if its engine were hidden, and a real server."""
    if request.param == "server":
        return MilvusServerHarness(request.getfixturevalue("milvus_server"))
    if request.param == "grpc":
        for module in ("reading", "target"):
            monkeypatch.setattr(f"migrator.connectors.milvus.{module}.engine_for", lambda *_: None)
    return MilvusLiteHarness(tmp_path)
