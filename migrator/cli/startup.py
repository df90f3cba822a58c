"""What the command line's process does before anything else."""

from __future__ import annotations

import gc
import sys

import pyarrow as pa


def leave_pandas_out() -> None:
    """Spare a command the second that importing pandas takes.

    pyarrow imports it when it is first handed a list, in case that is a Series (pandas-shim.pxi). Nothing of ours is one. Told
    once that there is no pandas, it asks again only when a frame is wanted of it.
    """
    if "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _NoPandas)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(_NoPandas)


def collect_seldom() -> None:
    """Look for reference cycles after twenty times as many new objects as usual: a batch of records makes thousands, and no cycles."""
    gc.set_threshold(20_000, 20, 20)


class _NoPandas:
    """An import finder that stands before all others."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)
