"""The report of a proof as one self-contained HTML file: a manager reads the top, an engineer the rest."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_STYLE = Path(__file__).with_name("report.css").read_text(encoding="utf-8")

_SENTENCES = {
    "proven": "Every record of the source is in the target, with equal content.",
    "differs": "The two collections are not equal.",
    "incomplete": "Not every record of the source could be copied. What was copied is equal.",
}
_UNREAD = "Not every record of the source could be read. What could be read is equal."
_DEFAULT = "(default)"
_COPY_SIDES = ("expected in the target", "in the target")
_GUARANTEE = (
    "What this proves: every source record seen while copying is in the target with an equal digest, or is named among the rejected records, "
    "or was an exact duplicate. Vectors are compared bit by bit as float32; metadata by value, so 1 and 1.0 are equal. "
    "No snapshot is claimed: a source that changes meanwhile is compared as it was read."
)


def render_report(result: Mapping[str, Any]) -> str:
    """Return the HTML of a result as ``migrator.runs.result`` makes it. Everything from outside is escaped."""
    verdict = result["verdict"]
    parts = [
        f"<h1>Migration report</h1><p class=dim>{escape(result['plan']['source'])} → {escape(result['plan']['target'])}</p>",
        f"<div class='verdict {verdict}'><strong>{verdict.capitalize()}</strong><p>{_sentence(result)}</p></div>",
        _cards(result),
        "<h2>Counts</h2>",
        _identity(result),
        "<h2>Namespaces</h2>",
        _bars(result["namespaces"], _sides(result)),
        _namespaces(result["namespaces"], _sides(result)),
        _differences(result),
        _rejected(result["rejected"], result["counts"]["rejected"]),
        _findings(result["findings"]),
        _passes(result),
        _cutover(result.get("cutover")),
        _technical(result),
    ]
    title = f"Migration report {escape(result['run'])}"
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{title}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang=en>{head}<body>{''.join(parts)}</body></html>\n"


def _sentence(result: Mapping[str, Any]) -> str:
    return _UNREAD if result["verdict"] == "incomplete" and result["kind"] == "verify" else _SENTENCES[result["verdict"]]


def _sides(result: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the namespaces' counts of both sides count: a copy's source has also what was rejected, vanished or doubled."""
    return ("source, as far as it can be read" if result["counts"]["rejected"] else "source", "target") if result["kind"] == "verify" else _COPY_SIDES


def _cards(result: Mapping[str, Any]) -> str:
    counts = result["counts"]
    cards = [
        ("Records in the source", f"{counts['scanned']:,}"),
        ("Equal" if result["kind"] == "verify" else "Copied", f"{counts['copied']:,}"),
        ("Differences", f"{result['differences_total']:,}"),
        ("Not readable" if result["kind"] == "verify" else "Rejected", f"{counts['rejected']:,}"),
        ("Time", _duration(result["seconds"])),
        ("Rate", f"{result['records_per_second']:,.0f}/s"),
    ]
    return "<div class=cards>" + "".join(f"<div class=card>{name}<b>{value}</b></div>" for name, value in cards) + "</div>"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s" if minutes else f"{seconds:.1f} s"


def _identity(result: Mapping[str, Any]) -> str:
    """Return how the counts add up. Those of a comparison bear a copy's names and mean other things: nothing was copied."""
    counts = result["counts"]
    names = {name: name for name in ("copied", "rejected", "vanished", "duplicate")}
    if result["kind"] == "verify":
        names = {"copied": "equal", "rejected": "not readable", "vanished": "missing or changed"}
    terms = " + ".join(f"{counts[name]:,} {said}" for name, said in names.items())
    return f"<p>{counts['scanned']:,} scanned = {terms}</p>"


def _bars(namespaces: Mapping[str, Mapping[str, int]], sides: tuple[str, str]) -> str:
    most = max((max(counts["source"], counts["target"]) for counts in namespaces.values()), default=0) or 1
    rows = []
    for name, counts in list(namespaces.items())[:30]:
        tracks = "".join(
            f"<div style='width:{100 * counts[side] / most:.2f}%;background:var(--{tone})' title='{said} {counts[side]:,}'></div>"
            for side, said, tone in zip(("source", "target"), sides, ("bar", "bar2"), strict=True)
        )
        rows.append(
            f"<div class=row><span>{escape(name or _DEFAULT)}</span><div class=track>{tracks}</div><span>{counts['target'] - counts['source']:+,}</span></div>"
        )
    return f"<p class=dim>Upper bar: {sides[0]}. Lower bar: {sides[1]}. Right: their difference.</p>{''.join(rows)}"


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]], numbers: int = 0) -> str:
    """Return a table whose last ``numbers`` columns are figures."""
    first = len(header) - numbers
    head = "".join(f"<th{' class=n' if place >= first else ''}>{escape(name)}</th>" for place, name in enumerate(header))
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=n' if place >= first else ''}>{escape(f'{cell:,}' if isinstance(cell, int) else str(cell))}</td>" for place, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"


def _namespaces(namespaces: Mapping[str, Mapping[str, int]], sides: tuple[str, str]) -> str:
    columns = ("source", "target", "missing", "extra", "changed")
    header = ("namespace", *sides, *columns[2:])
    return _table(header, ((name or _DEFAULT, *(counts[column] for column in columns)) for name, counts in namespaces.items()), len(columns))


def _differences(result: Mapping[str, Any]) -> str:
    if not result["differences"]:
        return ""
    shown = result["differences"][:200]
    rows = ((row["namespace"] or _DEFAULT, row["id"], row["class"], ", ".join(row["fields"])) for row in shown)
    more = f"<p class=dim>{len(shown):,} of {result['differences_total']:,} shown; differences.jsonl beside this report has all.</p>"
    return "<h2>Differences</h2>" + more + _table(("namespace", "id", "class", "fields"), rows)


def _rejected(rejected: Sequence[Mapping[str, Any]], total: int) -> str:
    if not rejected:
        return ""
    shown = rejected[:200]
    rows = ((row["namespace"] or _DEFAULT, row["id"], row["code"], row["field"], row["message"]) for row in shown)
    return f"<h2>Rejected records</h2><p class=dim>{len(shown):,} of {total:,} shown.</p>" + _table(("namespace", "id", "code", "field", "reason"), rows)


def _findings(findings: Sequence[Mapping[str, Any]]) -> str:
    if not findings:
        return ""
    return "<h2>Findings</h2>" + _table(("severity", "finding"), ((finding["severity"], finding["message"]) for finding in findings))


def _passes(result: Mapping[str, Any]) -> str:
    """Return what each pass of a run that followed its source found."""
    if not result.get("passes"):
        return ""
    columns = ("new", "changed", "deleted", "gone")
    rows = ((row["pass"], _moment(row["finished"]), row["counts"]["scanned"], *(row[name] for name in columns)) for row in result["passes"])
    said = "The first is the first copy. Gone: no longer in the source, and left in the target."
    return f"<h2>Passes</h2><p class=dim>{said}</p>" + _table(("pass", "finished", "scanned", *columns), rows, 1 + len(columns))


def _cutover(done: Mapping[str, Any] | None) -> str:
    """Return what the cut-over did, the new address, and the way back."""
    if done is None:
        return ""
    parts = ["<h2>Cut-over</h2>", _table(("done",), ((line,) for line in done["done"]))]
    for name, address in (("New address", done["new"]), ("The way back", done["old"])):
        lines = [f"{variable}={value}" for variable, value in address["environment"].items()]
        lines += [f"\n# {language}\n{text}" for language, text in address["snippets"].items()]
        said = [f"# {address['note']}"] if address.get("note") else []
        parts.append(f"<h3>{name}</h3><pre>{escape(chr(10).join(said + lines))}</pre>")
    return "".join(parts)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _technical(result: Mapping[str, Any]) -> str:
    facts = [
        ("run", result["run"]),
        ("finished", _moment(result["finished"])),
        ("source digest", result["digests"]["source"]),
        ("target digest", result["digests"]["target"]),
        ("compared with", result["compared_with"]),
        ("Vector Migrator", __version__),
        ("Python", platform.python_version()),
    ]
    plan = escape(json.dumps(result["plan"], indent=1, ensure_ascii=False))
    return f"<h2>Details</h2>{_table(('fact', 'value'), facts)}<p class=dim>{_GUARANTEE}</p><details><summary>Plan</summary><pre>{plan}</pre></details>"
