"""The official Python SDK's own integration and smoke tests, run from its public repository against the local service.

``PINECONE_SDK_REPOSITORY`` names a clone of github.com/pinecone-io/pinecone-python-client (a bare one will do). The client under test is
the release of the clone's version, in an environment of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tests.outside.environments import PROGRAMS, python_with

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

_MOCKED = "its answers are mocked for api.pinecone.io, so no server is asked"
_EMBEDDING = "integrated embedding: the models run in the cloud"
NOT_RUN = {
    "tests/integration/preview": "documents and their preview API, which the real service may refuse too",
    "tests/integration/test_admin.py": "organisations and projects: not emulated",
    "tests/integration/test_assistants.py": "assistants: a product of its own",
    "tests/integration/test_assistants_async.py": "assistants: a product of its own",
    "tests/integration/test_inference.py": "embedding and reranking models run in the cloud",
    "tests/integration/test_inference_async.py": "embedding and reranking models run in the cloud",
    "tests/integration/test_ingestion.py": _EMBEDDING,
    "tests/integration/test_ingestion_async.py": _EMBEDDING,
    "tests/integration/test_search.py": _EMBEDDING,
    "tests/integration/test_search_async.py": _EMBEDDING,
    "tests/smoke/test_assistants_async.py": "assistants: a product of its own",
    "tests/smoke/test_assistants_sync.py": "assistants: a product of its own",
    "tests/smoke/test_inference_async.py": "embedding and reranking models run in the cloud",
    "tests/smoke/test_inference_sync.py": "embedding and reranking models run in the cloud",
    "tests/smoke/test_serverless_integrated_async.py": _EMBEDDING,
    "tests/smoke/test_serverless_integrated_grpc.py": _EMBEDDING,
    "tests/smoke/test_serverless_integrated_sync.py": _EMBEDDING,
}
DESELECTED = {
    "tests/integration/test_indexes.py::test_create_integrated_dense_index_becomes_ready": _EMBEDDING,
    "tests/integration/test_indexes.py::test_create_integrated_sparse_index_becomes_ready": _EMBEDDING,
    "tests/integration/test_indexes.py::test_create_index_for_model_shim_creates_index": _EMBEDDING,
    "tests/integration/test_indexes_async.py::test_create_integrated_dense_index_becomes_ready_async": _EMBEDDING,
    "tests/integration/test_client.py::test_create_index_from_backup_no_wait_returns_restore_job_id": _MOCKED,
    "tests/integration/test_client.py::test_create_index_schema_parameter_forwarded": _MOCKED,
    "tests/integration/test_client.py::test_configure_index_serverless_read_capacity": _MOCKED,
    "tests/integration/test_client.py::test_configure_index_tags_sparse_patch": _MOCKED,
    "tests/integration/test_client.py::test_create_index_serverless_read_capacity_spec": _MOCKED,
    "tests/integration/test_client.py::test_create_byoc_index_spec_schema_forwarded": _MOCKED,
    "tests/integration/test_client.py::test_create_byoc_index_method_schema_forwarded": _MOCKED,
    "tests/integration/test_errors.py::test_grpc_query_too_short_timeout_raises": "a server on this machine may answer within the microsecond given",
    "tests/smoke/test_upsert_from_dataframe_async.py::test_upsert_from_dataframe_async": "the async client itself raises NotImplementedError",
}
AT_LEAST = 250
"""Tests that must have passed: an error while collecting would otherwise look like success."""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A copy of the SDK's tests without the SDK's sources, which lack their compiled part and would hide the installed client."""
    place = os.environ.get("PINECONE_SDK_REPOSITORY")
    if not place:
        pytest.skip("PINECONE_SDK_REPOSITORY names no clone of github.com/pinecone-io/pinecone-python-client")
    archive = subprocess.run(["git", "-C", place, "archive", "HEAD", "tests", "pyproject.toml"], capture_output=True, check=True).stdout
    subprocess.run(["tar", "x", "-C", str(tmp_path)], input=archive, check=True)
    shutil.copy(PROGRAMS / "local_service_plugin.py", tmp_path)
    return tmp_path


@pytest.mark.timeout(900)
def test_the_sdks_own_tests_pass(suite: Path, environment: dict[str, str]) -> None:
    version = tomllib.loads((suite / "pyproject.toml").read_text())["project"]["version"]
    interpreter = python_with(f"pinecone=={version}", "pytest", "pytest-asyncio", "pytest-timeout", "python-dotenv", "respx", "pandas")
    words = ["-p", "local_service_plugin", "-p", "no:cacheprovider", "-o", "timeout=60", "-q", "--tb=short", f"--junitxml={suite}/result.xml"]
    words += [f"--ignore={name}" for name in NOT_RUN] + [f"--deselect={name}" for name in DESELECTED]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PINECONE_", "PYTEST_"))}
    done = subprocess.run(
        [str(interpreter), "-m", "pytest", *words, "tests/integration", "tests/smoke"],
        cwd=suite,
        env=own | environment | {"PYTHONPATH": str(suite), "SMOKE_RUN_BACKUPS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    total = next(iter(ET.parse(suite / "result.xml").getroot()))  # noqa: S314 - pytest's own report
    passed = int(total.attrib["tests"]) - sum(int(total.attrib[kind]) for kind in ("errors", "failures", "skipped"))
    assert passed >= AT_LEAST, done.stdout[-3000:]
