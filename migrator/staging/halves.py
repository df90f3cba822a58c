"""A staged plan in two halves that can be run days apart, on two machines: ``dump`` writes the files, ``load`` has them loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from migrator.errors import ConfigError
from migrator.model import Mapping, Plan, Selection

if TYPE_CHECKING:
    from migrator.model import Endpoint


def half(plan: Plan, verb: Literal["dump", "load"]) -> Plan:
    """Return the plan that writes the files of ``plan`` and proves them, or has them loaded as they are. Raise ``ConfigError`` when it stages none."""
    where = _staging(plan, verb)
    if verb == "dump":
        return plan.with_(target=where, shaped_for=plan.target, route="direct", staging=None)
    return plan.with_(source=where, selection=Selection(), mapping=Mapping(), route="staged", batch=None)


def _staging(plan: Plan, verb: str) -> Endpoint:
    if plan.staging is None or plan.route != "staged":
        fix = "plan it with: --route staged --staging numpy:s3://bucket/prefix, or use: python -m migrator run plan.yaml"
        raise ConfigError(f"the plan stages no files, so there is nothing to {verb}", fix=fix, code="staging_missing")
    return plan.staging
