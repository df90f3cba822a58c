"""The front: one port for HTTP/1.1 and HTTP/2, told apart by whatever comes first, however it is cut, and nothing left behind at the end."""

from __future__ import annotations

import http.client
import socket
import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from migrator.local_pinecone import http2_frames as frames
from migrator.local_pinecone.front import Front, Site
from migrator.local_pinecone.http2 import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


async def echo(scope: dict, receive: Any, send: Any) -> None:
    """Answer with the request's target and the length of its body."""
    size, more = 0, True
    while more:
        event = await receive()
        size, more = size + len(event.get("body", b"")), event.get("more_body", False)
    body = f"{scope['path']}?{scope['query_string'].decode()} {size}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def front() -> Iterator[Front]:
    before = set(threading.enumerate())
    front = Front("127.0.0.1")
    yield front
    front.stop()
    assert not [thread for thread in threading.enumerate() if thread not in before and thread.name.startswith("local-pinecone")]


def repeat(request: Request) -> Response:
    """Answer a gRPC call with what it was sent."""
    return Response([(":status", "200"), ("content-type", "application/grpc")], b"".join(request.body), [("grpc-status", "0")])


def call(port: int, body: bytes) -> bytes:
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)]) as channel:
        return channel.unary_unary("/S/Echo")(body, timeout=30)


def get(port: int, target: str, body: bytes | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET" if body is None else "POST", target, body=body)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_both_protocols_on_one_port(front: Front) -> None:
    port = front.open(Site(echo, repeat))
    assert get(port, "/a?b=c") == (200, "/a?b=c 0")
    assert call(port, b"hello") == b"hello"
    assert get(port, "/a", b"x" * 3_000_000) == (200, "/a? 3000000")
    big = bytes(range(256)) * 40_000
    assert call(port, big) == big


def test_a_client_that_does_not_read_its_answers_keeps_nobody_waiting(front: Front) -> None:
    port = front.open(Site(echo, repeat))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        protocol = H2Connection(H2Configuration(client_side=True))
        protocol.initiate_connection()
        for stream in range(1, 41, 2):
            protocol.send_headers(stream, [(":method", "POST"), (":scheme", "http"), (":path", "/S/Echo"), (":authority", "x")])
            client.sendall(protocol.data_to_send())
            client.sendall(data_frames(stream, bytes(200_000)))
        assert call(port, b"still there") == b"still there"
        assert call(front.open(Site(echo, repeat)), b"and here") == b"and here"


def data_frames(stream: int, body: bytes) -> bytes:
    """Return a body in frames of 16 KB, whatever the server allows."""
    pieces = [body[start : start + 16_384] for start in range(0, len(body), 16_384)]
    return b"".join(frames.frame(frames.Kind.DATA, int(place == len(pieces) - 1), stream, piece) for place, piece in enumerate(pieces))


def test_a_port_answers_for_its_own_site(front: Front) -> None:
    async def other(scope: dict, receive: Any, send: Any) -> None:
        await echo(scope | {"path": "other"}, receive, send)

    one, two = front.open(Site(echo)), front.open(Site(other))
    assert get(one, "/x")[1] == "/x? 0"
    assert get(two, "/x")[1] == "other? 0"


def test_a_very_long_url_is_read(front: Front) -> None:
    query = "&".join(f"ids={number:0500d}" for number in range(1000))
    assert get(front.open(Site(echo)), f"/vectors/fetch?{query}") == (200, f"/vectors/fetch?{query} 0")


def test_a_preface_cut_into_bytes_is_http2(front: Front) -> None:
    port = front.open(Site(echo, repeat))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in PREFACE:
            client.sendall(bytes([byte]))
        client.sendall(b"\0\0\0\x04\0\0\0\0\0")  # an empty SETTINGS frame
        assert client.recv(9)[3] == 4  # the server's own


def test_what_only_begins_like_http2_is_http1(front: Front) -> None:
    with socket.create_connection(("127.0.0.1", front.open(Site(echo))), timeout=30) as client:
        client.sendall(b"PR")
        client.sendall(b"OPFIND /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def hung_up(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:  # it closed with our bytes unread
        return True


def test_http2_where_there_is_none_is_hung_up_on(front: Front) -> None:
    with socket.create_connection(("127.0.0.1", front.open(Site(echo))), timeout=30) as client:
        client.sendall(PREFACE)
        assert hung_up(client)


def test_stopping_ends_every_connection() -> None:
    front = Front("127.0.0.1")
    port = front.open(Site(echo, repeat))
    silent, spoken, joined = (socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(3))
    spoken.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer = b""
    while not answer.endswith(b"/? 0"):
        answer += spoken.recv(1000)
    joined.sendall(PREFACE + b"\0\0\0\x04\0\0\0\0\0")
    assert joined.recv(9)
    front.stop()
    for client in (silent, spoken, joined):
        with client:
            while not hung_up(client):
                pass
    socket.create_server(("127.0.0.1", port)).close()  # the port is free again


def test_a_closed_port_is_listened_on_no_more(front: Front) -> None:
    port = front.open(Site(echo))
    assert get(port, "/")[0] == 200
    front.close(port)
    front.open(Site(echo), port)  # bound again, so it was let go of
    assert get(port, "/")[0] == 200


def test_a_port_that_is_taken_is_an_error(front: Front) -> None:
    with pytest.raises(OSError, match="in use"):
        front.open(Site(echo), front.open(Site(echo)))
