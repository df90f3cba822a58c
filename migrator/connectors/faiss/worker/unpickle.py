"""Reads pickles without running anything: known classes become inert shells, everything else is refused by name."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import pathlib
import pickle
import uuid
from typing import IO, Any

import numpy as np

_INERT = ("langchain", "langchain_core", "langchain_community", "langchain_classic", "openai", "pydantic", "pydantic_core")
"""Packages whose classes stand in docstores. They are never imported: any name under them becomes an empty shell."""

_NUMBERS = frozenset("biufb?")


class ForbiddenError(Exception):
    """The pickle names something that no docstore needs."""


class Shell:
    """Stands for an object of a class that is not loaded: keeps its state, does nothing."""

    origin = ""
    state: Any = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Take whatever the real class was called with."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def attributes(self) -> dict[str, Any]:
        """Return the object's attributes, whether a plain class or pydantic 1 or 2 pickled them."""
        state = self.state
        if isinstance(state, tuple) and len(state) == 2:  # classes with __slots__
            state = {**(state[0] or {}), **(state[1] or {})}
        if not isinstance(state, dict):
            return {}
        inner = state.get("__dict__")
        return inner if isinstance(inner, dict) else state


class _Dtype(Shell):
    """Stands for ``numpy.dtype``: remembers its code."""

    def __init__(self, code: Any = "", *_: Any) -> None:
        self.code = code

    def __setstate__(self, state: Any) -> None:
        """Ignore the byte order and the rest: the codes of numbers say enough, others are refused."""


def _numpy_scalar(kind: Any, data: Any = b"") -> Any:
    code = kind.code if isinstance(kind, _Dtype) else None
    if not isinstance(code, str) or not isinstance(data, bytes) or code[:1] not in _NUMBERS or len(code) > 3:
        raise ForbiddenError("a numpy value that is no number")
    return np.frombuffer(data, np.dtype(code), 1)[0].item()


def _nothing(*_: Any) -> Shell:
    """Stand for ``getattr``: old LangChain stores pickled a bound method beside the documents."""
    return Shell()


_SAFE: dict[tuple[str, str], Any] = {
    **{("datetime", name): getattr(dt, name) for name in ("datetime", "date", "time", "timedelta", "timezone")},
    **{("builtins", kind.__name__): kind for kind in (set, frozenset, list, dict, tuple, int, float, str, bool, bytes, complex)},
    **{("pathlib", name): pathlib.PurePosixPath for name in ("PosixPath", "PurePosixPath")},
    **{("pathlib", name): pathlib.PureWindowsPath for name in ("WindowsPath", "PureWindowsPath")},
    **{(module, "scalar"): _numpy_scalar for module in ("numpy.core.multiarray", "numpy._core.multiarray")},
    ("numpy", "dtype"): _Dtype,
    ("builtins", "getattr"): _nothing,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("decimal", "Decimal"): decimal.Decimal,
    ("uuid", "UUID"): uuid.UUID,
    ("uuid", "SafeUUID"): uuid.SafeUUID,
}


class _Unpickler(pickle.Unpickler):
    """Looks classes up in the allow-list only; a pickle cannot reach any other code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _SAFE:
            return _SAFE[module, name]
        if module.partition(".")[0] in _INERT:
            return type(name.rpartition(".")[2], (Shell,), {"origin": f"{module}.{name}"})
        raise ForbiddenError(f"{module}.{name}")


def load(stream: IO[bytes]) -> Any:
    """Return what ``stream`` holds, of shells and plain values only.

    Raise ``ForbiddenError`` naming anything outside the allow-list, and whatever ``pickle`` raises for damaged bytes.
    """
    return _Unpickler(stream).load()


def plain(value: Any) -> Any:
    """Return ``value`` in JSON types: dates, paths, UUIDs and decimals as text. Raise ``ValueError`` for anything else."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, dict):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID, pathlib.PurePath)):
        return str(value)
    raise ValueError(f"JSON has no form for a {getattr(value, 'origin', '') or type(value).__name__}")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    raise ValueError(f"the key {key!r} is not text")
