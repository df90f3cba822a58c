"""HTTP/2 as clients other than gRPC's speak it: small windows, torn and padded frames, several calls at once, and broken rules."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes

from migrator.local_pinecone import http2_frames as frames
from migrator.local_pinecone.http2 import Http2Connection, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEADERS = [(":method", "POST"), (":scheme", "http"), (":path", "/S/Echo"), (":authority", "x"), ("te", "trailers")]
BIG = bytes(range(256)) * 8_000


def repeat(request: Request) -> Response:
    """Answer with the body, and tell the ``x-…`` headers as trailers."""
    told = [(name, value) for name, value in request.headers if name.startswith("x-")]
    return Response([(":status", "200")], b"".join(request.body), [("grpc-status", "0"), *told])


class Client:
    """A client made of the ``h2`` library."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self.protocol = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.protocol.initiate_connection()
        self.bodies: dict[int, bytes] = {}
        self.headers: dict[int, list[tuple[str, str]]] = {}
        self.ended: set[int] = set()
        self.seen: list[events.Event] = []
        self.flush()

    def flush(self) -> None:
        self.socket.sendall(self.protocol.data_to_send())

    def ask(self, stream: int, body: bytes, *more: tuple[str, str]) -> None:
        self.protocol.send_headers(stream, [*HEADERS, *more], end_stream=not body)
        self.flush()
        while body:
            size = min(self.protocol.local_flow_control_window(stream), self.protocol.max_outbound_frame_size, len(body))
            if not size:
                self.read()
                continue
            self.protocol.send_data(stream, body[:size], end_stream=size == len(body))
            body = body[size:]
            self.flush()

    def read(self, *, allow: bool = True) -> bool:
        """Take what has come; with ``allow`` the server may send as much again. Return whether the connection goes on."""
        received = self.socket.recv(1 << 16)
        for event in self.protocol.receive_data(received):
            self.seen.append(event)
            stream = getattr(event, "stream_id", 0)
            if isinstance(event, (events.ResponseReceived, events.TrailersReceived)):
                self.headers.setdefault(stream, []).extend(event.headers)
            elif isinstance(event, events.DataReceived):
                self.bodies[stream] = self.bodies.get(stream, b"") + event.data
                if allow:
                    self.protocol.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, events.StreamEnded):
                self.ended.add(stream)
        self.flush()
        return bool(received)

    def wait(self, *streams: int) -> None:
        while not set(streams) <= self.ended:
            assert self.read()


@contextlib.contextmanager
def serving(answer: Callable[[Request], Response]) -> Iterator[socket.socket]:
    theirs, ours = socket.socketpair()
    ours.settimeout(30)
    with ThreadPoolExecutor(3) as workers, theirs, ours:
        connection = Http2Connection(theirs, answer, workers)
        thread = threading.Thread(target=connection.serve)
        thread.start()
        yield ours
        connection.end()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def end() -> Iterator[socket.socket]:
    with serving(repeat) as ours:
        yield ours


def test_what_is_asked_is_answered_with_trailers(end: socket.socket) -> None:
    client = Client(end)
    client.ask(1, b"hello", ("x-first", "é"))
    client.ask(3, BIG)
    client.wait(1, 3)
    assert client.bodies == {1: b"hello", 3: BIG}
    assert client.headers[1] == [(":status", "200"), ("grpc-status", "0"), ("x-first", "é")]


def test_a_client_that_allows_little_gets_everything_in_pieces(end: socket.socket) -> None:
    client = Client(end)
    client.protocol.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 1000, SettingCodes.MAX_FRAME_SIZE: 20_000})
    client.flush()
    client.ask(1, BIG[:300_000])
    client.wait(1)
    assert client.bodies[1] == BIG[:300_000]
    assert max(len(event.data) for event in client.seen if isinstance(event, events.DataReceived)) <= 1000


def test_the_window_is_kept_to_until_it_is_opened(end: socket.socket) -> None:
    client = Client(end)
    client.ask(1, BIG[:200_000])
    while len(client.bodies.get(1, b"")) < 65_535:
        client.read(allow=False)
    end.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.read(allow=False)
    assert len(client.bodies[1]) == 65_535
    end.settimeout(30)
    client.protocol.increment_flow_control_window(1 << 20)
    client.protocol.increment_flow_control_window(1 << 20, 1)
    client.flush()
    client.wait(1)
    assert client.bodies[1] == BIG[:200_000]


def test_calls_do_not_wait_for_each_other() -> None:
    first = threading.Event()

    def answer(request: Request) -> Response:
        if b"".join(request.body) == b"slow":
            assert first.wait(30)
        return repeat(request)

    with serving(answer) as end:
        client = Client(end)
        client.ask(1, b"slow")
        client.ask(3, b"fast")
        client.wait(3)
        assert 1 not in client.ended
        first.set()
        client.wait(1)


def test_one_that_takes_nothing_more_holds_up_no_other(end: socket.socket) -> None:
    client = Client(end)
    client.protocol.increment_flow_control_window(1 << 24)
    client.flush()
    client.ask(1, BIG)
    while len(client.bodies.get(1, b"")) < 65_535:
        client.read(allow=False)
    client.ask(3, b"small")
    client.wait(3)
    client.protocol.reset_stream(1)
    client.ask(5, b"after")
    client.wait(5)
    assert client.bodies[5] == b"after"


def test_padding_and_priority_are_no_part_of_what_is_said(end: socket.socket) -> None:
    client = Client(end)
    client.protocol.send_headers(1, HEADERS, priority_weight=7, priority_depends_on=0, priority_exclusive=True)
    client.protocol.send_data(1, b"padded", end_stream=True, pad_length=100)
    client.flush()
    client.wait(1)
    assert client.bodies[1] == b"padded"


def test_headers_too_long_for_a_frame_come_in_several(end: socket.socket) -> None:
    client = Client(end)
    client.ask(1, b"x", ("x-long", "v" * 40_000))
    client.wait(1)
    assert ("x-long", "v" * 40_000) in client.headers[1]


def test_a_response_without_trailers_ends_with_its_headers() -> None:
    with serving(lambda _: Response([(":status", "200"), ("grpc-status", "12")])) as end:
        client = Client(end)
        client.ask(1, b"x")
        client.wait(1)
        assert client.headers[1] == [(":status", "200"), ("grpc-status", "12")]
        assert not client.bodies


def test_a_ping_is_answered_and_an_unknown_frame_ignored(end: socket.socket) -> None:
    client = Client(end)
    end.sendall(frames.frame_start(frames.Kind.PRIORITY, 0, 1, 5) + bytes(5))
    end.sendall(b"\0\0\3\xee\0\0\0\0\0abc")  # of a type that does not exist
    client.protocol.ping(b"12345678")
    client.flush()
    while not any(isinstance(event, events.PingAckReceived) and event.ping_data == b"12345678" for event in client.seen):
        client.read()


HELLO = frames.PREFACE + frames.settings_frame({})
CALL = b"\x83\x87\x84"
"""The header block of ``POST http /``."""
BROKEN = {
    "a frame too long": (frames.frame_start(frames.Kind.DATA, 0, 1, 1 << 22), frames.Reason.FRAME_SIZE_ERROR),
    "padding longer than the frame": (frames.frame(frames.Kind.DATA, frames.PADDED, 1, b"\xffx"), frames.Reason.PROTOCOL_ERROR),
    "a padded frame of nothing": (frames.frame(frames.Kind.DATA, frames.PADDED, 1, b""), frames.Reason.FRAME_SIZE_ERROR),
    "headers nobody can unpack": (frames.frame(frames.Kind.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff"), frames.Reason.COMPRESSION_ERROR),
    "headers of no stream": (frames.frame(frames.Kind.HEADERS, frames.END_HEADERS, 0, b""), frames.Reason.PROTOCOL_ERROR),
    "a continuation of nothing": (frames.frame(frames.Kind.CONTINUATION, frames.END_HEADERS, 1, b""), frames.Reason.PROTOCOL_ERROR),
    "something else between headers": (
        frames.frame(frames.Kind.HEADERS, 0, 1, b"") + frames.frame(frames.Kind.PING, 0, 0, bytes(8)),
        frames.Reason.PROTOCOL_ERROR,
    ),
    "an even stream": (frames.frame(frames.Kind.HEADERS, frames.END_HEADERS, 2, CALL), frames.Reason.PROTOCOL_ERROR),
    "a stream used again": (
        b"".join(frames.frame(frames.Kind.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, CALL) for stream in (3, 1)),
        frames.Reason.STREAM_CLOSED,
    ),
    "data before headers": (frames.frame(frames.Kind.DATA, 0, 1, b"x"), frames.Reason.PROTOCOL_ERROR),
    "half a setting": (frames.frame(frames.Kind.SETTINGS, 0, 0, b"abc"), frames.Reason.FRAME_SIZE_ERROR),
    "frames of no bytes": (frames.settings_frame({frames.Setting.MAX_FRAME_SIZE: 0}), frames.Reason.PROTOCOL_ERROR),
    "a window too large": (frames.settings_frame({frames.Setting.INITIAL_WINDOW_SIZE: 1 << 31}), frames.Reason.FLOW_CONTROL_ERROR),
    "half a number": (frames.frame(frames.Kind.WINDOW_UPDATE, 0, 0, b"abc"), frames.Reason.FRAME_SIZE_ERROR),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_rule_ends_the_connection_with_its_reason(end: socket.socket, what: str) -> None:
    said, reason = BROKEN[what]
    end.sendall(HELLO + said)
    heard = b""
    while not any(frames.goaway(last, reason)[9:] in heard for last in (0, 1, 3)):
        received = end.recv(1000)
        assert received, heard
        heard += received


def test_endless_headers_are_not_collected(end: socket.socket) -> None:
    end.sendall(HELLO + frames.frame(frames.Kind.HEADERS, 0, 1, bytes(1000)))
    piece = frames.frame(frames.Kind.CONTINUATION, 0, 1, bytes(1 << 20))
    with contextlib.suppress(OSError):  # it hangs up before it has taken them all
        for _ in range(4):
            end.sendall(piece)
    heard = b""
    with contextlib.suppress(ConnectionResetError):
        while received := end.recv(1000):
            heard += received
    assert frames.Reason.COMPRESSION_ERROR.to_bytes(4, "big") in heard


def test_what_is_no_http2_is_hung_up_on(end: socket.socket) -> None:
    end.sendall(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
    end.shutdown(socket.SHUT_WR)
    assert end.recv(100) == b""
