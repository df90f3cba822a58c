"""Takes away from this process whatever a hostile file could misuse: memory, time, files, network."""

from __future__ import annotations

import ctypes
import os
import resource
import struct

_PR_SET_NO_NEW_PRIVS = 38
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # landlock(7): ABI version -> number of file-system access rights it knows
_NEWEST_FILE_RIGHTS = 16
_TCP_RIGHTS = 0b11  # bind and connect, ABI 4


def limit_memory_and_time(address_space: int, cpu_seconds: int) -> None:
    """Bound address space (bytes) and CPU time, forbid core dumps and writing to any file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def forbid_opening() -> None:
    """From here on no file can be opened and no process, socket or pipe made; what is open stays usable.

    Faiss follows a path stored inside an index with on-disk inverted lists: with no descriptor left it cannot, on any system.
    Landlock, where the kernel has it, holds even for code that a damaged file made the process run.
    """
    _landlock()
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _landlock() -> None:
    if os.uname().sysname != "Linux" or os.uname().machine not in {"x86_64", "aarch64"}:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return  # an older kernel, or a container that hides it: the descriptor limit stands alone
    rights = (1 << _FILE_RIGHTS.get(version, _NEWEST_FILE_RIGHTS)) - 1
    attributes = struct.pack("=QQ", rights, _TCP_RIGHTS) if version >= 4 else struct.pack("=Q", rights)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0 or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "landlock is there but cannot be used")
    os.close(ruleset)
