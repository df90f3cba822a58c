"""The index types of dense vectors: which parameters each takes, in which range, and where it is to be had. 2.3.5 itself takes nearly anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migrator.connectors.milvus.fieldtypes import Type

if TYPE_CHECKING:
    from collections.abc import Mapping

_INT32 = 2**31 - 1


@dataclass(frozen=True)
class Parameter:
    """A whole number from ``least`` to ``most``; ``default`` None leaves it to the server."""

    least: int
    most: int
    default: int | None = None
    flag: bool = False


@dataclass(frozen=True)
class Index:
    """One index type."""

    parameters: Mapping[str, Parameter]
    since: tuple[int, int] = (2, 0)
    lite: bool = False
    binary: bool = False
    """Whether it is for binary vectors; all others are for the other kinds."""


_NLIST = Parameter(1, 65_536, 1024)
_GRAPH = {"M": Parameter(1, 2048, 16), "efConstruction": Parameter(1, _INT32, 200)}
INDEXES: dict[str, Index] = {
    "AUTOINDEX": Index({}, lite=True),
    "FLAT": Index({}, lite=True),
    "IVF_FLAT": Index({"nlist": _NLIST}, lite=True),
    "IVF_SQ8": Index({"nlist": _NLIST}, lite=True),
    "IVF_PQ": Index({"nlist": _NLIST, "m": Parameter(1, 32_768), "nbits": Parameter(1, 16, 8)}),
    "HNSW": Index(_GRAPH, lite=True),
    "SCANN": Index({"nlist": _NLIST, "with_raw_data": Parameter(0, 1, flag=True)}, since=(2, 3)),
    "DISKANN": Index({}),
    "BIN_FLAT": Index({}, binary=True),
    "BIN_IVF_FLAT": Index({"nlist": _NLIST}, binary=True),
}
"""As Milvus's documentation, "In-memory Index", lists them, with the ranges that 2.3.5 refuses to leave; nbits and the unknown names it
takes without a word, and fails, or ignores them, while it builds."""
BINARY_METRICS = ("HAMMING", "JACCARD")


def check(kind: str, params: Mapping[str, Any]) -> str:
    """Return what is wrong with the ``params`` of index type ``kind`` whatever the collection, "" when nothing is."""
    if kind not in INDEXES:
        return f"index_type={kind} of milvus is not one of {', '.join(INDEXES)}"
    known = INDEXES[kind].parameters
    for name, value in params.items():
        if name not in known:
            takes = ", ".join(known) or "none"
            return f"index_params of milvus has {name!r}, which is no parameter of {kind} (it takes: {takes})"
        if problem := _out_of_range(known[name], value):
            return f"{name}={value} in index_params of milvus is {problem} ({kind})"
    return ""


def _out_of_range(parameter: Parameter, value: Any) -> str:
    if parameter.flag:
        return "" if isinstance(value, bool) else "neither true nor false"
    if isinstance(value, bool) or not isinstance(value, int) or not parameter.least <= value <= parameter.most:
        return f"no whole number from {parameter.least} to {parameter.most}"
    return ""


def default_type(vector_type: int, *, lite: bool) -> str:
    """Return the index type for who names none."""
    if vector_type == Type.BinaryVector:
        return "BIN_FLAT"
    # Lite: FLAT. Its AUTOINDEX took 28 s to build for 50,000 x 384, and then a vector did not find itself first.
    return "FLAT" if lite else "AUTOINDEX"


def parameters(kind: str, given: Mapping[str, Any], dimension: int) -> dict[str, Any]:
    """Return the parameters an index is built with: those ``given``, and for others that the server demands a usual value."""
    defaults = {name: parameter.default for name, parameter in INDEXES[kind].parameters.items() if parameter.default is not None}
    if kind == "IVF_PQ":
        defaults["m"] = next(part for part in (*range(min(64, max(1, dimension // 4)), 0, -1), 1) if dimension % part == 0)
    return {**defaults, **given}


def misfit(kind: str, given: Mapping[str, Any], vector_type: int, dimension: int, release: tuple[int, int], *, lite: bool) -> str:
    """Return why this index cannot be built on vectors of this kind by this server, "" when it can."""
    index = INDEXES[kind]
    if lite and not index.lite:
        return f"Milvus Lite has no index of type {kind}"
    if release < index.since:
        return f"this server has no index of type {kind}; it came with Milvus {'.'.join(map(str, index.since))}"
    if kind != "AUTOINDEX" and index.binary != (vector_type == Type.BinaryVector):
        return f"an index of type {kind} is for {'binary' if index.binary else 'other than binary'} vectors"
    if "with_raw_data" in given and release < (2, 4):
        return "this server builds no SCANN index with with_raw_data (2.3.5 takes it, then fails over and over)"
    if kind == "IVF_PQ" and dimension % int(given.get("m", 1)):
        return f"IVF_PQ cuts vectors into m={given['m']} equal parts, and {dimension} dimensions cannot be"
    return ""
