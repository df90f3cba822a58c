"""A ``Vector`` message's bytes, made by hand: its values are a large block that protobuf would copy four times on its way into a request."""

from __future__ import annotations

from migrator.varint import varint


def text_field(tag: bytes, text: bytes) -> bytes:
    """Return a field of bytes, a string or a message."""
    return b"%b%b%b" % (tag, varint(len(text)), text)


def vector_parts(name: bytes, values: bytes, struct: bytes | None, sparse: bytes | None) -> tuple[bytes, bytes, bytes]:
    """Return what stands before the values, the values, and what stands after them: laid end to end, what protobuf would write.

    ``name`` is the id, ``struct`` the metadata's message, ``sparse`` that of the sparse values.
    """
    before = text_field(b"\n", name) if name else b""
    if values:
        before = b"%b\x12%b" % (before, varint(len(values)))
    after = b"" if struct is None else text_field(b"\x1a", struct)
    return before, values, after if sparse is None else after + text_field(b'"', sparse)
