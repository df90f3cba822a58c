"""HTTP/2 connections whose requests are answered whole: what gRPC's unary calls need of RFC 9113.

Of the libraries, gRPC's server cannot adopt a connection that was accepted elsewhere, and ``h2`` spells every frame out in hexadecimal for a
log nobody keeps, which takes longer than answering it. Headers are compressed by ``hpack``; frames are simple. They are large here: a client
that is told so sends 2 MB in two frames instead of 128.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpack import Decoder, Encoder, HPACKError

from migrator.local_pinecone import http2_frames as frames
from migrator.local_pinecone.http2_frames import BrokenRuleError, Kind, Reason, Setting
from migrator.local_pinecone.http2_writer import Writer, hang_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from migrator.local_pinecone.http2_frames import Frame

_HEADER_TABLE_BYTES = 1 << 16
_HEADER_BYTES = 1 << 20
_SETTINGS = {
    Setting.ENABLE_PUSH: 0,
    Setting.MAX_CONCURRENT_STREAMS: 1000,
    Setting.INITIAL_WINDOW_SIZE: frames.LARGEST_WINDOW,
    Setting.MAX_FRAME_SIZE: frames.MOST_BYTES,
    Setting.MAX_HEADER_LIST_SIZE: _HEADER_BYTES,
}
_NEVER_FIRST = {Kind.DATA, Kind.RST_STREAM, Kind.WINDOW_UPDATE}
"""Frames that no stream begins with."""
_DEFAULT_WINDOW = 65_535
_ALLOWED_ANEW = 1 << 28
"""Bytes received before the client is allowed as many more; one connection may have eight times as many on their way."""

Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Request:
    """A request, its body in the pieces it came in."""

    headers: Headers
    body: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Response:
    """A response. Without ``trailers`` there is no body either: ``headers`` are all there is."""

    headers: Headers
    body: bytes = b""
    trailers: Headers | None = None


class Http2Connection:
    """Serves one client: ``answer`` is called on ``workers`` for each request, and must not raise."""

    def __init__(self, client: socket.socket, answer: Callable[[Request], Response], workers: Executor) -> None:
        self._client, self._answer, self._workers = client, answer, workers
        self._state = threading.Lock()
        """Guards what follows, which workers use as well."""
        self._encoder, self._decoder = Encoder(), Decoder(max_header_list_size=_HEADER_BYTES)
        self._requests: dict[int, Request] = {}
        self._block: list[Frame] = []
        """The frames of a header block that is not complete."""
        self._last_stream = self._received = 0
        self._window, self._stream_window, self._frame_bytes = _DEFAULT_WINDOW, _DEFAULT_WINDOW, frames.DEFAULT_BYTES
        self._used: defaultdict[int, int] = defaultdict(int)
        """Bytes sent in each open stream, less those the client allowed beyond the initial window."""
        self._bodies: dict[int, tuple[memoryview, Headers]] = {}
        """What is left to send of each answer, and its trailers."""
        self._writer = Writer(client)
        self._steps: dict[int, Callable[[Frame], None]] = {
            Kind.DATA: self._data,
            Kind.HEADERS: self._headers,
            Kind.CONTINUATION: self._headers,
            Kind.RST_STREAM: self._reset,
            Kind.SETTINGS: self._settings,
            Kind.PING: self._ping,
            Kind.WINDOW_UPDATE: self._window_update,
        }

    def serve(self) -> None:
        """Read and answer until the client ends the connection, breaks it, or the rules."""
        with contextlib.suppress(OSError), self._client.makefile("rb") as reader:
            try:
                if reader.read(len(frames.PREFACE)) == frames.PREFACE:
                    self._send(frames.settings_frame(_SETTINGS), frames.window_update(frames.LARGEST_WINDOW - _DEFAULT_WINDOW))
                    while (frame := frames.read_frame(reader)) is not None:
                        self._take(frame)
            except BrokenRuleError as broken:
                self._send(frames.goaway(self._last_stream, broken.reason))
        with self._state:  # what is still being answered goes nowhere
            self._used.clear()
            self._bodies.clear()
        self._writer.close()

    def _take(self, frame: Frame) -> None:
        if self._block and frame.kind != Kind.CONTINUATION:
            raise BrokenRuleError(Reason.PROTOCOL_ERROR)
        if frame.stream > self._last_stream and frame.kind in _NEVER_FIRST:
            raise BrokenRuleError(Reason.PROTOCOL_ERROR)
        step = self._steps.get(frame.kind)  # others change nothing here; after GOAWAY answers under way are sent still
        if step is not None:
            step(frame)

    def _headers(self, frame: Frame) -> None:
        if bool(self._block) != (frame.kind == Kind.CONTINUATION) or not frame.stream or (self._block and self._block[0].stream != frame.stream):
            raise BrokenRuleError(Reason.PROTOCOL_ERROR)
        self._block.append(frame)
        if sum(piece.length for piece in self._block) > _HEADER_BYTES:
            raise BrokenRuleError(Reason.COMPRESSION_ERROR)
        if not frame.flags & frames.END_HEADERS:
            return
        pieces, self._block = self._block, []
        try:
            headers = self._decoder.decode(b"".join(piece.payload for piece in pieces))
        except HPACKError:
            raise BrokenRuleError(Reason.COMPRESSION_ERROR) from None
        if frame.stream not in self._requests:  # trailers change nothing
            self._begin(frame.stream)
            self._requests[frame.stream] = Request([(str(name), str(value)) for name, value in headers])
        self._complete(pieces[0])

    def _begin(self, stream: int) -> None:
        """Take note of a new stream: clients have the odd numbers, in ascending order."""
        if stream % 2 == 0:
            raise BrokenRuleError(Reason.PROTOCOL_ERROR)
        if stream <= self._last_stream:
            raise BrokenRuleError(Reason.STREAM_CLOSED)
        self._last_stream = stream

    def _data(self, frame: Frame) -> None:
        if frame.stream in self._requests:  # it may have been reset
            self._requests[frame.stream].body.append(frame.payload)
        self._received += frame.length
        if self._received >= _ALLOWED_ANEW:
            self._send(frames.window_update(self._received))
            self._received = 0
        self._complete(frame)

    def _complete(self, frame: Frame) -> None:
        if frame.flags & frames.END_STREAM and (request := self._requests.pop(frame.stream, None)) is not None:
            with self._state:
                self._used[frame.stream] = self._used.get(frame.stream, 0)
            self._workers.submit(self._respond, frame.stream, request)

    def _reset(self, frame: Frame) -> None:
        self._requests.pop(frame.stream, None)
        with self._state:
            self._used.pop(frame.stream, None)
            self._bodies.pop(frame.stream, None)

    def _settings(self, frame: Frame) -> None:
        if frame.flags & frames.ACK:
            return
        told = frames.settings_of(frame.payload)
        with self._state:
            self._stream_window = told.get(Setting.INITIAL_WINDOW_SIZE, self._stream_window)
            self._frame_bytes = min(told.get(Setting.MAX_FRAME_SIZE, self._frame_bytes), frames.MOST_BYTES)
            if Setting.HEADER_TABLE_SIZE in told:
                self._encoder.header_table_size = min(told[Setting.HEADER_TABLE_SIZE], _HEADER_TABLE_BYTES)
            self._go_on()
        self._send(frames.frame(Kind.SETTINGS, frames.ACK, 0, b""))

    def _ping(self, frame: Frame) -> None:
        if not frame.flags & frames.ACK:
            self._send(frames.frame(Kind.PING, frames.ACK, 0, frame.payload))

    def _window_update(self, frame: Frame) -> None:
        amount = frames.number_of(frame.payload)
        with self._state:
            if not frame.stream:
                self._window += amount
            elif frame.stream in self._used or frame.stream in self._requests:
                self._used[frame.stream] -= amount
            self._go_on()

    def _respond(self, stream: int, request: Request) -> None:
        """Answer one request. The client may take its time to read that, or have lost interest: neither keeps a worker."""
        response = self._answer(request)
        with self._state:
            if stream not in self._used:
                return
            self._send_headers(stream, response.headers, end=response.trailers is None)
            if response.trailers is None:
                del self._used[stream]
            else:
                self._bodies[stream] = memoryview(response.body), response.trailers
            self._go_on()

    def _go_on(self) -> None:
        """Send of every answer what the client takes now; called with the state held, whenever that may have become more."""
        for stream, (body, trailers) in list(self._bodies.items()):
            room = max(0, min(self._window, self._stream_window - self._used[stream]))
            now, rest = body[:room], body[room:]
            self._window -= len(now)
            self._used[stream] += len(now)
            for start in range(0, len(now), self._frame_bytes):
                piece = now[start : start + self._frame_bytes]
                self._writer.put((frames.frame_start(Kind.DATA, 0, stream, len(piece)), piece))
            self._bodies[stream] = rest, trailers
            if not rest:
                self._send_headers(stream, trailers, end=True)
                del self._bodies[stream], self._used[stream]

    def _send_headers(self, stream: int, headers: Headers, *, end: bool) -> None:
        """Send a header block; called with the state held, because blocks must be sent in the order they were compressed in."""
        self._writer.put(frames.header_frames(stream, self._encoder.encode(headers), end=end))

    def _send(self, *whole: bytes) -> None:
        self._writer.put(whole)

    def end(self) -> None:
        """Break the connection: ``serve`` returns, and no answer is sent any more."""
        self._send(frames.goaway(self._last_stream, Reason.NO_ERROR))
        hang_up(self._client, socket.SHUT_RD)
