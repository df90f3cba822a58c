"""HTTP/2 frames as bytes (RFC 9113, 4.1 and 6): what is read of a connection, and what is written to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import BufferedReader

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MOST_BYTES = 1 << 20
"""Of a frame we take; the largest there are would be 16 MB."""
DEFAULT_BYTES = 16_384
"""Of a frame that everybody takes."""
LARGEST_WINDOW = (1 << 31) - 1
ACK = END_STREAM = 0x1
END_HEADERS, PADDED, PRIORITY_GIVEN = 0x4, 0x8, 0x20

_HEADER = Struct(">HBBBI")
_SETTING = Struct(">HI")
_NUMBER = Struct(">I")


class Kind(IntEnum):
    """The types of frames."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Setting(IntEnum):
    """The settings used here."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class Reason(IntEnum):
    """Why a connection is ended."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    COMPRESSION_ERROR = 9


class BrokenRuleError(Exception):
    """The client broke a rule of the protocol: the connection ends, and is told ``reason``."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame; ``payload`` is without padding and priority."""

    kind: int
    flags: int
    stream: int
    payload: bytes
    length: int
    """Bytes that count against the window: of the payload with its padding."""


def read_frame(reader: BufferedReader) -> Frame | None:
    """Return the next frame, None where the connection ends. Raise ``BrokenRuleError`` for one that cannot be."""
    start = reader.read(_HEADER.size)
    if len(start) < _HEADER.size:
        return None
    high, low, kind, flags, stream = _HEADER.unpack(start)
    length = high << 8 | low
    if length > MOST_BYTES:
        raise BrokenRuleError(Reason.FRAME_SIZE_ERROR)
    payload = reader.read(length)
    if len(payload) < length:
        return None
    if flags & (PADDED | PRIORITY_GIVEN):
        payload = _bare(kind, flags, payload)
    return Frame(kind, flags, stream & LARGEST_WINDOW, payload, length)


def _bare(kind: int, flags: int, payload: bytes) -> bytes:
    """Return what is between padding length and priority at the start, and padding at the end."""
    start = end = 0
    if kind in {Kind.DATA, Kind.HEADERS} and flags & PADDED:
        if not payload:
            raise BrokenRuleError(Reason.FRAME_SIZE_ERROR)
        start, end = 1, payload[0]
    if kind == Kind.HEADERS and flags & PRIORITY_GIVEN:
        start += 5
    if start + end > len(payload):
        raise BrokenRuleError(Reason.PROTOCOL_ERROR)
    return payload[start : len(payload) - end]


def frame_start(kind: Kind, flags: int, stream: int, length: int) -> bytes:
    """Return the nine bytes before a payload of ``length`` bytes."""
    return _HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream)


def frame(kind: Kind, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a whole frame."""
    return frame_start(kind, flags, stream, len(payload)) + payload


def header_frames(stream: int, block: bytes, *, end: bool) -> Iterator[bytes]:
    """Yield the frames of one header block."""
    pieces = [block[start : start + DEFAULT_BYTES] for start in range(0, len(block), DEFAULT_BYTES)]
    for place, piece in enumerate(pieces):
        flags = (END_HEADERS if place == len(pieces) - 1 else 0) | (END_STREAM if end and not place else 0)
        yield frame(Kind.CONTINUATION if place else Kind.HEADERS, flags, stream, piece)


def settings_frame(settings: Mapping[Setting, int]) -> bytes:
    """Return a frame that tells ``settings``."""
    return frame(Kind.SETTINGS, 0, 0, b"".join(_SETTING.pack(name, value) for name, value in settings.items()))


def settings_of(payload: bytes) -> dict[int, int]:
    """Return the settings in a frame, also those not known here."""
    if len(payload) % _SETTING.size:
        raise BrokenRuleError(Reason.FRAME_SIZE_ERROR)
    told: dict[int, int] = dict(_SETTING.iter_unpack(payload))
    if told.get(Setting.INITIAL_WINDOW_SIZE, 0) > LARGEST_WINDOW:
        raise BrokenRuleError(Reason.FLOW_CONTROL_ERROR)
    if not DEFAULT_BYTES <= told.get(Setting.MAX_FRAME_SIZE, DEFAULT_BYTES) < 1 << 24:
        raise BrokenRuleError(Reason.PROTOCOL_ERROR)
    return told


def window_update(amount: int, stream: int = 0) -> bytes:
    """Return a frame that lets the other side send ``amount`` bytes more."""
    return frame(Kind.WINDOW_UPDATE, 0, stream, _NUMBER.pack(amount))


def number_of(payload: bytes) -> int:
    """Return the number that a window update is, without its reserved bit."""
    if len(payload) != _NUMBER.size:
        raise BrokenRuleError(Reason.FRAME_SIZE_ERROR)
    number: int = _NUMBER.unpack(payload)[0]
    return number & LARGEST_WINDOW


def goaway(last_stream: int, reason: Reason) -> bytes:
    """Return a frame that ends a connection."""
    return frame(Kind.GOAWAY, 0, 0, _NUMBER.pack(last_stream) + _NUMBER.pack(reason))
