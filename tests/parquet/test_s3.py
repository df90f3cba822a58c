"""Datasets in a real S3: what the store refuses is said clearly, and nothing half-written is ever visible."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from migrator import endpoints
from migrator.connectors import connector
from migrator.datasets import locks
from migrator.datasets.places import Place, place_of
from migrator.errors import MigratorError, PermanentError, RunBusyError, TransientError
from migrator.service import PlanOptions
from tests.contract.kit import collection_of, comparable, plan_to, read_all, rows_of, source_of, target_of
from tests.contract.parquet_harness import ParquetBucketHarness
from tests.parameters import rest_slow
from tests.parquet.test_target import BATCHES, CHILD, ROOT
from tests.runs.conftest import collections, seed, service
from tests.unit.batches import numbered

__all__ = ["collections", "seed", "service"]
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


@pytest.mark.slow
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
    ("point", "hits"),
    rest_slow([("dataset.file_moved", 2), ("dataset.part_staged", 2), ("dataset.publication_written", 1), ("dataset.manifest_written", 1)]),
)
def test_killed_and_resumed(bucket, point, hits):
    text = bucket.new_target()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", CHILD, text], env=environment | {"MIGRATOR_FAILPOINT": f"{point}:{hits}"}, check=False)
    assert killed.returncode == 137
    everything_staged = [] if point == "dataset.part_staged" else ["staged"]
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


LEFT = "import os, sys\nfrom tests.parquet.test_s3 import begin\nbegin(*sys.argv[1:])\nos._exit(9)\n"


def begin(text: str, run: str):
    """Return a target that ``run`` has begun to write."""
    target = connector("parquet").open_target(endpoints.parse(text))
    target.claim(run)
    target.prepare(collection_of(BATCHES), plan_to(text))
    target.write(BATCHES[0], "split.0")
    return target


def test_another_run_is_refused_as_long_as_one_writes(bucket):
    text = bucket.new_target()
    with closing(begin(text, "20260101-000000-aaaa")):
        for other in (text, f"{text}&overwrite=true"):
            with pytest.raises(RunBusyError, match=r"run 20260101-000000-aaaa .*process") as refused:
                begin(other, "20260101-000000-bbbb")
            assert refused.value.code == "target_busy"
            assert f"{bucket.folder(text)}/_staging/lock-20260101-000000-aaaa.json" in refused.value.fix
        assert sum("lock-" in name for name in bucket.objects(bucket.folder(text))) == 1, "the refused one left nothing"
    with closing(begin(f"{text}&overwrite=true", "20260101-000000-bbbb")) as other:
        for number, batch in enumerate(BATCHES):
            other.write(batch, f"split.{number}")
        other.finish()
    assert comparable(bucket.read_back(text)) == comparable([row for batch in BATCHES for row in rows_of(batch)])
    assert not [name for name in bucket.objects(bucket.folder(text)) if name.startswith("_staging")]
    listed = bucket.server.client().list_objects_v2(Bucket=bucket.server.bucket, Prefix=f"{bucket.folder(text)}/_staging")
    assert not listed.get("Contents"), "nor an empty object that would pass for a namespace"


def test_what_a_killed_run_left_is_its_own_again_and_nobody_else_s(bucket):
    text = bucket.new_target()
    killed = subprocess.run([sys.executable, "-c", LEFT, text, "mine"], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert killed.returncode == 9
    with pytest.raises(RunBusyError, match="run mine"):
        begin(text, "theirs")
    with closing(begin(text, "mine")) as target:
        for number, batch in enumerate(BATCHES):
            target.write(batch, f"split.{number}")
        target.finish()
    assert comparable(bucket.read_back(text)) == comparable([row for batch in BATCHES for row in rows_of(batch)])


def test_a_file_removed_between_two_requests_is_no_error(bucket, monkeypatch):
    """A run that gives way removes its lock; another that has just seen it there must not fail on that."""
    place = place_of(endpoints.parse(bucket.new_target()))
    monkeypatch.setattr(Place, "size", lambda _self, _path: 5)
    assert place.load("_staging/lock-b.json") is None
    place.remove("_staging/lock-b.json")


def test_runs_that_come_at_the_same_time_never_both_write(bucket, monkeypatch):
    monkeypatch.setattr(locks, "_PAUSE_SECONDS", 0.0)
    for _ in range(5):
        text, gate = bucket.new_target(), threading.Barrier(3)

        def contend(run, text=text, gate=gate):
            gate.wait()
            try:
                return begin(text, run)
            except (RunBusyError, TransientError):  # the store's word for an object that is deleted while it is read: a run would try again
                return None

        with ThreadPoolExecutor(3) as pool:
            held = [target for target in pool.map(contend, ["a", "b", "c"]) if target is not None]
        assert len(held) <= 1
        for target in held:
            target.close()


def test_a_run_says_who_it_is_and_is_refused_with_exit_code_75(bucket, service, seed, monkeypatch):
    seed("source", numbered(40))
    text = bucket.new_target()
    plan = service.plan("memory:source", text, PlanOptions(batch=10))
    with closing(begin(bucket.new_target(), "elsewhere")), closing(begin(text, "another")):
        run = service.start(plan)
        status = service.wait(run, 60)
        assert (status["status"], status["error"]["code"], status["error"]["exit_code"]) == ("interrupted", "target_busy", "75")
    service.resume(run)
    assert "already holds an export of another run" in service.wait(run, 60)["error"]["message"]
    own = service.plan("memory:source", bucket.new_target(), PlanOptions(batch=10))
    seen = set()
    real = locks.hold

    def hold(place, owner):
        seen.add(owner)
        return real(place, owner)

    monkeypatch.setattr(locks, "hold", hold)
    run = service.start(own)
    assert service.wait(run, 60)["status"] == "proven"
    assert seen == {run}
