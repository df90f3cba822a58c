"""The server as a whole: it starts and stops quickly and leaves nothing behind, keeps data and ports, and runs as a command."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from migrator.errors import ConfigError
from migrator.local_pinecone.engine import Settings
from migrator.local_pinecone.server import running
from migrator.pinecone_protocol.messages import MESSAGES as M
from tests.local_pinecone.conftest import Caller, make_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VECTOR = M["Vector"](id="a", values=b"\0\0\x80\x3f" * 3)


def ours() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("local-pinecone")}


def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    others = ours()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with running() as server:
        caller = Caller(make_index(server, "a"))
        caller("Upsert", vectors=[VECTOR])
        assert httpx.get(server.url + "/indexes", headers={"Api-Key": "k"}).json()["indexes"][0]["name"] == "a"
        ports = [int(url.rpartition(":")[2]) for url in (server.url, server.host_of("a"))]
    assert ours() <= others
    assert not list(tmp_path.iterdir())
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()
    server.close()  # safe twice
    caller.channel.close()


def test_data_and_ports_outlive_the_server(tmp_path: Path) -> None:
    with running(data=tmp_path) as server:
        host = make_index(server, "a")
        make_index(server, "gone")
        Caller(host)("Upsert", vectors=[VECTOR], namespace="n")
        server.engine.delete("gone")
    with running(data=tmp_path) as server:
        assert [one.key for one in Caller(host)("Fetch", ids=["a"], namespace="n").vectors] == ["a"]
        assert server.host_of("a") == host
        assert json.loads((tmp_path / "ports.json").read_bytes()) == {"a": int(host.rpartition(":")[2])}


def test_an_index_whose_port_was_taken_gets_another(tmp_path: Path) -> None:
    with running(data=tmp_path) as server:
        host = make_index(server, "a")
    with socket.create_server(("127.0.0.1", int(host.rpartition(":")[2]))), running(data=tmp_path) as server:
        assert server.host_of("a") != host
        assert Caller(server.host_of("a"))("DescribeIndexStats").dimension == 3


def test_a_port_that_is_taken_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    others = ours()
    with running() as server, pytest.raises(ConfigError, match="cannot be used") as caught, running(port=int(server.url.rpartition(":")[2])):
        pass
    assert caught.value.code == "port_taken"
    assert caught.value.exit_code == 2
    assert ours() <= others


def test_settings_may_be_changed_while_it_runs() -> None:
    with running(Settings(api_keys={"one"})) as server:
        assert httpx.get(server.url + "/indexes", headers={"Api-Key": "two"}).status_code == 401
        server.engine.settings.api_keys = {"two"}
        assert httpx.get(server.url + "/indexes", headers={"Api-Key": "two"}).status_code == 200


class Command:
    """The command running in a process of its own."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "migrator", "local-pinecone", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def first_line(self) -> str:
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return line

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(how)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[Command] = []

    def command(*words: str) -> Command:
        started.append(Command(*words))
        return started[-1]

    yield command
    for one in started:
        one.process.kill()
        one.process.communicate()


def test_the_command_serves_until_it_is_told_to_stop_and_keeps_its_data(start: Any, tmp_path: Path) -> None:
    index = {"name": "a", "dimension": 3, "metric": "cosine", "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}}}
    command = start("--port", "0", "--data", str(tmp_path / "new" / "folder"), "--json")
    answer = json.loads(command.first_line())
    assert answer["environment"]["PINECONE_CONTROLLER_HOST"] == answer["url"]
    headers = {"Api-Key": answer["environment"]["PINECONE_API_KEY"], "X-Pinecone-Api-Version": "2025-10"}
    host = httpx.post(answer["url"] + "/indexes", headers=headers, json=index).raise_for_status().json()["host"]
    Caller(host)("Upsert", vectors=[VECTOR])
    assert command.end() == (0, "")

    command = start("--port", "0", "--data", str(tmp_path / "new" / "folder"), "--json")
    command.first_line()
    assert Caller(host)("DescribeIndexStats").total_vector_count == 1
    assert command.end(signal.SIGINT) == (0, "")


def test_what_was_acknowledged_survives_a_kill(start: Any, tmp_path: Path) -> None:
    command = start("--port", "0", "--data", str(tmp_path), "--json")
    url = json.loads(command.first_line())["url"]
    index = {"name": "a", "dimension": 3, "metric": "cosine", "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}}}
    headers = {"Api-Key": "k", "X-Pinecone-Api-Version": "2025-10"}
    host = httpx.post(url + "/indexes", headers=headers, json=index).raise_for_status().json()["host"]
    Caller(host)("Upsert", vectors=[VECTOR])
    command.end(signal.SIGKILL)
    with running(data=tmp_path) as server:
        assert Caller(server.host_of("a"))("DescribeIndexStats").total_vector_count == 1


def test_the_command_says_what_to_export_and_lets_only_its_key_in(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret-words")
    command = start("--port", "0", "--api-key", "env:MY_KEY", "--freshness-lag", "60", "--rate-limits", "--ne-matches-missing", "no", "--ready-delay", "60")
    url = command.first_line().split(" at ")[1].split(",")[0]
    assert command.first_line() == f"export PINECONE_CONTROLLER_HOST={url}\n"
    command.first_line()
    assert command.first_line() == "export PINECONE_API_KEY=${MY_KEY}\n"
    assert httpx.get(url + "/indexes", headers={"Api-Key": "other"}).status_code == 401
    headers = {"Api-Key": "secret-words", "X-Pinecone-Api-Version": "2025-10"}
    index = {"name": "a", "dimension": 3, "metric": "cosine", "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}}}
    assert httpx.post(url + "/indexes", headers=headers, json=index).json()["status"]["ready"] is False
    assert command.end() == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ["--port", "x"],
        ["--port", "65536"],
        ["--freshness-lag", "-1"],
        ["--ready-delay", "nan"],
        ["--data", "/dev/null/x"],
        ["--api-key", "env:NOT_SET_ANYWHERE"],
    ],
)
def test_bad_options_are_bad_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from migrator.cli import main  # noqa: PLC0415

    assert main(["local-pinecone", *words]) == 2
    assert capsys.readouterr().err.startswith("error: ")
