"""Datasets in a real S3: what the store refuses is said clearly, and nothing half-written is ever visible."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from migrator import endpoints
from migrator.connectors import connector
from migrator.errors import MigratorError, PermanentError, TransientError
from tests.contract.kit import collection_of, comparable, plan_to, read_all, rows_of, source_of, target_of
from tests.contract.parquet_harness import ParquetBucketHarness
from tests.parquet.test_target import BATCHES, CHILD, ROOT
from tests.unit.batches import numbered

pytestmark = pytest.mark.server


@pytest.fixture
def bucket(s3_server):
    return ParquetBucketHarness(s3_server)


def write(text: str, batches) -> None:
    with target_of(text) as target:
        target.prepare(collection_of(batches), plan_to(text))
        for number, batch in enumerate(batches):
            target.write(batch, f"split.{number}")
        target.finish()


def failure(text: str) -> MigratorError:
    """Return the error that both reading and writing ``text`` end in."""
    with pytest.raises(MigratorError) as reading, source_of(text):
        pass
    with pytest.raises(MigratorError) as writing:
        write(text, [numbered(1)])
    assert type(reading.value) is type(writing.value)
    for caught in (reading.value, writing.value):
        assert caught.fix
        assert "\n" not in caught.message
        assert "AWS" not in caught.message
    return writing.value


def test_wrong_secret_key(bucket, monkeypatch):
    monkeypatch.setenv("X_WRONG", "wrong-secret")
    text = bucket.new_target().replace("secret_key=env:MIGRATOR_TEST_S3_SECRET", "secret_key=env:X_WRONG")
    error = failure(text)
    assert (type(error), error.code in {"permission_denied", "sign_in_failed"}) == (PermanentError, True)
    assert "wrong-secret" not in error.message + error.fix


def test_wrong_access_key(bucket, monkeypatch):
    monkeypatch.setenv("X_WRONG", "nobody")
    error = failure(bucket.new_target().replace("access_key=env:MIGRATOR_TEST_S3_ACCESS", "access_key=env:X_WRONG"))
    assert (type(error), error.code in {"permission_denied", "sign_in_failed"}) == (PermanentError, True)


def test_no_such_bucket(bucket):
    error = failure(bucket.new_target().replace("test-bucket", "no-such-bucket"))
    assert (type(error), error.code) == (PermanentError, "no_bucket")
    assert "no-such-bucket" in error.message


def test_nobody_listens(bucket):
    error = failure(bucket.new_target().replace(bucket.server.endpoint, "http://127.0.0.1:9"))
    assert (type(error), error.code) == (TransientError, "unreachable")


def test_environment_credentials(bucket, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bucket.server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", bucket.server.secret_key)
    text = bucket.new_target()
    write(text, [numbered(3)])
    bare = text.partition("&access_key")[0]
    with source_of(bare) as source:
        assert len(read_all(source)) == 3


def test_nothing_looks_whole_before_finish_and_nothing_is_left_after(bucket):
    text = bucket.new_target()
    with target_of(text) as target:
        target.prepare(collection_of(BATCHES), plan_to(text))
        target.write(BATCHES[0], "split.0")
        assert all(name.startswith("_staging/") for name in bucket.objects(bucket.folder(text)))
        target.finish()
    assert not [name for name in bucket.objects(bucket.folder(text)) if name.startswith("_staging")]


@pytest.mark.parametrize(
    ("point", "hits"), [("parquet.part_staged", 2), ("parquet.publication_written", 1), ("parquet.file_moved", 2), ("parquet.manifest_written", 1)]
)
def test_killed_and_resumed(bucket, point, hits):
    text = bucket.new_target()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", CHILD, text], env=environment | {"MIGRATOR_FAILPOINT": f"{point}:{hits}"}, check=False)
    assert killed.returncode == 137
    everything_staged = [] if point == "parquet.part_staged" else ["staged"]
    subprocess.run([sys.executable, "-c", CHILD, text, *everything_staged], env=environment, check=True)
    assert comparable(bucket.read_back(text)) == comparable([row for batch in BATCHES for row in rows_of(batch)])


def test_patterns_single_files_and_folders(bucket):
    text = bucket.new_target()
    write(text, BATCHES)
    address, _, options = text.partition("?")
    one = next(name for name in bucket.objects(bucket.folder(text)) if name.startswith("a/"))
    joined = f"{address}/a,{address.removeprefix('parquet:')}/__default__"
    for resource, count in ((f"{address}/*/*.parquet", 80), (f"{address}/a", 40), (f"{address}/{one}", 20), (joined, 60)):
        with source_of(f"{resource}?{options}") as source:
            assert len(read_all(source, 2)) == count


def test_files_are_named_by_their_address(bucket):
    text = bucket.new_target()
    write(text, BATCHES[:1])
    endpoint = endpoints.parse(text)
    file, manifest = connector("parquet").files(endpoint)
    assert manifest.path == f"s3://{bucket.server.bucket}/{bucket.folder(text)}/manifest.json"
    assert file.path == f"s3://{bucket.server.bucket}/{bucket.folder(text)}/{file.name}"
    assert [step.status for step in connector("parquet").examine(endpoint)] == ["ok"] * 4


def test_no_local_file_appears(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(bucket.new_target(), BATCHES)
    assert list(Path().iterdir()) == []
