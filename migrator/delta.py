"""What a plan that follows its source, or stamps it, asks of both sides, as findings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from migrator.errors import ConfigError
from migrator.model import Finding, Follow
from migrator.protocols import Stampable
from migrator.records import parse_json
from migrator.stamps import KEYS, is_stamped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from migrator.model import Capabilities, Plan
    from migrator.protocols import Source

_DEFAULTS = Follow()


def check_follow(follow: Follow | None) -> None:
    """Raise ``ConfigError`` for an interval that is none."""
    if follow is not None and not (math.isfinite(follow.interval) and follow.interval >= 0):
        raise ConfigError(f"an interval of {follow.interval} seconds is not possible", fix="give --interval 0 or more", code="bad_option")


def delta_findings(plan: Plan, source: Source, capabilities: Capabilities, sample: Sequence[pa.RecordBatch]) -> list[Finding]:
    """Return what stands in the way of following or stamping ``source``; ``capabilities`` are the target's."""
    findings = _stamping(plan, source, sample) if plan.stamp else []
    return findings + _following(plan, plan.follow, capabilities) if plan.follow is not None else findings


def _stamping(plan: Plan, source: Source, sample: Sequence[pa.RecordBatch]) -> list[Finding]:
    if not isinstance(source, Stampable):
        message = f"records of {plan.source.connector} cannot be stamped"
        return [Finding("blocking", "stamps_unsupported", message, "leave out --stamp: following needs no stamps")]
    texts = [text for batch in sample for text in batch.column("metadata").drop_null().to_pylist()]
    own = {key for fields in map(parse_json, texts) if not is_stamped(fields) for key in KEYS if key in fields}
    if own:
        message = f"the source's records have a field {min(own)} of their own, which a stamp would overwrite"
        return [Finding("blocking", "stamps_would_overwrite", message, "leave out --stamp: following needs no stamps")]
    return []


def _following(plan: Plan, follow: Follow, capabilities: Capabilities) -> list[Finding]:
    findings = []
    if not capabilities.merges:
        message = f"a {plan.target.connector} target is written anew by each run, so a run cannot go on adding to it"
        findings.append(Finding("blocking", "follow_unsupported", message, "leave out --follow, or choose a target that is written by id"))
    if follow.deletes and not capabilities.deletes:
        message = f"records cannot be deleted from a {plan.target.connector} target"
        findings.append(Finding("blocking", "deletes_unsupported", message, "leave out --deletes"))
    if plan.selection.filter is not None and _mentions(plan.selection.filter):
        message = "the filter asks for the very fields that stamps set, so a stamped record would count as gone"
        findings.append(Finding("blocking", "follow_filters_stamps", message, "leave the filter out: each pass copies only what is new or changed"))
    if follow.changes == "new":
        message = "only new ids will be looked for after the first copy: records that change in the source will not be copied again"
        findings.append(Finding("info", "changes_not_seen", message, "follow with --changes all to have contents compared"))
    return findings


def _mentions(filter_: Any) -> bool:
    if isinstance(filter_, dict):
        return any(key in KEYS or _mentions(value) for key, value in filter_.items())
    return isinstance(filter_, list) and any(map(_mentions, filter_))


def command_words(plan: Plan) -> list[str]:
    """Return the options of the command line that say how ``plan`` follows and stamps, and what it keeps."""
    words = [flag for flag, wanted in (("--keep-overwritten", plan.keep_overwritten), ("--stamp", plan.stamp)) if wanted]
    if plan.follow is None:
        return words
    words.append("--follow")
    if plan.follow.interval != _DEFAULTS.interval:
        words += ["--interval", f"{plan.follow.interval:g}"]
    if plan.follow.deletes:
        words.append("--deletes")
    if plan.follow.changes != _DEFAULTS.changes:
        words += ["--changes", plan.follow.changes]
    return words
