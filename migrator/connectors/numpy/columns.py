"""The columns of one part, opened: checked against the manifest once, then mapped into memory and read in any order."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.connectors.numpy.npy import SPARSE_PARTS
from migrator.datasets.failures import translated
from migrator.errors import UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from migrator.connectors.numpy.parts import Dataset, Part, Stored

Columns = dict[str, "npt.NDArray[Any]"]
OPEN_PARTS = 4
"""Parts kept open. Those of a bucket are copied to the temporary folder for as long."""
_BLOCK_BYTES = 4 << 20
_TOO_WIDE = (np.dtype(np.longdouble),) if np.dtype(np.longdouble).itemsize > 8 else ()
"""No other store, and no JSON, has numbers like these."""


class PartOpener:
    """Opens parts of a dataset. Safe to use from several threads."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._lock = threading.Lock()
        self._opened: OrderedDict[tuple[str, frozenset[str] | None], Columns] = OrderedDict()
        self._checked: set[str] = set()

    def open(self, part: Part, only: frozenset[str] | None = None) -> Columns:
        """Return the columns of ``part`` (of them ``only`` those named) by name, each of the same length; a sparse column is three.

        Raise ``UnreadableSourceError`` for a file that is none, or not what the manifest says.
        """
        key = (part.path, only)
        with self._lock:
            if key in self._opened:
                self._opened.move_to_end(key)
                return self._opened[key]
        found = {name: self._array(file) for name, file in part.files.items() if only is None or name in only}
        _check_lengths(self._dataset, part, found)
        with self._lock:
            self._opened[key] = found
            while len(self._opened) > OPEN_PARTS:
                self._opened.popitem(last=False)
        return found

    def _array(self, file: Stored) -> npt.NDArray[Any]:
        place = self._dataset.place
        shown = place.show(file.path)
        try:
            if not place.local:
                return self._fetched(file)
            if file.sha256 is not None and file.path not in self._checked:
                with translated(shown), place.open(file.path) as stored:
                    _agree(hashlib.file_digest(stored, "sha256").hexdigest(), file, shown)
                self._checked.add(file.path)
            with translated(shown):
                return _mapped(Path(place.full(file.path)))
        except ValueError as error:  # numpy's word for a file that is none, and for one of Python objects
            raise UnreadableSourceError(f"{shown} is not a NumPy file of numbers or text: {error}", fix="get the file again, whole") from error

    def _fetched(self, file: Stored) -> npt.NDArray[Any]:
        """Return an object's array, copied to a file without a name."""
        digest, shown = hashlib.sha256(), self._dataset.place.show(file.path)
        with tempfile.NamedTemporaryFile(prefix="vector-migrator-", suffix=".npy") as spool:
            with translated(shown), self._dataset.place.open(file.path) as stored:
                while block := stored.read(_BLOCK_BYTES):
                    digest.update(block)
                    spool.write(block)
            spool.flush()
            if file.sha256 is not None:
                _agree(digest.hexdigest(), file, shown)
            return _mapped(Path(spool.name))


def _mapped(path: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def _agree(digest: str, file: Stored, shown: str) -> None:
    if digest != file.sha256:
        raise UnreadableSourceError(f"{shown} does not have the SHA-256 that manifest.json gives", fix="get the dump again, whole", code="checksum_differs")


def _check_lengths(dataset: Dataset, part: Part, found: Mapping[str, npt.NDArray[Any]]) -> None:
    shown = dataset.place.show(part.path)
    sparse = {f"{dataset.roles.sparse_values}.{piece}": piece for piece in SPARSE_PARTS}
    lengths = {name: len(array) - (sparse.get(name) == "indptr") for name, array in found.items() if sparse.get(name, "indptr") == "indptr" and array.ndim}
    expected = part.records if part.records is not None else next(iter(lengths.values()), 0)
    for name, length in lengths.items():
        if length != expected:
            raise UnreadableSourceError(f"{shown}/{name}.npy holds {length:,} rows where {expected:,} are expected", fix="get the files again, all of one dump")
    for name, array in found.items():
        if not array.ndim or array.dtype.hasobject or array.dtype.kind not in "biufSU" or array.dtype in _TOO_WIDE:
            fix = "write it as numbers of up to 64 bits or as text, a row a record; a file of metadata can be left out"
            raise UnreadableSourceError(f"{shown}/{name}.npy holds {array.dtype} of shape {array.shape}, no rows of numbers or text", fix=fix)
