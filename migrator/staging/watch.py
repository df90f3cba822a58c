"""What a load needs of the run it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from migrator.model import LoadProgress


class Patiently(Protocol):
    """Calls again after transient errors (``migrator.retry``)."""

    def __call__(self, doing: str, action: Callable[[], Any]) -> Any: ...


@dataclass(frozen=True)
class Watch:
    """What a load needs of the run it belongs to."""

    note: Path
    """File in which the run remembers its load."""
    rest: Callable[[float], None]
    """Waits so many seconds; raises when the run was asked to stop."""
    log: Callable[[str, str], None]
    patiently: Patiently
    saw: Callable[[str, LoadProgress], None]
    """Told at each look how far the jobs are, under the name of the first; of the job "" when one is over without having brought anything."""
    cancelled: Callable[[], bool]
    """Whether the run was asked to end for good: its job at the store is then to end with it."""
