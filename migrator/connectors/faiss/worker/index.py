"""Loads one mapped index with Faiss and says what it is and where its ids and codes lie in the file."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np

from migrator.connectors.faiss.layout import NO_IDS, Extents, extents

if TYPE_CHECKING:
    import mmap

    import numpy.typing as npt

FLAT = frozenset({"IndexFlat", "IndexFlatL2", "IndexFlatIP"})
ID_MAPS = frozenset({"IndexIDMap", "IndexIDMap2"})
REFINED = frozenset({"IndexRefine", "IndexRefineFlat"})
GRAPHS = frozenset({"IndexHNSW", "IndexHNSWFlat", "IndexHNSWPQ", "IndexHNSWSQ", "IndexNSG", "IndexNSGFlat", "IndexNSGPQ", "IndexNSGSQ",
                    "IndexNNDescent", "IndexNNDescentFlat"})  # fmt: skip
CODES = frozenset({"IndexScalarQuantizer", "IndexPQ", "IndexLSH", "IndexResidualQuantizer", "IndexLocalSearchQuantizer",
                   "IndexProductResidualQuantizer", "IndexProductLocalSearchQuantizer", "Index2Layer"})  # fmt: skip
LISTS = frozenset({"IndexIVFScalarQuantizer", "IndexIVFPQ", "IndexIVFResidualQuantizer", "IndexIVFLocalSearchQuantizer",
                   "IndexIVFProductResidualQuantizer", "IndexIVFProductLocalSearchQuantizer"})  # fmt: skip
REVERSIBLE = frozenset({"LinearTransform", "PCAMatrix", "OPQMatrix", "RandomRotationMatrix",
                        "NormalizationTransform", "CenteringTransform", "RemapDimensionsTransform"})  # fmt: skip

_FAST_SCAN = "its codes are packed for SIMD (fast-scan) and Faiss offers no way back to vectors"
WHY_NOT = {
    "OnDiskInvertedLists": "it keeps its vectors in another file, named by a path inside this one, and such a path is never followed",
    "BlockInvertedLists": _FAST_SCAN,
    "IndexIVFFlatDedup": "it keeps equal vectors once and does not give out the ids of the others",
}


class RefusedError(Exception):
    """The file is what it says, but cannot be used. The text completes "… cannot be read: "."""


@dataclass
class Loaded:
    """An open index. ``owner`` keeps the C++ object alive that every other reference points into."""

    owner: Any
    mapped: mmap.mmap
    view: npt.NDArray[np.uint8]
    names: list[str] = field(default_factory=list)
    transforms: list[Any] = field(default_factory=list)
    """Outermost first: each turns what was added into what the next level stores."""
    id_map: int = NO_IDS
    """Byte offset of the ids of an IDMap: entry i is the id of the row whose stored id is i."""
    leaf: Any = None
    extents: Extents = field(default_factory=lambda: extents(np.empty((0, 3), np.int64)))
    lists: npt.NDArray[np.int64] | None = None
    """The inverted list of each extent."""
    code_size: int = 0

    @property
    def steps(self) -> list[Any]:
        """The single transformations, in the order in which they were applied."""
        return [faiss.downcast_VectorTransform(node.chain.at(place)) for node in self.transforms for place in range(node.chain.size())]

    @property
    def exact(self) -> bool:
        """Whether the codes are the float32 values themselves."""
        return not self.transforms and type(self.leaf).__name__ in FLAT | {"IndexIVFFlat"}


def load(mapped: mmap.mmap) -> Loaded:
    """Return the index in ``mapped``. Vectors stay where they are: ``ZeroCopyIOReader`` makes Faiss point into the mapping.

    Raise ``RefusedError`` for a kind whose vectors cannot be had, ``RuntimeError`` (from Faiss) for bytes that are no index.
    """
    view = np.frombuffer(mapped, np.uint8)
    reader = faiss.ZeroCopyIOReader(  # type: ignore[attr-defined]  # faiss's stubs lack it
        faiss.swig_ptr(view), len(view)
    )
    try:
        owner = faiss.read_index(reader, 0)
    except RuntimeError as error:
        if "OnDisk" in str(error) or os.strerror(errno.EMFILE) in str(error):  # no descriptor is left: it tried to open something
            raise RefusedError(WHY_NOT["OnDiskInvertedLists"]) from None
        raise
    loaded = Loaded(owner, mapped, view)
    try:
        _descend(loaded, faiss.downcast_index(owner))
    except RefusedError as error:
        raise RefusedError(f"it is of the kind {','.join(loaded.names)}, and {error}") from None
    return loaded


def _descend(loaded: Loaded, node: Any) -> None:
    """Walk from the outermost index to the one that stores the vectors, noting what is passed."""
    while True:
        if node is None:
            raise RefusedError("it was saved without its vectors")
        name = type(node).__name__
        loaded.names.append(name)
        if name in ID_MAPS:
            _note_id_map(loaded, node)
            inner = node.index
        elif name == "IndexPreTransform":
            if node.chain.size():
                loaded.transforms.append(node)
            _check_chain(node)
            inner = node.index
        elif name in REFINED:
            inner = node.refine_index
        elif name in GRAPHS:
            inner = node.storage
        else:
            break
        node = faiss.downcast_index(inner) if inner is not None else None
    loaded.leaf = node
    if name in FLAT | CODES:
        _note_codes(loaded, node)
    elif name in LISTS | {"IndexIVFFlat"}:
        _note_lists(loaded, node)
    else:
        raise RefusedError(_FAST_SCAN if "FastScan" in name else WHY_NOT.get(name) or _why_not_lists(node))


def _check_chain(node: Any) -> None:
    """Hold every step to the dimensions of its neighbours: Faiss would write past the end of an array."""
    dimension = int(node.d)
    for place in range(node.chain.size()):
        step = faiss.downcast_VectorTransform(node.chain.at(place))
        if type(step).__name__ not in REVERSIBLE:
            raise RefusedError(f"its {type(step).__name__} cannot be undone")
        if step.d_in != dimension or (isinstance(step, faiss.LinearTransform) and _sizes(step) != (step.d_in * step.d_out, step.d_out * step.have_bias)):
            raise RefusedError("the steps of its transformation do not fit together")
        dimension = int(step.d_out)
    if dimension != int(node.index.d):
        raise RefusedError("its transformation does not fit its inner index")


def _sizes(step: Any) -> tuple[int, int]:
    return int(step.A.size()), int(step.b.size()) * step.have_bias


def _why_not_lists(node: Any) -> str:
    lists = getattr(node, "invlists", None)
    name = type(faiss.downcast_InvertedLists(lists)).__name__ if lists is not None else ""
    return WHY_NOT.get(name) or "Faiss offers no way from its codes back to vectors that is known to be right"


def _note_id_map(loaded: Loaded, node: Any) -> None:
    if loaded.id_map != NO_IDS:
        raise RefusedError("one id map stands inside another, so what its ids mean is unclear")
    count = int(node.id_map.size())
    if count != int(node.ntotal):
        raise RefusedError(f"its id map has {count} ids for {node.ntotal} vectors")
    if not count:
        return
    loaded.id_map = _find(loaded, faiss.rev_swig_ptr(node.id_map.data(), count))


def _find(loaded: Loaded, ids: npt.NDArray[np.int64]) -> int:
    """Return where ``ids`` stand in the file: Faiss copies them, unlike codes. They are the last thing an IDMap writes."""
    wanted = np.ascontiguousarray(ids).view(np.uint8)
    end = len(loaded.view) - len(wanted)
    if end >= 0 and np.array_equal(loaded.view[end:], wanted):
        return end
    prefix, place = len(ids).to_bytes(8, "little") + wanted[:64].tobytes(), -1
    while (place := loaded.mapped.find(prefix, place + 1)) >= 0:
        if np.array_equal(loaded.view[place + 8 : place + 8 + len(wanted)], wanted):
            return place + 8
    raise RefusedError("its id map cannot be found in the file")


def _note_codes(loaded: Loaded, node: Any) -> None:
    loaded.code_size = int(node.code_size)
    count = int(node.ntotal)
    if int(node.codes.size()) != count * loaded.code_size:
        raise RefusedError(f"it holds {node.codes.size()} bytes of codes, not {count} times {loaded.code_size}")
    offset = _offset(loaded.view, node.codes.data()) if count else 0
    loaded.extents = extents(np.array([[count, NO_IDS, offset]], np.int64).reshape(1, 3))


def _note_lists(loaded: Loaded, node: Any) -> None:
    lists: Any = faiss.downcast_InvertedLists(node.invlists) if node.invlists is not None else None
    if type(lists).__name__ != "ArrayInvertedLists":
        raise RefusedError(WHY_NOT.get(type(lists).__name__, "its inverted lists are of a kind that is not known here"))
    loaded.code_size = int(node.code_size)
    rows = [
        (size, _offset(loaded.view, lists.get_ids(number)), _offset(loaded.view, lists.get_codes(number)), number)
        for number in range(lists.nlist)
        if (size := int(lists.list_size(number)))
    ]
    table = np.array(rows, np.int64).reshape(-1, 4)
    loaded.extents = extents(table[:, :3])
    loaded.lists = table[:, 3]


def _offset(view: npt.NDArray[np.uint8], pointer: Any) -> int:
    address = int(faiss.rev_swig_ptr(pointer, 1).ctypes.data) - int(view.ctypes.data)
    if not 0 <= address <= len(view):
        raise RefusedError("Faiss did not leave its vectors in the mapped file")
    return address
