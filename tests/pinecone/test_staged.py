"""The staged route: files first, then Pinecone's own import of them, and the proof by reading the index back, whatever happens between."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migrator.connectors.pinecone import freshness
from migrator.errors import PlanError, TransientError
from migrator.local_pinecone.engine import ApiError, imports
from migrator.model import Follow, LoadProgress, LoadUnit
from migrator.pinecone_protocol import limits
from migrator.service import PlanOptions, half
from migrator.staging import load
from migrator.staging.watch import Watch
from tests.contract.parquet_harness import ACCESS_VARIABLE, SECRET_VARIABLE
from tests.parameters import rest_slow
from tests.pinecone.conftest import rows
from tests.pinecone.test_copy import as_expected
from tests.runs.test_steering import until

ROOT = Path(__file__).parents[2]
SPARSE = rows(40, sparse_values={"indices": [3, 70_000], "values": [0.5, 0.25]})


@pytest.fixture
def full(account):
    """Fill index ``a``: 120 records by default, 40 sparse ones in a namespace of their own."""
    account.create("a", metric="dotproduct")
    account.fill("a", rows(120))
    account.fill("a", SPARSE, "with-sparse")
    return account


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "my files, 100%41"


@pytest.fixture
def staged(service, folder):
    """Return a function that plans a staged copy from ``a`` to ``b``."""

    def plan(source="pinecone:a", target="pinecone:b", **options):
        return service.plan(source, target, PlanOptions(**{"route": "staged", "staging": f"parquet:{folder}", "batch": 50, **options}))

    return plan


@pytest.fixture
def reading(monkeypatch):
    """Return a function that puts something before the local service's import of files, or changes what it gives."""
    original = imports.read_import

    def put(before=lambda _import: None, after=lambda _import, writes: writes):
        def changed(index, import_, options):
            before(import_)
            return after(import_, original(index, import_, options))

        monkeypatch.setattr(imports, "read_import", changed)

    return put


@pytest.fixture
def gated(reading):
    """Return a function that makes an import say 40 % and so many records, and go no further before the gate it returns is opened."""
    gate = threading.Event()

    def hold(records):
        def held(import_):
            import_.percent_complete, import_.records_imported = 40.0, records
            gate.wait(60)
            import_.records_imported = 0

        reading(before=held)
        return gate

    yield hold
    gate.set()


def log(service, run):
    return "\n".join(line["message"] for line in service.status(run)["log"])


def jobs(account, index="b"):
    """Return status and records of every import of an index, oldest first."""
    engine = account.server.engine
    return [(one.status, one.records_imported) for one in engine.imports.list(engine.index(index))[::-1]]


def arrived(account):
    return account.read("b") == as_expected(rows(120)) and account.read("b", "with-sparse") == as_expected(SPARSE)


def test_everything_arrives_by_one_import(full, service, staged, folder):
    plan = staged()
    assert [finding.code for finding in plan.findings if finding.severity != "info"] == []
    (kept,) = [finding for finding in plan.findings if finding.code == "staging_kept"]
    assert folder.as_uri() in kept.message
    run = service.start(plan)
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert arrived(full)
    assert jobs(full) == [("Completed", 160)]
    assert full.namespaces("b") == {"": 120, "with-sparse": 40}
    assert sum(pq.read_metadata(path).num_rows for path in folder.glob("*/*.parquet")) == 160
    assert "the target says it loaded 160 records, 160 were staged" in log(service, run)


def test_batches_are_read_back_from_the_files_before_they_are_imported(full, service, staged):
    plan = staged(verify_batches=True)
    assert "batches_read_from_files" in [finding.code for finding in plan.findings]
    run = service.start(plan)
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    found = service.status(run)["verified_batches"]
    assert (found["records"], found["differences"]) == (160, 0)


@pytest.mark.server
def test_by_way_of_a_real_bucket(full, service, staged, s3_server, monkeypatch):
    monkeypatch.setenv(ACCESS_VARIABLE, s3_server.access_key)
    monkeypatch.setenv(SECRET_VARIABLE, s3_server.secret_key)
    address = s3_server.endpoint.partition("://")[2]
    full.settings.s3_options = {
        "endpoint_override": address,
        "scheme": "http",
        "region": "us-east-1",
        "access_key": s3_server.access_key,
        "secret_key": s3_server.secret_key,
    }
    where = f"parquet:s3://{s3_server.bucket}/staged-{os.getpid()}"
    options = f"endpoint={s3_server.endpoint}&region=us-east-1&access_key=env:{ACCESS_VARIABLE}&secret_key=env:{SECRET_VARIABLE}"
    run = service.start(staged(staging=f"{where}?{options}"))
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert arrived(full)
    assert jobs(full) == [("Completed", 160)]


def test_files_may_be_the_source(full, service, staged, copy, tmp_path):
    exported = tmp_path / "exported"
    assert copy(target=f"parquet:{exported}")["verdict"] == "proven"
    run = service.start(staged(source=f"parquet:{exported}"))
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert arrived(full)


def test_nothing_selected_is_nothing_imported(full, service, staged):
    run = service.start(staged(filter={"n": {"$gt": 1_000}}))
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert jobs(full) == []


def test_sparse_vectors_alone(account, service, staged):
    for name in ("a", "b"):
        account.client.indexes.create(
            name=name,
            schema={"fields": {"_sparse_values": {"type": "sparse_vector"}}},
            deployment={"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
        )
    account.fill("a", [{"id": f"r{n}", "sparse_values": {"indices": [n, n + 9], "values": [0.5, 1.0]}} for n in range(70)])
    run = service.start(staged())
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert account.read("b") == account.read("a")


def test_dumped_and_loaded_in_two_halves(full, service, staged):
    whole = staged(namespaces=("with-sparse",), target_namespace="moved")
    runs = []
    for verb in ("dump", "load"):
        run = service.start(service.look_again(half(whole, verb)))
        assert service.wait(run, 60)["status"] == "proven", log(service, run)
        runs.append(service.result(run))
    assert [told["counts"]["copied"] for told in runs] == [40, 40]
    assert full.namespaces("b") == {"moved": 40}
    assert full.read("b", "moved") == full.read("a", "with-sparse")
    again = service.look_again(half(whole, "load"))
    assert [finding.code for finding in again.findings if finding.severity == "blocking"] == ["namespaces_exist"]


def test_a_load_of_files_with_records_that_the_target_cannot_hold_loads_none(full, service, staged, folder):
    """A bulk load takes whole files, so a record that would be rejected must not be in them."""
    whole = staged()
    run = service.start(service.look_again(half(whole, "dump")))
    assert service.wait(run, 60)["status"] == "proven"
    path = next(folder.rglob("*.parquet"))
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "id", pa.array(["x" * 600, *table.column("id").to_pylist()[1:]])), path)
    (folder / "manifest.json").unlink()
    run = service.start(service.look_again(half(whole, "load")))
    ended = service.wait(run, 60)
    assert (ended["status"], ended["error"]["code"]) == ("failed", "files_unfit")
    assert jobs(full) == []


KILLED_AT = [
    *("dataset.part_staged:2", "staging.load_intended", "staging.load_started"),
    *("staging.load_noted", "staging.files_complete", "staging.load_done", "after_finish"),
]


@pytest.mark.parametrize("point", rest_slow(KILLED_AT))
def test_killed_and_resumed_with_one_import(full, service, folder, reading, point):
    gate = threading.Event()
    reading(before=lambda _import: gate.wait(60))
    if point in {"staging.load_done", "after_finish"}:
        gate.set()
    words = ["copy", "pinecone:a", "pinecone:b", "--route", "staged", "--staging", f"parquet:{folder}", "--batch", "50", "--workers", "1", "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MIGRATOR_FAILPOINT": point}
    killed = subprocess.run([sys.executable, "-m", "migrator", *words], env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == 137, killed.stderr
    if point == "after_finish":
        shutil.rmtree(folder)  # the files have done their work
    assert len(jobs(full)) == (point in {"staging.load_started", "staging.load_noted", "staging.load_done", "after_finish"})
    (run,) = [row["run"] for row in service.runs()]
    service.resume(run)
    until(lambda: len(jobs(full)) == 1 or service.wait(run, 0)["status"] != "running", 60)
    gate.set()
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert jobs(full) == [("Completed", 160)]
    assert arrived(full)


def test_paused_while_the_import_goes_on(full, service, staged, reading):
    gate = threading.Event()
    reading(before=lambda _import: gate.wait(60))
    run = service.start(staged())
    until(lambda: "started" in log(service, run) and jobs(full), 60)
    service.pause(run)
    assert service.wait(run, 60)["status"] == "paused", log(service, run)
    gate.set()
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert jobs(full) == [("Completed", 160)]


def test_a_key_revoked_meanwhile_is_no_end_of_the_import(full, service, staged, reading):
    gate = threading.Event()
    reading(before=lambda _import: gate.wait(60))
    run = service.start(staged())
    until(lambda: "started" in log(service, run) and jobs(full), 60)
    full.settings.api_keys = frozenset({"another"})
    assert service.wait(run, 60)["error"]["code"] == "unauthorized", log(service, run)
    full.settings.api_keys = None
    gate.set()
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert jobs(full) == [("Completed", 160)]


def failing(times):
    """Return what lets the first imports fail, each for a reason of its own."""

    def before(import_):
        if int(import_.id) <= 100 + times:
            raise ApiError(400, 3, f"file {import_.id} is not to my taste")

    return before


def test_a_failed_import_is_started_once_more(full, service, staged, reading):
    reading(before=failing(1))
    run = service.start(staged())
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert "import 101 failed: file 101 is not to my taste; started once more" in log(service, run)
    assert [status for status, _ in jobs(full)] == ["Failed", "Completed"]


def test_an_import_that_fails_twice_ends_the_run_with_both_reasons_and_resuming_tries_anew(full, service, staged, reading):
    reading(before=failing(2))
    run = service.start(staged())
    status = service.wait(run, 60)
    assert (status["status"], status["error"]["code"]) == ("failed", "import_failed")
    assert "102 is not to my taste" in status["error"]["message"]
    assert "101 is not to my taste" in status["error"]["message"]
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert [status for status, _ in jobs(full)] == ["Failed", "Failed", "Completed"]


def test_the_proof_does_not_believe_the_import(full, service, staged, reading):
    def tampered(_import, writes):
        writes[-1][2].values[0] += 1
        return writes

    reading(after=tampered)
    run = service.start(staged())
    assert service.wait(run, 60)["status"] == "differs"
    assert service.result(run)["differences_total"] == 1


def test_numbers_that_do_not_agree_are_said(full, service, staged, reading, monkeypatch):
    def boasting(import_, writes):
        import_.records_imported += 7
        return writes

    reading(after=boasting)
    monkeypatch.setattr(freshness, "TIMEOUT", 0.1)  # it never counts as many as that
    run = service.start(staged())
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    warnings = [line["message"] for line in service.status(run)["log"] if line["level"] == "warning"]
    assert "the target says it loaded 167 records, 160 were staged" in warnings


def codes(plan):
    return {finding.code for finding in plan.findings if finding.severity == "blocking"}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"staging": None}, "staging_missing"),
        ({"staging": "milvus:files?uri=./x.db"}, "staging_unsuitable"),
        ({"staging": "parquet:s3://bucket/a b"}, "bad_endpoint"),
        ({"route": "direct"}, "staging_unused"),
        ({"target": "memory:b"}, "route_unavailable"),
        ({"target": "pinecone:b?environment=us-east1-gcp"}, "not_supported"),
        ({"target": "pinecone:pods"}, "not_supported"),
        ({"target": "pinecone:b?cloud=gcp", "staging": "parquet:s3://bucket/x"}, "staging_unreachable"),
        ({"target": "pinecone:half"}, "namespaces_exist"),
        ({"target": "pinecone:other", "namespace_from": "n"}, "namespaces_exist"),
        ({"target_namespace": "a/b"}, "namespace_unspellable"),
        ({"target_namespace": "日本"}, "namespace_unspellable"),
        ({"on_conflict": "skip"}, "staged_conflict"),
        ({"on_conflict": "fail"}, "staged_conflict"),
        ({"new_only": True}, "staged_conflict"),
        ({"follow": Follow()}, "staged_follow"),
        ({"stamp": True}, "staged_stamp"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_is_said_before_anything_is_written(full, service, staged, folder, options, code):
    full.create("pods", metric="dotproduct", pod=True)
    for name, namespace in (("half", "with-sparse"), ("other", "unrelated")):
        full.create(name, metric="dotproduct")
        full.fill(name, SPARSE[:5], namespace)
    plan = staged(**options)
    assert code in codes(plan)
    assert all(finding.fix for finding in plan.findings if finding.severity == "blocking")
    with pytest.raises(PlanError):
        service.start(plan)
    assert not folder.exists()
    assert "b" not in {index.name for index in full.client.indexes.list()}


@pytest.mark.parametrize(
    ("capped", "options", "code"),
    [
        ({"IMPORT_NAMESPACES": 1}, {}, "too_many_namespaces"),
        ({"IMPORT_FILES": 3}, {}, "too_many_files"),
        ({"IMPORT_FILES": 360}, {"namespace_from": "n", "namespaces": ("",), "batch": 40}, ""),
        ({"IMPORT_FILES": 20}, {"namespace_from": "n", "namespaces": ("",), "batch": 40}, "too_many_files"),
        ({"IMPORT_FILES": 4}, {}, ""),
        ({"IMPORT_FILES": 2}, {"batch": None}, ""),
    ],
)
def test_what_is_too_much_for_one_import(full, staged, monkeypatch, capped, options, code):
    for name, value in capped.items():
        monkeypatch.setattr(limits, name, value)
    assert codes(staged(**options)) == ({code} if code else set())


def test_another_namespace_of_the_target_is_no_obstacle(full, service, staged):
    full.create("b", metric="dotproduct")
    full.fill("b", SPARSE[:5], "unrelated")
    run = service.start(staged(on_conflict="upsert"))
    assert service.wait(run, 60)["status"] == "proven", log(service, run)
    assert full.namespaces("b") == {"": 120, "with-sparse": 40, "unrelated": 5}


def test_namespaces_nobody_saw_coming_are_rejected_with_a_reason(full, service, staged):
    """A field names the namespaces, and the sample did not have the one that no folder can be named after."""
    full.create("named")
    full.fill("named", [{**row, "metadata": {"to": "a/b" if row["id"] == "r1500" else "plain"}} for row in rows(3_000)])
    plan = staged(source="pinecone:named", namespace_from="to", batch=None)
    assert codes(plan) == set()
    run = service.start(plan)
    status = service.wait(run, 60)
    assert (status["status"], status["counts"]["rejected"]) == ("incomplete", 1), log(service, run)
    (rejected,) = service.result(run)["rejected"]
    assert (rejected["id"], rejected["code"]) == ("r1500", "namespace_unspellable")
    assert full.namespaces("b") == {"plain": 2_999}


def test_a_dry_run_writes_nothing(full, service, staged, folder):
    run = service.start(staged(), dry_run=True)
    assert service.wait(run, 60)["counts"]["copied"] == 160
    assert not folder.exists()


def test_an_occupied_folder_leaves_no_new_index_behind(full, service, staged, folder):
    (folder / "x").mkdir(parents=True)
    (folder / "x" / "notes.txt").write_text("mine")
    run = service.start(staged())
    assert service.wait(run, 60)["error"]["code"] == "target_not_empty"
    assert "b" not in {index.name for index in full.client.indexes.list()}


class Forgetful:
    """A loader whose starts succeed, and whose answers to them get lost."""

    def __init__(self):
        self.begun = ["of-before"]

    def load(self, _unit):
        self.begun.append("ours")
        raise TransientError("the answer was lost")

    def loads(self, _unit):
        return self.begun[::-1]

    def poll(self, job):
        return LoadProgress(done=True, share=1.0, records=len(job))


def test_a_start_whose_answer_was_lost_is_found_again_and_a_job_of_before_is_not_taken_for_it(tmp_path):
    watch = Watch(tmp_path / "import.json", lambda _seconds: None, lambda *_: None, lambda _doing, action: action(), lambda *_: None, lambda: False)
    loader = Forgetful()
    with pytest.raises(TransientError):
        load.load(loader, [LoadUnit("s3://bucket/x")], watch)
    assert load.load(loader, [LoadUnit("s3://bucket/x")], watch) == len("ours")
    assert loader.begun == ["of-before", "ours"]
