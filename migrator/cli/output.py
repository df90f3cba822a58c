"""How answers look: one JSON object on stdout, or plain text for people; errors on stderr, one line each."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from migrator.errors import ConfigError
from migrator.service import cost_sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_SHOWN = 20


def show(answer: Mapping[str, Any], as_text: Callable[[Any], str], *, as_json: bool) -> None:
    """Print an answer."""
    text = _json(answer) if as_json else _printable(as_text(answer), keep="\n")
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _json(answer: Mapping[str, Any]) -> str:
    """Return JSON that is readable and still moves no cursor: what cannot be printed is escaped as JSON escapes it."""
    text = json.dumps(answer, ensure_ascii=False, default=str)
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _printable(text: str, keep: str) -> str:
    """Escape control characters: ids and metadata are data, and must not steer a terminal."""
    return "".join(c if c.isprintable() or c in keep or c == " " else c.encode("unicode_escape").decode() for c in text)


def show_error(error: Mapping[str, str], *, as_json: bool) -> None:
    """Print an error: as JSON on stdout, or message and cure on stderr, one line each."""
    if as_json:
        show({"error": dict(error)}, str, as_json=True)
        return
    sys.stderr.write(f"error: {_printable(error['message'], '')}\n")
    if error["fix"]:
        sys.stderr.write(f"  fix: {_printable(error['fix'], '')}\n")


def write(path: Path, text: str) -> None:
    """Write a file the user named."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", fix="give another -o FILE", code="output_unwritable") from None


def findings(found: Sequence[Mapping[str, str]]) -> None:
    """Print what the user should know before a run, on stderr."""
    for finding in found:
        fix = f" ({finding['fix']})" if finding["fix"] else ""
        sys.stderr.write(_printable(f"{finding['severity']}: {finding['message']}{fix}", "") + "\n")


def cost(estimate: Mapping[str, Any]) -> None:
    """Print what a plan costs, on stderr; nothing where no store charges for its use."""
    for line in cost_sentences(estimate["cost"]) if estimate.get("cost") else ():
        sys.stderr.write(_printable(f"cost: {line}", "") + "\n")


def mapping(found: Mapping[str, Any] | None) -> None:
    """Print what a target's schema will be and where each metadata key goes, on stderr; nothing where the store has no schema."""
    lines = [f"target: {name}: {value}" for name, value in (found or {}).get("facts", {}).items()]
    fields = (found or {}).get("fields", [])
    for field in fields[:_SHOWN]:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in field["types"].items())
        size = f", up to {field['max_bytes']:,} bytes" if field["max_bytes"] else ""
        lines.append(f"metadata: {field['name']}: {kinds}{size} -> {field['place']} ({field['type']})")
    if len(fields) > _SHOWN:
        lines.append(f"metadata: and {len(fields) - _SHOWN:,} keys more (--json has them all)")
    sys.stderr.writelines(_printable(line, "") + "\n" for line in lines)


def step(found: Mapping[str, Any]) -> None:
    """Print one step of a connection test."""
    sign = {"ok": "✓", "failed": "✗", "skipped": "-"}[found["status"]]
    sys.stdout.write(_printable(f"{sign} {found['name']:12} {found['detail']}  ({found['seconds'] * 1000:.0f} ms)", "") + "\n")
    if found["fix"] and found["status"] == "failed":
        sys.stdout.write(_printable(f"  fix: {found['fix']}", "") + "\n")


def inspection(answer: Mapping[str, Any]) -> str:
    """Return an inspection as text."""
    lines = [
        f"{answer['connector']} {answer['name']} ({answer['kind']})",
        f"  records    {answer['count']:,}",
        f"  dimension  {answer['dimension']}",
        f"  metric     {answer['metric'] or 'not recorded'}",
        f"  ids        {answer['id_type']}",
        f"  lossless   {'yes' if answer['lossless'] else 'no'}",
        f"  abilities  {', '.join(name for name, can in answer['abilities'].items() if can)}",
        "  namespaces",
        *(f"    {name or '(default)':30} {count:>12,}" for name, count in list(answer["namespaces"].items())[:100]),
    ]
    if answer["fields"]:
        lines.append("  fields     " + ", ".join(f"{name} ({kind})" for name, kind in answer["fields"].items()))
    return "\n".join(lines + [f"  {finding['severity']}: {finding['message']}" for finding in answer["findings"]])


def result(answer: Mapping[str, Any]) -> str:
    """Return a run's result as text."""
    counts = answer["counts"]
    lines = [
        f"{answer['status']}: run {answer['run']}",
        f"  {counts['scanned']:,} scanned = " + " + ".join(f"{counts[name]:,} {name}" for name in ("copied", "rejected", "vanished", "duplicate")),
    ]
    lines += [
        f"  {name or '(default)':30} expected {row['source']:>10,}   in the target {row['target']:>10,}"
        for name, row in list(answer["namespaces"].items())[:_SHOWN]
    ]
    if "digests" in answer:
        lines.append(f"  digests    source {answer['digests']['source']}   target {answer['digests']['target']}")
    lines += [f"  {row['class']}: {row['id']!r} in {row['namespace'] or '(default)'} {', '.join(row['fields'])}" for row in answer["differences"][:_SHOWN]]
    lines += [f"  rejected: {row['id']!r} in {row['namespace'] or '(default)'}: {row['message']} [{row['code']}]" for row in answer["rejected"][:_SHOWN]]
    if scope := answer.get("scope"):
        lines.append(f"  {scope['sentence']}")
    if tolerated := answer.get("tolerance"):
        lines.append(f"  {tolerated['within']:,} vectors differ within the tolerance, by {tolerated['largest']:.3g} at most")
    lines += verified(answer.get("verified_batches"))
    lines.append(f"  {answer['seconds']:.1f} s, {answer['records_per_second']:,.0f} records/s")
    if answer["report"]:
        lines.append(f"  report     {answer['report']}")
    if answer["status"] in ("interrupted", "paused", "failed"):
        lines.append(f"  go on with: python -m migrator resume {answer['run']}")
    return "\n".join(lines)


def verified(found: Mapping[str, int] | None) -> list[str]:
    """Return the line about the batches that were read back; none where none were to be."""
    if found is None:
        return []
    return [f"  {found['batches']:,} batches read back, {found['records']:,} records; {found['differences']:,} differed at first"]


def runs(answer: Mapping[str, Any]) -> str:
    """Return the list of runs as text."""
    lines = [
        f"{row['run']}  {row['status']:11}  {row['counts']['copied']:>12,} of {row['total']:,}  {row['source']} -> {row['target']}" for row in answer["runs"]
    ]
    return "\n".join(lines) if lines else "no runs yet; start one with: python -m migrator copy SOURCE TARGET"


def status(answer: Mapping[str, Any]) -> str:
    """Return one run's status as text."""
    counts = answer["counts"]
    lines = [
        f"{answer['run']}  {answer['status']}  {answer['phase']}  {answer['progress']:.0%}  attempt {answer['attempt']}",
        f"  {answer['source']} -> {answer['target']}",
        (
            f"  {counts['scanned']:,} of {answer['total']:,} scanned, {counts['copied']:,} copied, {counts['rejected']:,} rejected, "
            f"{answer['records_per_second']:,.0f} records/s"
        ),
    ]
    if load := answer.get("load"):
        done = "done" if load["done"] else f"{load['share']:.0%}"
        lines.append(f"  import {load['job']} {done}, {load['records']:,} of {counts['copied']:,} staged records")
    lines += verified(answer["verified_batches"])
    lines += [f"  {line['time']} {line['level']:7} {line['message']}" for line in answer["log"][-_SHOWN:]]
    if answer["error"]:
        lines.append(f"  error: {answer['error']['message']}; fix: {answer['error']['fix']}")
    return "\n".join(lines)
