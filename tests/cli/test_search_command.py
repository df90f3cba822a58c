"""search RUN: its options, its answers for scripts and for people, its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import faiss
import numpy as np
import pytest

from migrator.cli import main
from migrator.connectors import memory
from migrator.connectors.memory.table import Table
from migrator.records import make_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
KEYS = {
    *("verdict", "k", "threshold", "metric", "queries", "queries_from", "filter", "recall", "unsearchable", "overlap", "score_drift", "latency_ms"),
    *("namespaces", "answers", "truth", "seconds", "finished", "findings"),
}


@pytest.fixture
def made(tmp_path, monkeypatch, capsys) -> Iterator[str]:
    """A proven run between two collections in memory."""
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    before = dict(memory.COLLECTIONS)
    table = memory.COLLECTIONS["s"] = Table(4)
    for number, namespace in enumerate(("", "b")):
        values = np.random.default_rng(number).standard_normal((80, 4), dtype=np.float32)
        metadata = [json.dumps({"n": n}) for n in range(80)]
        table.append(make_batch([f"{namespace}{n}" for n in range(80)], values, namespace=namespace, metadata=metadata))
    assert main(["copy", "memory:s", "memory:t", "--json"]) == 0
    yield json.loads(capsys.readouterr().out)["run"]
    memory.COLLECTIONS.clear()
    memory.COLLECTIONS.update(before)


def test_pass_for_scripts_and_people(made, capsys):
    assert main(["search", made, "--samples", "30", "--top-k", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() >= KEYS
    assert (found["verdict"], found["queries"], found["k"]) == ("pass", 30, 5)
    assert main(["search", made, "--samples", "30"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"pass: search on run {made}\n")
    for part in (
        "the target finds 100.0% of the true nearest 10",
        "160 records of the target",
        "source     recall 100.0%",
        "target     recall 100.0%",
        "(default)",
        "100.0% of the answers",
    ):
        assert part in text


def test_fail_is_one(made, capsys, monkeypatch):
    exact = memory.MemoryStore.search
    monkeypatch.setattr(memory.MemoryStore, "search", lambda self, *a, **kw: [hits[:7] if self._name == "t" else hits for hits in exact(self, *a, **kw)])
    assert main(["search", made]) == 1
    text = capsys.readouterr().out
    assert text.startswith(f"fail: search on run {made}\n")
    assert "worst " in text
    assert main(["search", made, "--threshold", "0.6"]) == 0
    assert main(["report", made]) == 0


def test_options_reach_the_search(made, capsys, tmp_path):
    (tmp_path / "q.json").write_text(json.dumps([[1, 0, 0, 0], {"id": "mine", "values": [0, 1, 0, 0], "namespace": ""}]))
    words = ["--queries", str(tmp_path / "q.json"), "--filter", '{"n": {"$lt": 20}}', "--namespace", "b", "--threshold", "0.5", "--json"]
    assert main(["search", made, *words]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["queries"], found["queries_from"], list(found["namespaces"]), found["threshold"]) == (1, "file", ["b"], 0.5)
    assert found["filter"] == {"n": {"$lt": 20}}
    assert main(["search", made, "--namespace", "", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["namespaces"]) == [""]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--threshold", "2"], "bad_usage", "share"),
        (["--top-k", "0"], "bad_usage", "whole number"),
        (["--top-k", "5000"], "bad_option", "k is 5,000"),
        (["--filter", "[]"], "bad_usage", "JSON object"),
        (["--filter", "{}"], "bad_filter", "at least one condition"),
        (["--queries", "nowhere.npy"], "bad_queries", "nowhere.npy"),
        (["--namespace", "x"], "unknown_namespace", "'x'"),
    ],
)
def test_bad_usage_is_two_and_names_the_option(made, capsys, words, code, said):
    assert main(["search", made, *words, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], said in error["message"]) == (code, True)
    assert main(["search", made, *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-2].startswith("error: ")


def test_an_unknown_run(made, capsys):
    assert main(["search", "nope", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "unknown_run"


def test_status_and_runs_do_not_change(made, capsys):
    assert main(["search", made, "--json"]) == 0
    capsys.readouterr()
    assert main(["status", made, "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["status"], status["progress"], status["error"]) == ("proven", 1.0, None)


@pytest.mark.slow
def test_killed_just_after_its_end_the_result_is_there_and_the_run_what_it_was(tmp_path):
    index = faiss.IndexFlatL2(8)
    index.add(np.random.default_rng(1).standard_normal((300, 8), dtype=np.float32))
    faiss.write_index(index, str(tmp_path / "a.index"))

    def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "MIGRATOR_HOME": str(tmp_path / "home"), **environment}
        return subprocess.run([sys.executable, "-m", "migrator", *command, "--json"], cwd=ROOT, env=variables, capture_output=True, text=True, check=False)

    made = json.loads(run("copy", f"faiss:{tmp_path}/a.index", f"parquet:{tmp_path}/out").stdout)["run"]
    assert run("search", made, MIGRATOR_FAILPOINT="search_saved").returncode == 137
    status = json.loads(run("status", made).stdout)
    assert (status["status"], status["error"]) == ("proven", None)
    again = json.loads(run("verify", made).stdout)
    assert (again["verdict"], again["search"]["judged"], again["search"]["recall"]["source"]["mean"]) == ("proven", False, 1.0)
    assert again["search"]["proof_finished"] < again["finished"]
