"""What the configuration of another tool asks for, as a plan and what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.model import Finding, Plan


@dataclass(frozen=True)
class Conversion:
    """What a configuration asks for."""

    action: Literal["copy", "verify", "reset"]
    plan: Plan
    """For ``verify`` and ``reset`` only its endpoints, selection and mapping count."""
    reset_first: bool = False
    """Whether the stamps in the source are to be removed before the copy."""
    then: tuple[Plan, ...] = ()
    """What the configuration means beyond the plan, to be run when it is done."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variable -> the key or password that the file gives literally; in memory only."""

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What became of each key that is not simply honoured."""
        return self.plan.findings
