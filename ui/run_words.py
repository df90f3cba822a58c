"""A run in words: what it does now, how far it is, and what its progress bar is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ui import words

if TYPE_CHECKING:
    from collections.abc import Mapping

ASKED = {"pause": "pausing", "cancel": "cancelling", "finish": "a last pass, then the proof,"}
WHEN = {
    "copying": "after the batches under way",
    "following": "after the batches under way",
    "finishing": "once the target is ready",
    "importing": "at the next look at the import",
    "verifying": "after the batches being read",
}
"""What a run that was asked to stop does first: only between two steps can it be stopped."""
PHASE = {
    "preparing": "preparing",
    "copying": "copying",
    "following": "following",
    "finishing": "finishing the target",
    "importing": "the target imports the files",
    "verifying": "proving",
    "repairing": "repairing",
    "rolling back": "rolling back",
    "searching": "asking both sides",
}

AFTER_THE_PROOF = {"repairing", "rolling back", "searching"}


def sentence(seen: Mapping[str, Any]) -> str:
    """Return how far a run is, what it does, how long it took, as one line."""
    scanned, total = seen["counts"]["scanned"], seen["total"]
    words_ = [f"{words.count(scanned)} of {words.count(total)} records"] if total else []
    if seen["kind"] == "verify":  # its total is that of both sides
        words_ = [f"{words.count(total)} records on both sides together"] if total else []
    if seen["status"] == "running":
        words_.insert(0, _doing(seen))
    words_.append(f"{words.duration(seen['seconds'])} elapsed")
    if seen["attempt"] > 1:
        words_.append(f"attempt {seen['attempt']}")
    if seen["kind"] == "dry-run":
        words_.append("dry run, nothing is written")
    return " · ".join(words_)


def _doing(seen: Mapping[str, Any]) -> str:
    """Return what a running run does now, or will do once it is through with the step it is in."""
    if seen["asked"]:
        return f"{ASKED[seen['asked']]} {WHEN.get(seen['phase'], 'once this step is done')}"
    return PHASE.get(seen["phase"], "") or "starting"


def progress_text(seen: Mapping[str, Any]) -> str:
    """Return what the progress bar of a run is made of: its length alone would contradict the records counted beside it."""
    copied, proved = (words.percent(seen["shares"][name], 0) for name in ("copied", "proved"))
    if seen["status"] == "running" and seen["phase"] in AFTER_THE_PROOF:
        return f"{proved} of the records and queries" if seen["phase"] == "searching" else PHASE[seen["phase"]]
    if seen["kind"] == "dry-run":
        return f"read {copied}"
    if seen["kind"] == "verify" or seen["status"] in {"differs", "incomplete"}:
        return f"compared {proved}"
    if seen["status"] == "proven":
        return f"copied {copied} · proved {proved}"
    if "loaded" in seen["shares"]:
        loaded = words.percent(seen["shares"]["loaded"], 0)
        return f"staged {copied} · imported {loaded} · proved {proved} — staging is half of this bar, the import and the proof a quarter each"
    return f"copied {copied} · proved {proved} — the copy is three quarters of this bar, the proof the last"


def basis(seen: Mapping[str, Any]) -> str:
    """Return what the time left is judged by, or what the run does where it cannot be judged."""
    judged = "of the import, at its speed so far" if seen["phase"] == "importing" else "at the speed of the last 10 s"
    return judged if seen["eta_seconds"] is not None else PHASE.get(seen["phase"], "")
