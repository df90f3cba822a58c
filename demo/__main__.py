"""``python -m demo``: copies the demo data from Faiss into Milvus Lite, proves it and asks both sides the same questions."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo import build
from demo.ask import Answer, ask
from migrator.errors import MigratorError
from migrator.service import PlanOptions, Service, default_home

if TYPE_CHECKING:
    from collections.abc import Sequence

console = Console(highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 0 when the copy is proven and both sides answer alike."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("verb", nargs="?", choices=["run", "build"], default="run", help="build only prepares the Faiss index")
    parser.add_argument("--folder", type=Path, default=default_home() / "demo", help="where the demo lives (%(default)s)")
    chosen = parser.parse_args(arguments)
    folder = chosen.folder.absolute()
    try:
        build.build(folder)
        return show_endpoints(folder) if chosen.verb == "build" else run(folder)
    except MigratorError as error:
        return fail(error.message, error.fix, error.exit_code)


def fail(message: str, fix: str, code: int) -> int:
    """Print what is wrong and what to do on standard error; return ``code``."""
    print(f"error: {message}\n  fix: {fix}" if fix else f"error: {message}", file=sys.stderr)
    return code


def show_endpoints(folder: Path) -> int:
    """Print what to copy and where to."""
    source, target = build.endpoints(folder)
    say(f"The demo is ready: passages of presidents' addresses as a Faiss index.\n  source  {source}\n  target  {target}")
    return 0


def run(folder: Path) -> int:
    """Copy, prove, ask; print all three."""
    source, target = build.endpoints(folder, "sotu_by_party")
    with closing(Service()) as service:
        plan = service.plan(source, target, PlanOptions(namespace_from=build.NAMESPACE_FIELD))
        for finding in plan.findings:
            say(f"{finding.severity}: {finding.message}")
        identity = service.start(plan)
        say(f"run {identity}\n  from  {source}\n  to    {target}")
        if error := service.wait(identity)["error"]:
            return fail(error["message"], error["fix"], int(error.get("exit_code", 3)))
        proven = show_outcome(service.result(identity))
        report = service.report(identity)
    answers = ask(folder, target)
    show_answers(answers)
    say(f"report: {report}")
    return 0 if proven and all(answer.agrees for answer in answers) else 1


def say(text: str) -> None:
    """Print plain text as it is: no markup, no wrapping of paths."""
    console.print(text, markup=False, soft_wrap=True)


def show_outcome(result: dict[str, Any]) -> bool:
    """Print counts, namespaces and digests; return whether the copy is proven."""
    table = Table("namespace", "source", "target", "missing", "extra", "changed", box=None)
    for name, counts in sorted(result["namespaces"].items()):
        table.add_row(escape(name) or "(default)", *(f"{counts[key]:,}" for key in ("source", "target", "missing", "extra", "changed")))
    console.print(table)
    say("counts: " + ", ".join(f"{name} {number:,}" for name, number in result["counts"].items()))
    for side, digest in result["digests"].items():
        say(f"digest of the {side}: {digest}")
    console.print(f"{result['verdict']} in {result['seconds']:.1f} s", style="bold")
    return bool(result["verdict"] == "proven")


def show_answers(answers: Sequence[Answer]) -> None:
    """Print the best passage for each question and whether both sides rank alike."""
    passages = build.texts({key for answer in answers for key, _ in answer.exact + answer.found})
    for answer in answers:
        console.print(f"\n[bold]{escape(answer.question)}[/bold]  {'both sides agree' if answer.agrees else 'THE SIDES DIFFER'}")
        for (key, score), (other, other_score) in zip(answer.exact[:3], answer.found[:3], strict=False):
            passage = passages[key]
            says = "" if key == other else f"  (target: {other} {other_score:.4f})"
            console.print(f"  {score:.4f}  {passage['year']} {escape(passage['president'])}: {escape(passage['text'][:90])}…{says}", soft_wrap=True)
    if answers:
        agreed = sum(answer.agrees for answer in answers)
        console.print(f"\n{agreed} of {len(answers)} questions: the same {len(answers[0].exact)} best passages on both sides")


if __name__ == "__main__":
    sys.exit(main())
