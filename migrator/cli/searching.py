"""The search on a finished run: how much of the exact truth each side finds."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator.cli import output
from migrator.cli.progress import follow
from migrator.cli.signals import ended, interruptible
from migrator.service import SearchOptions, Service

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_SHOWN = 5
_NAMESPACES = 20


def search(options: argparse.Namespace) -> int:
    """Search, show what was found and return 0 for pass, 1 for fail and for what could not be judged."""
    wanted = SearchOptions(
        samples=options.samples,
        k=options.top_k,
        queries=Path(options.queries) if options.queries else None,
        filter=options.filter,
        threshold=options.threshold,
        namespaces=tuple(options.namespace) if options.namespace is not None else None,
    )
    with closing(Service()) as service:
        with interruptible(service):
            service.searches.start(options.run, wanted)
            status = follow(service, options.run)
        if error := status["error"]:
            output.show_error({name: error[name] for name in ("code", "message", "fix")}, as_json=options.json)
            return ended(service, int(error.get("exit_code", 3)))
        found = service.searches.result(options.run) or {}
        output.show(found, text, as_json=options.json)
        return ended(service, 0 if found["verdict"] == "pass" else 1)


def text(found: Mapping[str, Any]) -> str:
    """Return the result of a search as text."""
    asked = "stored vectors" if found["queries_from"] == "sample" else "queries of the file"
    truth = found["truth"]
    lines = [
        f"{found['verdict']}: search on run {found['run']}",
        f"  {found['reason']}",
        f"  {found['queries']:,} {asked}, the nearest {found['k']} of each by {found['metric']}",
        f"  truth      exact answers over {truth['records']:,} records of the {truth['read_from']}",
        *(_side(found, side) for side in ("source", "target")),
    ]
    if found["overlap"] is not None:
        drift = found["score_drift"]
        apart = f", scores apart by {drift['mean']:.2g}, at most {drift['max']:.2g}" if drift else ""
        lines.append(f"  both       {found['overlap']:.1%} of the answers are the same{apart}")
    rows = list(found["namespaces"].items())
    lines += [_namespace(name, row) for name, row in rows[:_NAMESPACES]] if len(rows) > 1 else []
    lines += [f"  and {len(rows) - _NAMESPACES:,} namespaces more (--json has them all)"] if len(rows) > _NAMESPACES else []
    poor = [answer for answer in found["answers"] if (answer["recall_target"] or 0) < 1 and answer["recall_target"] is not None]
    lines += [f"  worst      {answer['query']!r} in {answer['namespace'] or '(default)'}: {answer['recall_target']:.0%} found" for answer in poor[:_SHOWN]]
    lines += [f"  {finding['severity']}: {finding['message']}" for finding in found["findings"]]
    return "\n".join([*lines, f"  {found['seconds']:.1f} s"])


def _side(found: Mapping[str, Any], side: str) -> str:
    recall, latency = found["recall"][side], found["latency_ms"][side]
    if recall is None or latency is None:
        return f"  {side:10} not asked"
    return (
        f"  {side:10} recall {recall['mean']:.1%}, worst twentieth {recall['p05']:.1%}, least {recall['min']:.1%}; "
        f"{latency['p50']:.1f} ms, {latency['p95']:.1f} ms at the 95th percentile"
    )


def _namespace(name: str, row: Mapping[str, Any]) -> str:
    sides = ", ".join(f"{side} {row[f'recall_{side}']:.1%}" for side in ("source", "target") if row[f"recall_{side}"] is not None)
    return f"  {name or '(default)':30} {row['queries']:>6,} queries  recall {sides or 'unknown'}"
