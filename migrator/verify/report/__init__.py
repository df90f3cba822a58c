"""The report of a proof as one self-contained HTML file, and as JSON: a manager reads the top, an engineer the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator import __version__
from migrator.verify.report import afterwards, counts, differences, plan_words, seal, search, technical, verdict
from migrator.verify.report.html import Html, code, el, join

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["render_report"]

_STYLE = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
_VIEWPORT = Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" content="light dark">')


def render_report(result: Mapping[str, Any]) -> str:
    """Return the HTML of a result as ``migrator.runs.result`` makes it, sealed. Everything from outside is escaped; keys of later versions may be missing."""
    mark = seal.fingerprint(result)
    seals = Html(f'<meta name="fingerprint" content="{mark}">{seal.place()}')
    title = f"{verdict.TITLES[result['verdict']]}: {'comparison' if result['kind'] == 'verify' else 'migration'} report {result['run']}"
    head = el("head", _VIEWPORT, seals, el("title", title), Html(f"<style>{_STYLE}</style>"))
    body = el("body", el("main", *_parts(result), _foot(result, mark)), Html(seal.embedded(result)))
    return seal.sealed(join([Html("<!doctype html>\n"), el("html", head, body, lang="en"), Html("\n")]))


def _parts(result: Mapping[str, Any]) -> list[Html | None]:
    return [
        verdict.head(result),
        verdict.banner(result),
        verdict.cards(result),
        counts.counts(result),
        differences.differences(result),
        differences.rejected(result),
        search.search(result.get("search"), result.get("finished")),
        differences.findings(result),
        afterwards.repairs(result),
        afterwards.rollback(result),
        afterwards.cutover(result),
        afterwards.passes(result),
        technical.proof(result),
        plan_words.plan(result),
        technical.performance(result),
        technical.details(result),
    ]


def _foot(result: Mapping[str, Any], mark: str) -> Html:
    """Return the fingerprint and how to confirm it."""
    made = (result.get("technical") or {}).get("versions", {}).get("Vector Migrator", __version__)
    how = join(["Confirm that nothing was altered: ", code("python -m migrator report --check FILE")])
    said = (
        "The fingerprint is that of the data, which this file carries whole. It bears no key: only the home that ran the migration can confirm it as its own."
    )
    return el(
        "footer", el("h2", "Fingerprint"), el("p", code(mark)), el("p", how), el("p", said, class_="dim"), el("p", f"Vector Migrator {made}", class_="dim")
    )
