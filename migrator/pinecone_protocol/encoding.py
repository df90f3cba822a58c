"""A ``Vector`` message's bytes, made by hand: its values are a large block that protobuf would copy four times on its way into a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.pinecone_protocol.messages import MESSAGES
from migrator.varint import varint

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


def sparse_message(indices: Sequence[int], weights: Sequence[float] | npt.NDArray[np.float32]) -> Any:
    """Return a ``SparseValues`` message of the raw set."""
    return MESSAGES["SparseValues"](indices=indices, values=np.asarray(weights, "<f4").tobytes())


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
