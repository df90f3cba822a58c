"""What was done to the run beside its copy: passes that followed the source, repairs, the cut-over, the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.verify.report.figures import many, moment
from migrator.verify.report.html import Html, el, outside, section, table

if TYPE_CHECKING:
    from collections.abc import Mapping


def passes(result: Mapping[str, Any]) -> Html | None:
    """Return what each pass of a run that followed its source found."""
    if not result.get("passes"):
        return None
    columns = ("new", "changed", "deleted", "gone")
    rows = ((row["pass"], moment(row["finished"]), row["counts"]["scanned"], *(row[name] for name in columns)) for row in result["passes"])
    lead = "The first is the first copy. Gone: no longer in the source, and left in the target."
    return section("Passes", table(("pass", "finished", "scanned", *columns), rows, 1 + len(columns)), lead=lead)


def repairs(result: Mapping[str, Any]) -> Html | None:
    """Return what repairs copied and deleted before this proof."""
    found = result.get("repairs")
    if not found:
        return None
    rows = ((moment(row.get("finished")), row.get("copied"), row.get("deleted")) for row in found)
    lead = "Each repair copied the differing records again, then both sides were proven anew."
    return section("Repairs", table(("finished", "copied again", "deleted in the target"), rows, 2), lead=lead)


def rollback(result: Mapping[str, Any]) -> Html | None:
    """Return what the rollback took back."""
    done = result.get("rolled_back")
    if not done:
        return None
    dropped = done.get("dropped")
    lines = [
        f"{many(done.get('deleted') or 0, 'record')} that the run wrote {'was' if done.get('deleted') == 1 else 'were'} deleted",
        f"{many(done.get('restored') or 0, 'record')} that it overwrote {'was' if done.get('restored') == 1 else 'were'} restored",
    ]
    said = "the collection it had made was dropped" if dropped else " and ".join(lines)
    proof = el("p", "Proof: ", outside(done["proof"])) if done.get("proof") else None
    return section("Rollback", el("p", f"{moment(done.get('finished'))}: {said}."), proof)


def cutover(result: Mapping[str, Any]) -> Html | None:
    """Return what the cut-over did, the new address, and the way back."""
    done = result.get("cutover")
    if not done:
        return None
    parts = [el("ol", *(el("li", outside(line)) for line in done.get("done") or ()))]
    for name, key in (("New address", "new"), ("The way back", "old")):
        address = done.get(key) or {}
        lines = [f"# {address['note']}"] if address.get("note") else []
        lines += [f"{variable}={value}" for variable, value in (address.get("environment") or {}).items()]
        lines += [f"\n# {language}\n{snippet}" for language, snippet in (address.get("snippets") or {}).items()]
        parts += [el("h3", name), el("pre", "\n".join(lines).strip("\n"))] if lines else []
    when = moment(done["finished"]) if done.get("finished") else None
    return section("Cut-over", *parts, lead=when)
