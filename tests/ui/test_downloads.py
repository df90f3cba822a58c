"""The download route: streams what a page signed, and nothing else."""

import http.client
import threading
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from ui import downloads


@dataclass(frozen=True)
class Answer:
    status_code: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def text(self):
        return self.content.decode()


@contextmanager
def served(app):
    """Serve ``app`` on a free port of the loopback."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def port():
    with served(Starlette(routes=[Route("/api/files/{token}", downloads.send), Route("/api/health", downloads.health)])) as port:
        yield port


class Client:
    def __init__(self, port):
        self.port = port

    def get(self, path, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer


@pytest.fixture
def client(port):
    return Client(port)


def test_health(client):
    assert client.get("/api/health").text == "ok\n"


def test_a_signed_file_is_streamed_as_it_is(client, tmp_path):
    path = tmp_path / "part-0.parquet"
    path.write_bytes(bytes(range(256)) * 4096)
    answer = client.get(downloads.link(path, "products.parquet"), headers={"Accept-Encoding": "gzip"})
    assert answer.content == path.read_bytes()
    assert answer.headers["Content-Length"] == str(path.stat().st_size)
    assert answer.headers["Content-Encoding"] == "identity"
    assert 'filename="products.parquet"' in answer.headers["Content-Disposition"]


def test_a_range_goes_on_where_a_download_stopped(client, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(range(200)))
    answer = client.get(downloads.link(path), headers={"Range": "bytes=150-"})
    assert answer.status_code == 206
    assert answer.content == bytes(range(150, 200))


@pytest.mark.parametrize("token", ["x", "L2V0Yy9wYXNzd2Q", "..%2f..%2fetc%2fpasswd", "WyIvZXRjL3Bhc3N3ZCIsICJ4Il0.aSAFzA.AAAAAAAAAAAAAAAAAAAAAAAAAAA"])
def test_an_unsigned_link_is_refused(client, token):
    assert client.get(f"/api/files/{token}").status_code in {403, 404}


def test_an_altered_link_is_refused(client, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"x")
    link = downloads.link(path)
    assert client.get(link[:-2] + ("AA" if link[-2:] != "AA" else "BB")).status_code == 403


def test_a_link_expires(client, tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"x")
    link = downloads.link(path)
    monkeypatch.setattr(downloads, "LIFETIME", -1)
    answer = client.get(link)
    assert answer.status_code == 410
    assert "Reload the page" in answer.text


def test_a_file_replaced_by_a_symbolic_link_is_not_followed(client, tmp_path):
    path, secret = tmp_path / "a.bin", tmp_path / "secret"
    path.write_bytes(b"x")
    secret.write_bytes(b"secret")
    link = downloads.link(path)
    path.unlink()
    path.symlink_to(secret)
    assert client.get(link).status_code == 404


def test_a_file_that_is_gone(client, tmp_path):
    assert client.get(downloads.link(tmp_path / "never.bin")).status_code == 404


def test_a_generated_text(client):
    answer = client.get(downloads.text_link("version: 1\nname: é\n", "plan.yaml"))
    assert answer.content.decode() == "version: 1\nname: é\n"
    assert "plan.yaml" in answer.headers["Content-Disposition"]


def test_generated_texts_do_not_pile_up(client):
    first = downloads.text_link("first", "a")
    links = [downloads.text_link(f"text {number}", "a") for number in range(downloads.MOST_TEXTS)]
    assert client.get(first).status_code == 404
    assert client.get(links[-1]).text == f"text {downloads.MOST_TEXTS - 1}"
