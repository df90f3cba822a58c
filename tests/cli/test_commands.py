"""The command line: every command, every exit code, the shape of every answer, and no traceback ever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migrator.cli import main
from migrator.connectors import memory
from migrator.service import PlanOptions, Service
from tests.parameters import rest_slow
from tests.unit.batches import batch_of, numbered

ROOT = Path(__file__).parents[2]
COUNTS = ["scanned", "copied", "rejected", "vanished", "duplicate"]
RESULT = {"run", "verdict", "counts", "namespaces", "differences", "rejected", "seconds", "records_per_second", "report"}
RUN = {"run", "status", "source", "target", "started", "counts"}


class Answer:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        assert "Traceback" not in out + err

    @property
    def json(self) -> dict[str, Any]:
        assert self.out.count("\n") == 1, "one JSON object, on one line"
        return json.loads(self.out)

    def is_error(self, code: int, error: str) -> None:
        """Check an error in its form for people: two lines on stderr, nothing on stdout."""
        assert (self.code, self.out) == (code, ""), self.err
        lines = self.err.splitlines()
        assert lines[0].startswith("error: "), lines
        assert len(lines) <= 2
        assert all(line.startswith("  fix: ") for line in lines[1:])
        assert error in lines[0]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    before = dict(memory.COLLECTIONS)
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "home"
    memory.COLLECTIONS.clear()
    memory.COLLECTIONS.update(before)


@pytest.fixture
def run(capsys):
    """Return a function that runs one command in this process."""

    def call(*words: str) -> Answer:
        capsys.readouterr()
        try:
            code = main(list(words))
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return call


@pytest.fixture
def source(tmp_path) -> str:
    folder = tmp_path / "source" / "ns"
    folder.mkdir(parents=True)
    values = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    pq.write_table(pa.table({"id": [f"i{n}" for n in range(50)], "values": pa.array(list(values), pa.list_(pa.float32()))}), folder / "a.parquet")
    return "parquet:./source"


@pytest.fixture
def seeded() -> None:
    memory.COLLECTIONS["s"] = memory.Table(3)
    memory.COLLECTIONS["s"].append(numbered(40))


# -- looking


def test_inspect(run, source):
    answer = run("inspect", source, "--json")
    assert answer.code == 0
    found = answer.json
    assert {"connector", "resource", "kind", "dimension", "metric", "id_type", "count", "namespaces", "lossless", "findings"} <= found.keys()
    assert (found["connector"], found["dimension"], found["count"], found["namespaces"]) == ("parquet", 4, 50, {"ns": 50})
    assert "50" in run("inspect", source).out


def test_doctor(run, source):
    answer = run("doctor", source, "--json")
    assert (answer.code, answer.json["healthy"]) == (0, True)
    assert {"name", "status", "detail"} <= answer.json["steps"][0].keys()
    sick = run("doctor", "parquet:./nowhere", "--json")
    assert (sick.code, sick.json["healthy"]) == (3, False)
    assert run("doctor", source).code == 0


# -- copying


def test_copy_says_what_it_did(run, source):
    answer = run("copy", source, "parquet:./out", "--json")
    assert answer.code == 0
    found = answer.json
    assert found.keys() >= RESULT
    assert found["verdict"] == "proven"
    assert list(found["counts"]) == COUNTS
    assert found["namespaces"] == {"ns": {"source": 50, "target": 50, "missing": 0, "extra": 0, "changed": 0}}
    assert (found["differences"], found["rejected"]) == ([], [])
    assert Path(found["report"]).is_file()
    assert sum(pq.read_metadata(path).num_rows for path in Path("out").rglob("*.parquet")) == 50


def test_copy_for_people(run, source):
    answer = run("copy", source, "parquet:./out")
    assert answer.code == 0
    assert "proven" in answer.out


def test_a_dry_run_writes_nothing(run, source):
    answer = run("copy", source, "parquet:./out", "--dry-run", "--json")
    assert (answer.code, answer.json["counts"]["scanned"]) == (0, 50)
    assert not Path("out").exists()


def test_rejected_records_are_exit_1_and_named(run, seeded):
    memory.COLLECTIONS["s"].append(batch_of([{"id": "bad", "values": [float("nan"), 0, 0]}]))
    answer = run("copy", "memory:s", "memory:t", "--json")
    assert (answer.code, answer.json["verdict"]) == (1, "incomplete")
    (row,) = answer.json["rejected"]
    assert set(row) == {"namespace", "id", "code", "field", "message"}
    assert (row["id"], row["code"]) == ("bad", "not_finite")
    assert run("copy", "memory:s", "memory:u", "--dry-run").code == 1


def test_differences_are_exit_1_and_named(run, seeded):
    memory.COLLECTIONS["t"] = memory.Table(3)
    memory.COLLECTIONS["t"].append(numbered(39))
    memory.COLLECTIONS["t"].append(batch_of([{"id": "stray"}]))
    answer = run("verify", "memory:s", "memory:t", "--json")
    assert (answer.code, answer.json["verdict"]) == (1, "differs")
    assert answer.json.keys() >= RESULT
    assert sorted((row["id"], row["class"]) for row in answer.json["differences"]) == [("r39", "missing"), ("stray", "extra")]
    assert set(answer.json["differences"][0]) == {"namespace", "id", "class", "fields"}
    assert "missing: 'r39'" in run("verify", "memory:s", "memory:t").out


def test_a_store_that_refuses_is_exit_3_and_resumable(run, seeded):
    answer = run("copy", "memory:s", "memory:t?refuse_at=2", "--batch", "10", "--workers", "1", "--json")
    assert answer.code == 3
    assert set(answer.json["error"]) == {"code", "message", "fix"}
    assert (answer.json["verdict"], answer.json["error"]["code"]) == ("incomplete", "store_refused")
    again = run("resume", answer.json["run"], "--json")
    assert (again.code, again.json["verdict"], again.json["counts"]["copied"]) == (0, "proven", 40)


def test_a_plan_is_written_and_run(run, source, tmp_path):
    answer = run("plan", source, "parquet:./out", "-o", "plan.yaml", "--namespace", "ns", "--json")
    assert (answer.code, answer.json["plan"]) == (0, "plan.yaml")
    assert run("run", "plan.yaml", "--json").json["verdict"] == "proven"
    shown = run("plan", source, "parquet:./other")
    assert "version: 1" in shown.out


def test_a_plan_says_what_the_target_will_be(run, source, tmp_path):
    target = "milvus:things?uri=./a.db&index_type=HNSW"
    answer = run("plan", source, target, "-o", "plan.yaml", "--json")
    mapping = answer.json["mapping"]
    assert (mapping["records_looked_at"], mapping["target_exists"], mapping["fields"]) == (50, False, [])
    assert mapping["facts"]["index"] == "HNSW (M=16, efConstruction=200)"
    assert "target: namespaces: field namespace" in run("plan", source, target).err
    assert run("plan", source, "parquet:./out", "--json").json["mapping"] is None
    assert not (tmp_path / "a.db").exists()


def test_a_blocked_plan_is_exit_2(run, source, seeded):
    memory.COLLECTIONS["t"] = memory.Table(7)
    assert run("plan", "memory:s", "memory:t", "-o", "plan.yaml").code == 2
    run("run", "plan.yaml").is_error(2, "dimensions")


def test_runs_and_status(run, seeded):
    assert run("runs", "--json").json == {"runs": []}
    first, second = (run("copy", "memory:s", f"memory:{name}", "--json").json["run"] for name in "tu")
    listed = run("runs", "--json").json["runs"]
    assert [row["run"] for row in listed] == [second, first]
    assert listed[0].keys() >= RUN
    found = run("status", first, "--json").json
    assert found.keys() >= RUN | {"progress", "eta_seconds", "log"}
    assert (found["status"], found["progress"]) == ("proven", 1.0)
    assert first in run("runs").out
    assert "proven" in run("status", first).out


def test_verify_of_a_run(run, seeded):
    made = run("copy", "memory:s", "memory:t", "--json").json["run"]
    memory.COLLECTIONS["t"].delete(["r5"], "")
    answer = run("verify", made, "--json")
    assert (answer.code, [row["id"] for row in answer.json["differences"]]) == (1, ["r5"])
    memory.COLLECTIONS["t"].append(numbered(1, start=5))
    assert run("verify", made).code == 0


def test_report(run, seeded, tmp_path):
    made = run("copy", "memory:s", "memory:t", "--json").json["run"]
    assert Path(run("report", made, "--json").json["report"]).is_file()
    assert run("report", made, "-o", "report.html").code == 0
    assert Path("report.html").read_text("utf-8").startswith("<!doctype html>")
    run("report", made, "-o", "no/such/folder/report.html").is_error(2, "cannot be written")
    run("report", made, "-o", "report.pdf").is_error(2, "report.pdf is neither .html nor .json")


def test_report_check(run, seeded):
    made = run("copy", "memory:s", "memory:t", "--json").json["run"]
    for name in ("report.html", "report.json"):
        run("report", made, "-o", name)
        found = run("report", "--check", name, "--json")
        assert found.code == 0
        assert {"intact": True, "known": True, "run": made, "verdict": "proven", "report": name}.items() <= found.json.items()
        assert "this home made this report" in run("report", "--check", name).out
        Path(name).write_text(Path(name).read_text("utf-8").replace("proven", "differs"), "utf-8")
        found = run("report", "--check", name)
        assert found.code == 1
        assert found.out.startswith("altered: the data")
    for words in (["report"], ["report", made, "--check", "report.html"], ["report", "--check", "report.html", "-o", "x.html"]):
        run(*words).is_error(2, "report takes a run, or --check FILE")
    run("report", "--check", "none.html").is_error(2, "none.html cannot be read")


def test_steering_what_does_not_run(run, seeded):
    made = run("copy", "memory:s", "memory:t?refuse_at=2", "--batch", "10", "--json").json["run"]
    run("pause", made).is_error(2, "not running")
    assert run("cancel", made, "--json").json == {"run": made, "asked": "cancel"}
    assert run("status", made, "--json").json["status"] == "cancelled"
    assert run("resume", made).code == 0
    assert "nothing is left to do" in run("resume", made).err


# -- errors


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["inspect", "nonsense"], 2, "is not an endpoint"),
        (["inspect", "nowhere:x"], 2, "no connector"),
        (["inspect", "parquet:./x?colour=red"], 2, "colour"),
        (["inspect", "memory:nope"], 3, "no collection"),
        (["copy", "memory:s", "memory:t", "--filter", '{"a":{"$near":1}}'], 2, "$near"),
        (["copy", "memory:s", "memory:t", "--filter", "{}"], 2, "filter"),
        (["copy", "memory:s", "memory:t", "--filter", "nonsense"], 2, "not JSON"),
        (["copy", "memory:s", "memory:t", "--filter", '{"a":NaN}'], 2, "JSON"),
        (["copy", "memory:s", "memory:t", "--batch", "0"], 2, "--batch"),
        (["copy", "memory:s", "memory:t", "--batch", "²"], 2, "--batch"),
        (["copy", "memory:s", "memory:t", "--on-conflict", "maybe"], 2, "--on-conflict"),
        (["copy", "memory:s", "memory:t", "--namespace", "nope"], 2, "no namespace"),
        (["copy", "memory:s", "memory:t", "--route", "staged"], 2, "staged"),
        (["copy", "memory:s", "memory:t", "--executor", "ray"], 2, "Ray"),
        (["copy", "memory:s", "faiss:./x.index"], 2, "faiss"),
        (["copy", "memory:s"], 2, "TARGET"),
        (["verify", "a", "b", "c"], 2, "verify takes"),
        (["verify", "nope"], 2, "nope"),
        (["status", "nope"], 2, "nope"),
        (["resume", "nope"], 2, "nope"),
        (["pause", "nope"], 2, "nope"),
        (["cancel", "nope"], 2, "nope"),
        (["report", "nope"], 2, "nope"),
        (["run", "nope.yaml"], 2, "nope.yaml"),
        (["run", "."], 2, "."),
        (["frobnicate"], 2, "frobnicate"),
        ([], 2, "COMMAND"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_errors_are_two_lines_and_one_object(run, seeded, words, code, error):
    run(*words).is_error(code, error)
    if words and words != ["frobnicate"]:
        answer = run(*words, "--json")
        assert answer.code == code
        assert set(answer.json["error"]) == {"code", "message", "fix"}
        assert error in answer.json["error"]["message"]


GARBAGE = [
    "",
    "[]",
    "5",
    "version: 2",
    "version: 1",
    "{",
    "version: 1\nsource: 5\ntarget: memory:t",
    "version: 1\nsource: memory:s\ntarget: memory:t\nfilter: 1",
    "version: 1\nsource: memory:s\ntarget: memory:t\nselection: {filter: [1]}",
    "version: 1\nsource: memory:s\ntarget: memory:t\nselection: {filter: {day: {$eq: 2024-01-01}}}",
    "version: 1\nsource: memory:s\ntarget: memory:t\nselection: {filter: {1: 2}}",
    "version: 1\nsource: memory:s\ntarget: memory:t\nselection: [x]",
    "version: 1\nsource: memory:s\ntarget: memory:t\nmapping: {target_namespace: 5}",
    "version: 1\nsource: memory:s\ntarget: memory:t\nfindings: 5",
    "version: 1\nsource: memory:s\ntarget: memory:t\nfindings: [5]",
    "version: 1\nsource: memory:s\ntarget: memory:t\nfindings: [{severity: bad, code: x, message: y}]",
    "version: 1\nsource: memory:s\ntarget: memory:t\nestimate: [1]",
    "version: 1\nsource: memory:s\ntarget: memory:t\nestimate: {a: 2024-01-01}",
    "version: 1\nsource: memory:s\ntarget: memory:t\ncollection: {name: 5}",
    "version: 1\nsource: memory:s\ntarget: memory:t\ncollection: {name: x, dimension: wide, metric: cosine}",
    "version: 1\nsource: memory:s\ntarget: memory:t\nworkers: 0",
    "version: 1\nsource: memory:s\ntarget: memory:t\nworkers: true",
    "version: 1\nsource: memory:s\ntarget: memory:t\non_conflict: [upsert]",
    "version: 1\nsource: memory:s\ntarget: memory:t\nroute: {a: b}",
    "\x00\x01",
    "!!python/object:os.system {}",
    "a: &a [*a]",
]


@pytest.mark.parametrize("text", GARBAGE)
def test_a_garbled_plan_is_one_clear_error(run, seeded, text):
    Path("plan.yaml").write_text(text, "utf-8")
    answer = run("run", "plan.yaml", "--json")
    assert answer.code == 2, answer.out
    assert set(answer.json["error"]) == {"code", "message", "fix"}
    assert answer.json["error"]["code"] != "internal_error"
    assert run("runs", "--json").json == {"runs": []}


@pytest.mark.parametrize(
    "name", ["nbsp\u00a0", "\u0085next", "zero\u200bwidth", "\U000e0041tag", "\x1b[31mred", 'quote"\\', "日本", "\u2028line", "\U0001f600", "\ue000"]
)
def test_ids_are_data_in_json_and_on_a_terminal(run, seeded, name):
    memory.COLLECTIONS["t"] = memory.Table(3)
    memory.COLLECTIONS["t"].append(numbered(40))
    memory.COLLECTIONS["t"].append(batch_of([{"id": name, "namespace": name}]))
    answer = run("verify", "memory:s", "memory:t", "--json")
    (row,) = answer.json["differences"]
    assert (row["id"], row["namespace"]) == (name, name)
    assert "\x1b" not in answer.out
    assert "\x1b" not in run("verify", "memory:s", "memory:t").out


# -- other processes

CLI = """
import sys
from migrator.cli import main
from migrator.connectors import memory
from tests.unit.batches import numbered
memory.COLLECTIONS["s"] = memory.Table(3)
memory.COLLECTIONS["s"].append(numbered(2000))
sys.exit(main(sys.argv[1:]))
"""


def started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CLI, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )


def running(home: Path) -> str:
    """Wait for the first run of a home to have copied something, and return it."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if (home / "ledger.db").exists():
            with closing(Service(home)) as service:
                for row in service.runs():
                    if row["counts"]["copied"]:
                        return row["run"]
        time.sleep(0.05)
    raise AssertionError("nothing was copied in time")


@pytest.mark.parametrize("number", rest_slow([signal.SIGTERM, signal.SIGINT]))
def test_a_signal_ends_with_130_and_the_run_can_be_resumed(run, home, number):
    process = started("copy", "memory:s", "memory:t?delay_ms=50", "--batch", "10", "--workers", "1", "--json")
    made = running(home)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    answer = Answer(process.returncode, out, err)
    assert (answer.code, answer.json["status"], answer.json["run"]) == (130, "interrupted", made)
    assert 0 < answer.json["counts"]["copied"] < 2000
    memory.COLLECTIONS["s"] = memory.Table(3)
    memory.COLLECTIONS["s"].append(numbered(2000))
    memory.COLLECTIONS["t"] = memory.Table(3)  # what the other process wrote there died with it
    resumed = run("resume", made, "--json")
    assert resumed.json["counts"] == {"scanned": 2000, "copied": 2000, "rejected": 0, "vanished": 0, "duplicate": 0}


def test_resuming_what_is_finished_gives_its_result_again(run, seeded):
    """Whoever resumes after a kill cannot know that the run had just ended."""
    made = run("copy", "memory:s", "memory:t", "--json")
    again = run("resume", made.json["run"], "--json")
    assert (again.code, again.json) == (0, made.json)
    assert "nothing is left to do" in again.err


def test_a_run_of_another_process_is_busy_and_can_be_steered(run, home):
    process = started("copy", "memory:s", "memory:t?delay_ms=50", "--batch", "10", "--workers", "1")
    made = running(home)
    run("resume", made).is_error(75, "another process")
    assert run("pause", made).code == 0
    out, err = process.communicate(timeout=30)
    assert Answer(process.returncode, out, err).code == 130
    assert f"resume {made}" in out
    assert run("status", made, "--json").json["status"] == "paused"


def test_a_killed_process_leaves_an_interrupted_run(run, home):
    process = started("copy", "memory:s", "memory:t?delay_ms=50", "--batch", "10", "--workers", "1")
    made = running(home)
    process.kill()
    process.communicate()
    assert run("status", made, "--json").json["status"] == "interrupted"
    assert run("cancel", made).code == 0


def test_as_a_program(source, tmp_path):
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "migrator", *words], capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )

    assert call("--version").returncode == 0
    assert "exit codes" in call("--help").stdout
    assert json.loads(call("inspect", source, "--json").stdout)["count"] == 50
    wrong = call("inspect", "parquet:./nowhere")
    assert (wrong.returncode in (2, 3), wrong.stdout, "Traceback" in wrong.stderr) == (True, "", False)


def test_a_closed_pipe_ends_quietly(source):
    process = subprocess.Popen(  # noqa: S602 - a shell makes the pipe
        f"{sys.executable} -m migrator inspect {source} | true",
        shell=True,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.communicate(timeout=60)[1] == ""


# -- secrets

CANARY = "canary-4f1c9e7b5a"


def test_a_secret_is_nowhere_but_in_the_environment(run, home, monkeypatch, tmp_path):
    monkeypatch.setenv("CANARY_NAME", CANARY)
    literal = f"milvus:demo?uri=http://127.0.0.1:9&token={CANARY}"
    answers = [
        run("plan", literal, "parquet:./out", "-o", "plan.yaml"),
        run("copy", "memory:nope", literal),
        run("inspect", f"milvus:demo?uri=http://user:{CANARY}@127.0.0.1:9"),
        run("inspect", "milvus:demo?uri=http://127.0.0.1:9&token=env:CANARY_NAME", "--json"),
        run("inspect", f"milvus/demo?token={CANARY}"),
        run("inspect", f"milvus:demo?token={CANARY}&token={CANARY}"),
        run("inspect", f"nowhere:demo?token={CANARY}"),
    ]
    with closing(Service()) as service:
        run_id = service.start_verify_pair(literal, "memory:nope", PlanOptions())
        status = service.wait(run_id)
        assert status["status"] == "failed"
        service.artifacts(run_id)
        assert CANARY not in json.dumps([status, service.runs()])
    for answer in answers:
        assert answer.code != 0
        assert CANARY not in answer.out + answer.err
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or CANARY.encode() not in path.read_bytes(), path


def test_a_plan_file_is_held_against_the_stores_of_today(tmp_path, capsys) -> None:
    memory.COLLECTIONS["source"] = memory.Table(3)
    memory.COLLECTIONS["source"].append(numbered(5))
    assert main(["plan", "memory:source", "memory:target", "-o", str(tmp_path / "plan.yaml")]) == 0
    memory.COLLECTIONS["target"] = memory.Table(3)
    memory.COLLECTIONS["target"].append(batch_of([{"id": "somebody's"}]))
    capsys.readouterr()
    assert main(["run", str(tmp_path / "plan.yaml"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "target_has_foreign_records"
    assert len(memory.COLLECTIONS["target"].live()) == 1


@pytest.mark.parametrize("words", [["copy", "memory:source", "memory:target"], ["run", "plan.yaml"]], ids=lambda words: words[0])
def test_batches_read_back_are_counted(run, words):
    memory.COLLECTIONS["source"] = memory.Table(3)
    memory.COLLECTIONS["source"].append(numbered(30))
    assert run("plan", "memory:source", "memory:target", "--batch", "10", "--workers", "1", "-o", "plan.yaml").code == 0
    batched = ["--batch", "10", "--workers", "1"] if words[0] == "copy" else []
    answer = run(*words, *batched, "--verify-batches", "--json")
    counted = {"batches": 3, "records": 30, "differences": 0}
    assert (answer.code, answer.json["verified_batches"]) == (0, counted)
    assert run("status", answer.json["run"], "--json").json["verified_batches"] == counted
    assert "3 batches read back, 30 records; 0 differed at first" in run("status", answer.json["run"]).out


def test_a_plan_file_keeps_that_batches_are_read_back(run):
    memory.COLLECTIONS["source"] = memory.Table(3)
    memory.COLLECTIONS["source"].append(numbered(5))
    assert run("plan", "memory:source", "memory:target", "--verify-batches", "-o", "plan.yaml").code == 0
    assert run("run", "plan.yaml", "--json").json["verified_batches"]["records"] == 5
    Path("plan.yaml").write_text(Path("plan.yaml").read_text().replace("verify_batches: true", "verify_batches: perhaps"))
    run("run", "plan.yaml").is_error(2, "verify_batches: 'perhaps' is not a valid value")


@pytest.mark.parametrize("name", ["parquet:{0}/gone", "numpy:{0}/gone", "parquet:{0}/*.parquet", "faiss:{0}/gone.index"])
def test_a_source_that_is_not_there_is_no_store_s_error(run, tmp_path, name):
    answer = run("copy", name.format(tmp_path), "memory:t")
    assert answer.code == 2
    assert "fix: " in answer.err
