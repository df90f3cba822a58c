"""Runs the worker process that opens hostile files, within limits, and talks to it over pipes."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from migrator.errors import ConnectorError, UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.connectors.faiss.files import OpenFile

_ROOT = Path(__file__).resolve().parents[3]
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from migrator.connectors.faiss.worker.__main__ import main; main(sys.argv[1:])"
_START_SECONDS = 60.0
_JSON_BYTES = 1 << 20
_WHERE = re.compile(r"^Error in .* at \S+\.(cpp|h):\d+: (Error: )?")
_ADDRESS_SPACE = 1 << 30  # what Python, numpy and Faiss map for themselves is a third of it


class Child:
    """One worker process with some files open. Not for several threads at once. Close it."""

    def __init__(self, files: Sequence[OpenFile], *, seconds: float, memory: int = 0, cpu_seconds: float | None = None) -> None:
        """Start the worker. ``seconds`` bounds each answer, ``memory`` is what it may allocate beyond mapping the files."""
        self._files, self._seconds = files, seconds
        space = _ADDRESS_SPACE + sum(file.size for file in files) + memory
        limits = [str(space), str(int(cpu_seconds or 60 + 2 * seconds))]
        descriptors = [file.descriptor for file in files]
        command = [*_confinement(), sys.executable, "-I", "-c", _START, str(_ROOT), *limits, *map(str, descriptors)]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module; only numbers are added
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=descriptors,
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
        )
        self._buffer = bytearray()
        try:
            self._frame(time.monotonic() + _START_SECONDS, _JSON_BYTES)
        except (_SilentError, _DeadError) as error:
            self.close()
            raise ConnectorError(
                f"the process that reads Faiss files could not start ({error})",
                fix="check that faiss-cpu is installed in this Python and that memory is free",
                code="reader_not_started",
            ) from None

    @property
    def ended(self) -> bool:
        """Whether the worker is gone."""
        return self._process.poll() is not None

    def ask(self, request: dict[str, Any], *, largest: int) -> Iterator[tuple[str, bytes]]:
        """Send ``request`` and yield the frames of its answer for as long as the caller takes them.

        ``largest`` bounds a frame of bytes. Raise ``UnreadableSourceError`` naming the file when the worker refuses, dies or hangs.
        """
        number = request["file"] if "file" in request else request["files"][0]
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
            while True:
                kind, content = self._frame(time.monotonic() + self._seconds, largest)
                if kind == "E":
                    raise _refused(self._files[number].name, json.loads(content), docstore="files" in request)
                yield kind, content
        except (_SilentError, _DeadError, BrokenPipeError) as error:
            self.close()
            reason = str(error) if not isinstance(error, BrokenPipeError) else "the reading process ended"
            raise UnreadableSourceError(
                f"{self._files[number].name} cannot be read: {reason}", fix="the file is damaged or hostile: build it again from the original data"
            ) from None

    def _frame(self, deadline: float, largest: int) -> tuple[str, bytes]:
        head = self._exactly(9, deadline)
        kind, size = chr(head[0]), int.from_bytes(head[1:], "little")
        if kind not in "JBE" or size > (largest if kind == "B" else _JSON_BYTES):
            raise _DeadError("the reading process answered out of turn")
        return kind, self._exactly(size, deadline)

    def _exactly(self, size: int, deadline: float) -> bytes:
        stream = self._process.stdout.fileno()  # type: ignore[union-attr]
        poll = select.poll()
        poll.register(stream, select.POLLIN | select.POLLHUP)
        while len(self._buffer) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise _SilentError(f"reading it took longer than {self._seconds:.0f} s")
            got = os.read(stream, max(1 << 16, min(size - len(self._buffer), 1 << 22)))
            if not got:
                raise _DeadError(self._death())
            self._buffer += got
        content = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return content

    def _death(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        number = -code if code is not None and code < 0 else (code or 0) - 128  # bwrap reports a signal as 128 + number
        if number == signal.SIGXCPU:
            return "it used up the time it was given"
        with contextlib.suppress(ValueError):
            return f"it crashed the process that read it ({signal.Signals(number).name})"
        return f"the process that read it ended with code {code}"

    def close(self) -> None:
        """End the worker, whatever it is doing. Safe twice."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _SilentError(Exception):
    """The worker did not answer in time."""


class _DeadError(Exception):
    """The worker is gone or talks nonsense."""


def _refused(name: str, answer: dict[str, str], *, docstore: bool) -> UnreadableSourceError:
    if answer["code"] == "memory":
        reason, fix = "it asks for more memory than its size can need", "the file is damaged or hostile: build it again from the original data"
    elif answer["code"] == "refused":
        reason = answer["reason"]
        fix = "give the original vectors, or an index that keeps them whole such as a flat, IVFFlat or HNSWFlat one"
        if docstore:
            fix = "give the ids and metadata as files with ids= and metadata=, which replace the docstore"
    else:
        reason, fix = f"Faiss says: {_shortened(answer['reason'])}", "check that the file is whole and was written by faiss.write_index"
    return UnreadableSourceError(f"{name} cannot be read: {reason}", fix=fix)


def _shortened(text: str) -> str:
    """Return the last statement of a Faiss error without the C++ signature and source line before it, as printable text."""
    last = text.strip().splitlines()[-1] if text.strip() else "nothing"
    return "".join(letter if letter.isprintable() else "?" for letter in _WHERE.sub("", last))[:300]


@functools.cache
def _confinement() -> tuple[str, ...]:
    """Return the bubblewrap command that leaves the worker neither network nor view of the disk, or nothing where it does not work."""
    program = shutil.which("bwrap")
    if program is None:
        return ()
    shown = {sys.prefix, sys.base_prefix, str(_ROOT / "migrator"), "/usr", "/lib", "/lib64"}
    command = (program, "--unshare-all", "--cap-drop", "ALL", *(word for path in sorted(shown) for word in ("--ro-bind-try", path, path)), "--dev", "/dev")
    try:
        probe = subprocess.run([*command, sys.executable, "-I", "-c", ""], check=False, capture_output=True, timeout=_START_SECONDS)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ()  # there, but of no use here: the limits the worker sets itself stand alone
    return command if probe.returncode == 0 else ()
