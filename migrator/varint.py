"""Unsigned numbers in base 128, as Protocol Buffers and Thrift's compact protocol write lengths and counts."""

from __future__ import annotations


def varint(number: int) -> bytes:
    """Return ``number`` in groups of seven bits, the lowest first."""
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)
