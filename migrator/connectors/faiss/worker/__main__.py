"""The child's loop: takes requests on stdin, one JSON line each, and answers with frames on stdout.

A frame is a byte saying what it is (``J`` JSON, ``B`` bytes, ``E`` a refusal as JSON), eight bytes of length, and the content.
The files to look into come as open descriptors; they are mapped, and then nothing more can be opened.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.connectors.faiss.worker import decode, docstore, index, limits, search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.connectors.faiss.worker.index import Loaded

_SAMPLE = 1  # rows decoded while describing, to learn whether they can be


class Session:
    """The mapped files and the one index that is open at a time."""

    def __init__(self, descriptors: list[int]) -> None:
        self._files = [_map(descriptor) for descriptor in descriptors]
        self._open: tuple[int, Loaded] | None = None

    def answer(self, request: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
        """Yield the frames that answer ``request``."""
        if request["do"] == "describe":
            loaded = self._load(request["file"])
            yield b"J", json.dumps(_described(loaded)).encode()
            yield b"B", loaded.extents.table().tobytes()
        elif request["do"] == "decode":
            yield b"B", decode.decode(self._load(request["file"]), np.array(request["rows"], np.int64)).tobytes()
        elif request["do"] == "search":
            yield from search.answer(self._load(request["file"]), request)
        else:
            yield from docstore.answer(self._files, request)

    def _load(self, number: int) -> Loaded:
        if self._open is None or self._open[0] != number:
            self._open = None  # free the last one first: only one counts against the limit
            self._open = number, index.load(self._files[number])
        return self._open[1]


def _map(descriptor: int) -> mmap.mmap:
    mapped = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    os.close(descriptor)
    return mapped


def _described(loaded: Loaded) -> dict[str, Any]:
    if not loaded.exact and loaded.extents.count:
        try:
            decode.decode(loaded, np.arange(_SAMPLE))
        except (RuntimeError, ValueError) as error:
            reason = str(error).rpartition(": ")[2]
            raise index.RefusedError(f"it is of the kind {','.join(loaded.names)}, whose codes Faiss cannot turn back into vectors: {reason}") from None
    return {
        "names": loaded.names,
        "dimension": int(loaded.owner.d),
        "ntotal": int(loaded.owner.ntotal),
        "metric": int(loaded.owner.metric_type),
        "code_size": loaded.code_size,
        "exact": loaded.exact,
        "id_map": loaded.id_map,
        "transforms": [[type(step).__name__, int(step.d_in), int(step.d_out)] for step in loaded.steps],
    }


def _send(kind: bytes, content: bytes) -> None:
    out = sys.stdout.buffer
    out.write(kind + len(content).to_bytes(8, "little"))
    out.write(content)
    out.flush()


def _refusal(error: Exception, code: str) -> bytes:
    return json.dumps({"code": code, "reason": str(error)[:2000]}).encode()


def main(arguments: list[str]) -> None:
    """Serve until stdin ends. Arguments: address space in bytes, CPU seconds, then the descriptors of the files."""
    limits.limit_memory_and_time(int(arguments[0]), int(arguments[1]))
    session = Session([int(text) for text in arguments[2:]])
    limits.forbid_opening()
    _send(b"J", b"{}")
    for line in sys.stdin.buffer:
        try:
            for kind, content in session.answer(json.loads(line)):
                _send(kind, content)
        except index.RefusedError as error:
            _send(b"E", _refusal(error, "refused"))
        except MemoryError as error:
            _send(b"E", _refusal(error, "memory"))
        except Exception as error:  # noqa: BLE001 - whatever a hostile file provokes goes to the parent, which names the file
            _send(b"E", _refusal(error, "broken"))


if __name__ == "__main__":
    main(sys.argv[1:])
