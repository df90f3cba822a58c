"""What all tests share: which of them may not run side by side, and where Chromium is."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# here once: imported into several conftests a session fixture would be several, each waiting for the other's machine lock
from tests.google_store import google_store  # noqa: F401 (fixture)
from tests.pinecone_server import pinecone_server  # noqa: F401 (fixtures)
from tests.servers import milvus_server, s3_server  # noqa: F401 (fixtures)

if TYPE_CHECKING:
    from collections.abc import Sequence

ONE_AT_A_TIME = ("server", "browser")

# a busy machine is no failure; the seed of a failure is printed and kept in .hypothesis
settings.register_profile("tests", deadline=None, print_blob=True)
settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Keep the tests of a marker on one worker: the embedded Milvus has fixed ports, so a machine can hold only one."""
    for item in items:
        for marker in ONE_AT_A_TIME:
            if item.get_closest_marker(marker) and not item.get_closest_marker("xdist_group"):
                item.add_marker(pytest.mark.xdist_group(marker))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail rather than let two workers want the one server a machine can hold: pytest-xdist marks groups in names, which not every pytest lets it."""
    grouped = [item.nodeid for item in session.items if item.get_closest_marker("xdist_group")]
    if getattr(session.config.option, "loadgroup", False) and any("@" not in name for name in grouped):
        raise pytest.UsageError("this pytest-xdist does not group tests with this pytest: install requirements-dev.txt")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Chromium. Without one the browser tests are skipped, but fail in CI, which installs it."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    reason = "no chromium on PATH: apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
