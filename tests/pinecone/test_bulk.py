"""Pinecone's own bulk import, started and watched."""

from __future__ import annotations

from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migrator.connectors.pinecone.bulk import BulkImport
from migrator.connectors.pinecone.control import Control
from migrator.connectors.pinecone.options import Settings
from migrator.errors import PermanentError
from migrator.model import LoadUnit
from tests.pinecone.conftest import KEY


@pytest.fixture
def control(account):
    account.create("a")
    with closing(Control(Settings("a", KEY, controller=account.server.url))) as opened:
        yield opened


def finished(bulk, uri):
    job = bulk.load(LoadUnit(uri))
    while not (progress := bulk.poll(job)).done:
        pass
    return progress


def test_a_folder_is_imported(account, control, tmp_path):
    (tmp_path / "shop").mkdir()
    vectors = pa.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], pa.list_(pa.float32()))
    pq.write_table(pa.table({"id": ["a", "b"], "values": vectors, "metadata": ['{"n": 1}', None]}), tmp_path / "shop" / "0.parquet")
    with closing(BulkImport(control, control.describe())) as bulk:
        progress = finished(bulk, f"file://{tmp_path}")
    assert (progress.share, progress.records) == (1.0, 2)
    assert account.namespaces("a") == {"shop": 2}


def test_what_cannot_be_imported_says_why(control, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "0.parquet").write_text("no Parquet")
    with closing(BulkImport(control, control.describe())) as bulk, pytest.raises(PermanentError) as caught:
        finished(bulk, f"file://{tmp_path}")
    assert caught.value.code in {"import_failed", "bad_request"}


def test_pods_cannot_import(account, control):
    account.create("p", pod=True)
    with pytest.raises(PermanentError, match="pod"):
        BulkImport(control, Control(Settings("p", KEY, controller=account.server.url)).describe())
