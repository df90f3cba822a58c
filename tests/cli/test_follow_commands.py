"""Following, stopping, cutting over and resetting from the command line."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from migrator.cli import main
from migrator.cli.delta import follow_of
from migrator.cli.parser import build_parser
from migrator.errors import ConfigError
from migrator.model import Follow
from migrator.service import Service, command, load_plan
from tests.cli.test_commands import ROOT, Answer
from tests.durability.shelf import Shelf
from tests.durability.test_follow import row
from tests.runs.test_steering import until

PROGRAM = "import sys, tests.durability.shelf\nfrom migrator.__main__ import main\nsys.exit(main())"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def source(tmp_path) -> Shelf:
    found = Shelf(str(tmp_path / "source.db"))
    found.create()
    found.put([row(random.Random(n), "", f"i{n:03}") for n in range(30)])
    return found


@pytest.fixture
def run(capsys):
    def call(*words: str) -> Answer:
        capsys.readouterr()
        code = main(list(words))
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return call


def child(*words: str, stdin=subprocess.DEVNULL) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *words], cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def following(service) -> str:
    until(lambda: service.runs() and service.runs()[0]["phase"] == "following", 60)
    return service.runs()[0]["run"]


@pytest.fixture
def service(tmp_path):
    with closing(Service()) as opened:
        yield opened


def copy_words(source) -> list[str]:
    return ["copy", f"shelf:{source.path}", f"shelf:{source.path}.target", "--follow", "--interval", "0.1", "--deletes", "--json"]


def test_a_run_is_followed_changed_stopped_and_proven(source, run, service):
    def elsewhere() -> None:
        name = following(service)
        source.put([row(random.Random(7), "", "i999")])
        source.delete(["i001"], "")
        until(lambda: service.status(name)["follow"]["new"] == 1)
        said.append(service.status(name)["follow"])
        service.finish_following(name)

    said: list[dict] = []
    thread = threading.Thread(target=elsewhere)
    thread.start()
    answer = run(*copy_words(source))
    thread.join()
    assert (answer.code, answer.json["verdict"]) == (0, "proven")
    assert answer.json["counts"] == {"scanned": 30, "copied": 30, "rejected": 0, "vanished": 0, "duplicate": 0}
    assert {"passes", "new", "changed", "deleted", "lag_records", "lag_seconds", "last_pass"} <= set(said[0])
    assert (answer.json["follow"]["new"], answer.json["follow"]["deleted"]) == (1, 1)
    name = answer.json["run"]
    assert "follow" in run("status", name, "--json").json
    over = run("cutover", name, "--json")
    assert (over.code, over.json["ready"]) == (0, True)
    assert "nothing to re-point" in run("cutover", name).out


def test_sigterm_interrupts_and_the_run_is_resumed_and_stopped_from_another_process(source, run, service):
    started = child(*copy_words(source))
    try:
        name = following(service)
        started.send_signal(signal.SIGTERM)
        out, err = started.communicate(timeout=60)
        assert (started.returncode, json.loads(out)["status"]) == (130, "interrupted"), err
        source.put([row(random.Random(7), "", "i999")])
        started = child("resume", name, "--json")
        assert following(service) == name
        assert run("stop", name).code == 0
        out, err = started.communicate(timeout=60)
        assert (started.returncode, json.loads(out)["verdict"]) == (0, "proven"), err
        assert json.loads(out)["counts"]["copied"] == 31
    finally:
        started.kill()
        started.communicate()


def test_q_and_enter_on_a_terminal_stop_following(source, service):
    ours, theirs = pty.openpty()
    started = child(*copy_words(source), stdin=theirs)
    try:
        following(service)
        os.write(ours, b"x\n")
        os.write(ours, b"q\n")
        out, err = started.communicate(timeout=60)
        assert (started.returncode, json.loads(out)["verdict"]) == (0, "proven"), err
        assert "press q and Enter" in err
    finally:
        started.kill()
        started.communicate()
        os.close(ours)
        os.close(theirs)


def test_stamps_are_set_and_reset(source, run, tmp_path):
    before = source.content()
    assert run("copy", f"shelf:{source.path}", "shelf:out.db", "--stamp", "--json").code == 0
    assert all('"migrated":true' in (text or "") for _, text in source.content().values())
    answer = run("reset", f"shelf:{source.path}", "--json")
    assert (answer.code, answer.json) == (0, {"reset": 30, "namespaces": {"": 30}})
    assert {name: (vector, json.loads(text) if text else None) for name, (vector, text) in source.content().items()} == {
        name: (vector, json.loads(text) if text else None) for name, (vector, text) in before.items()
    }
    assert "0 records" in run("reset", f"shelf:{source.path}", "--namespace", "").out


def test_a_cut_over_that_cannot_be_is_exit_code_1(source, run):
    name = run("copy", f"shelf:{source.path}", "shelf:out.db", "--json").json["run"]
    Shelf("out.db").delete(["i003"], "")
    answer = run("cutover", name, "--json")
    assert (answer.code, answer.json["ready"], answer.json["done"]) == (1, False, [])
    assert "nothing was changed" in run("cutover", name).out


@pytest.mark.parametrize(
    "words",
    [
        ["copy", "memory:a", "memory:b", "--interval", "5"],
        ["copy", "memory:a", "memory:b", "--deletes"],
        ["copy", "memory:a", "memory:b", "--changes", "new"],
        ["copy", "memory:a", "memory:b", "--follow", "--interval", "-1"],
        ["copy", "memory:a", "memory:b", "--follow", "--interval", "nan"],
        ["copy", "memory:a", "memory:b", "--follow", "--changes", "some"],
        ["cutover", "r", "--delete-source"],
        ["cutover", "r", "--confirm", "x"],
        ["cutover", "r", "--scale", "replicas"],
        ["stop"],
    ],
)
def test_bad_usage_is_exit_code_2(run, words):
    run(*words).is_error(2, "")


def test_stopping_what_does_not_follow_or_exist_is_one_error(source, run):
    run("stop", "nope").is_error(2, "nope")
    name = run("copy", f"shelf:{source.path}", "shelf:out.db", "--json").json["run"]
    run("stop", name).is_error(2, "does not follow")


def test_the_options_go_into_the_plan_file_and_back(source, run):
    words = ["plan", f"shelf:{source.path}", "shelf:out.db", "--stamp", *copy_words(source)[3:-1], "--changes", "new", "-o", "plan.yaml"]
    assert run(*words).code == 0
    plan = load_plan(Path("plan.yaml").read_text(encoding="utf-8"))
    assert (plan.follow, plan.stamp) == (Follow(0.1, deletes=True, changes="new"), True)
    assert command(plan).endswith("--stamp --follow --interval 0.1 --deletes --changes new")


def test_options_of_run_go_over_those_of_the_file():
    def given(*words: str):
        return build_parser().parse_args(["run", "plan.yaml", *words])

    assert follow_of(given()) is None
    assert follow_of(given("--follow")) == Follow()
    assert follow_of(given(), Follow(5.0, deletes=True)) == Follow(5.0, deletes=True)
    assert follow_of(given("--interval", "7"), Follow(5.0, deletes=True)) == Follow(7.0, deletes=True)
    with pytest.raises(ConfigError, match="--interval"):
        follow_of(given("--interval", "7"))
