"""The import of a staged run: how far it is, in every place that says so, and what becomes of it when the run or the import is cancelled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from migrator.cli import output, progress
from migrator.connectors import parquet
from migrator.connectors.pinecone import bulk
from migrator.connectors.pinecone.options import Settings
from migrator.endpoints import parse
from migrator.errors import PlanError
from tests.pinecone.conftest import KEY, rows
from tests.pinecone.test_staged import ROOT, arrived, folder, full, gated, jobs, log, reading, staged  # noqa: F401 (fixtures)
from tests.runs.test_steering import until


@pytest.fixture
def halfway(full, service, staged, gated):  # noqa: F811
    """Return a run whose import says 40 %, and goes no further before the gate is opened."""
    gate = gated(64)
    run = service.start(staged())
    until(lambda: (service.status(run)["load"] or {}).get("share") == 0.4, 60)
    return run, gate


def test_how_far_the_import_is_shows_wherever_the_run_does(halfway, service):
    run, gate = halfway
    seen = service.status(run)
    assert (seen["phase"], seen["load"]) == ("importing", {"job": "101", "share": 0.4, "records": 64, "done": False})
    assert seen["shares"] == {"copied": 1.0, "loaded": 0.4, "proved": 0.0}
    assert seen["progress"] == pytest.approx(0.6)
    assert seen["eta_seconds"] > 0
    assert 0 < seen["records_per_second"] <= 64
    assert progress._line(seen) == "importing: 60%, import 101 40%, 64 of 160 records"
    assert progress._moved(seen) == 64
    assert "import 101 40%, 64 of 160 staged records" in output.status(seen)
    words = [sys.executable, "-m", "migrator", "status", run, "--json"]
    told = json.loads(subprocess.run(words, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True).stdout)
    assert (told["phase"], told["progress"], told["load"]["records"]) == ("importing", seen["progress"], 64)
    gate.set()
    done = service.wait(run, 60)
    assert (done["status"], done["progress"], done["shares"]["loaded"]) == ("proven", 1.0, 1.0), log(service, run)
    assert done["load"] == {"job": "101", "share": 1.0, "records": 160, "done": True}
    assert "importing" in service.result(run)["phases"]


def test_runs_that_import_nothing_know_of_no_load(full, service, staged):  # noqa: F811
    for plan, dry in ((staged(), True), (service.plan("pinecone:a", "pinecone:b"), False)):
        seen = service.wait(service.start(plan, dry_run=dry), 60)
        assert (seen["progress"], seen["error"]) == (1.0, None)
        assert "load" not in seen
        assert "loaded" not in seen["shares"]


def test_cancelling_the_run_cancels_the_import_and_resuming_starts_another(halfway, full, service):  # noqa: F811
    run, gate = halfway
    service.cancel(run)
    assert service.wait(run, 60)["status"] == "cancelled"
    assert jobs(full) == [("Cancelled", 64)]
    assert "import 101 cancelled at the store; the staged files stay" in log(service, run)
    gate.set()
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert [status for status, _ in jobs(full)] == ["Cancelled", "Completed"]
    assert arrived(full)


def test_cancelling_a_paused_run_cancels_the_import_it_left_behind(halfway, full, service):  # noqa: F811
    run, _ = halfway
    service.pause(run)
    assert service.wait(run, 60)["status"] == "paused"
    assert jobs(full) == [("InProgress", 64)]
    service.cancel(run)
    assert service.status(run)["status"] == "cancelled"
    assert jobs(full) == [("Cancelled", 64)]
    assert "import 101 cancelled at the store" in log(service, run)


def test_an_import_that_cannot_be_cancelled_is_said_to_go_on(halfway, full, service):  # noqa: F811
    run, _ = halfway
    service.pause(run)
    service.wait(run, 60)
    full.settings.api_keys = frozenset({"another"})
    service.cancel(run)
    assert service.status(run)["status"] == "cancelled"
    assert jobs(full) == [("InProgress", 64)]
    (warning,) = [line["message"] for line in service.status(run)["log"] if line["level"] == "warning"]
    assert "import 101 could not be cancelled and may go on at the store" in warning


def test_cancelling_comes_too_late_for_an_import_that_is_done(halfway, full, service):  # noqa: F811
    run, gate = halfway
    service.pause(run)
    service.wait(run, 60)
    gate.set()
    until(lambda: jobs(full) == [("Completed", 160)], 60)
    service.cancel(run)
    assert "import 101 is complete already: what it brought stays in the target" in log(service, run)
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert jobs(full) == [("Completed", 160)]


def test_an_import_cancelled_by_somebody_else_is_not_started_again_before_the_run_is_resumed(halfway, full, service):  # noqa: F811
    run, gate = halfway
    engine = full.server.engine
    engine.imports.cancel(engine.index("b"), "101")
    status = service.wait(run, 60)
    assert (status["status"], status["error"]["code"]) == ("failed", "import_cancelled")
    assert "resume" in status["error"]["fix"]
    assert status["load"] is None
    assert len(jobs(full)) == 1
    gate.set()
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert [state for state, _ in jobs(full)] == ["Cancelled", "Completed"]


@pytest.mark.slow
def test_an_import_nobody_noted_is_cancelled_and_started_anew_as_well(full, service, folder, reading):  # noqa: F811
    """The process was killed between the store's answer and our note of it."""
    gate = threading.Event()
    reading(before=lambda _import: gate.wait(60))
    words = ["copy", "pinecone:a", "pinecone:b", "--route", "staged", "--staging", f"parquet:{folder}", "--batch", "50"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MIGRATOR_FAILPOINT": "staging.load_started"}
    assert subprocess.run([sys.executable, "-m", "migrator", *words], env=environment, capture_output=True, check=False).returncode == 137
    (run,) = [row["run"] for row in service.runs()]
    service.cancel(run)
    assert [state for state, _ in jobs(full)] == ["Cancelled"], log(service, run)
    gate.set()
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert [state for state, _ in jobs(full)] == ["Cancelled", "Completed"]


CLOUD, LOCAL = "https://api.pinecone.io", "http://127.0.0.1:5080"
SETTINGS = Settings("b", KEY)


@pytest.mark.parametrize(
    ("staging", "server"),
    [
        ("parquet:./folder", ""),
        ("parquet:s3://bucket/x?region=eu-west-1", ""),
        ("parquet:s3://bucket/x?endpoint=https://s3.eu-west-1.amazonaws.com", ""),
        ("parquet:s3://bucket/x?endpoint=https://minio.example.com:9000", "https://minio.example.com:9000"),
        ("parquet:s3://bucket/x?endpoint=https://amazonaws.com.example.net", "https://amazonaws.com.example.net"),
    ],
)
def test_a_bucket_that_is_not_on_aws_is_refused_before_anything_is_staged(staging, server):
    assert parquet.server(parse(staging)) == server
    if server:
        with pytest.raises(PlanError, match="kept by") as caught:
            bulk.check(SETTINGS, None, "s3://bucket/x", server, CLOUD)
        assert caught.value.code == "staging_unreachable"
        assert caught.value.fix


def test_what_to_know_of_the_bucket_and_the_import_is_said():
    told = {finding.code: finding for finding in bulk.check(SETTINGS, None, "s3://bucket/x", "", CLOUD)}
    assert "integration=ID" in told["staging_access"].fix
    assert "ten minutes" in told["import_takes"].message
    with_integration = Settings("b", KEY, integration="i-1")
    assert [finding.code for finding in bulk.check(with_integration, None, "s3://bucket/x", "", CLOUD)] == ["import_takes"]
    assert [finding.code for finding in bulk.check(SETTINGS, None, "s3://bucket/x", "", LOCAL)] == ["staging_access"]
    assert bulk.check(SETTINGS, None, "file:///x", "", LOCAL) == []


@pytest.mark.parametrize(("options", "size"), [({}, "about 0.4 MB"), ({"filter": {"n": 1}}, "at most 0.4 MB"), ({"namespaces": ("small",)}, "under 0.1 MB")])
def test_how_much_will_be_staged_is_said(account, staged, options, size):  # noqa: F811
    account.create("large", dimension=512)
    account.fill("large", rows(200, dimension=512))
    account.fill("large", rows(10, dimension=512), "small")
    (kept,) = [finding for finding in staged(source="pinecone:large", **options).findings if finding.code == "staging_kept"]
    assert size in kept.message
    assert "the files stay there" in kept.message
