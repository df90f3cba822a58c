"""Search quality of finished runs: what is asked for, kept with the run so that it can be gone on with, and what was found."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator.connectors import connector
from migrator.errors import ConfigError
from migrator.filters import compile_filter
from migrator.ledger import runs as rows
from migrator.verify.search.queries import MOST_QUERIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.model import Plan
    from migrator.runs.manager import Manager

FILE = "search.json"
"""The file in a run's folder with the result."""
MOST_NEIGHBOURS = 1_000


@dataclass(frozen=True)
class SearchOptions:
    """What is asked, and what is enough."""

    samples: int = 200
    """Stored vectors to ask for, when no file of queries is given."""
    k: int = 10
    """Neighbours asked for."""
    queries: Path | None = None
    """The user's own queries (``migrator.verify.search.queries``)."""
    filter: Mapping[str, Any] | None = None
    """Of every query that has none of its own, in Pinecone's language."""
    threshold: float = 0.95
    """The mean recall of the target that is enough."""
    namespaces: tuple[str, ...] | None = None
    """Of the target; None asks in all."""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "queries": str(self.queries.absolute()) if self.queries else None}

    @staticmethod
    def from_json(told: Mapping[str, Any]) -> SearchOptions:
        queries, names = told["queries"], told["namespaces"]
        return replace(SearchOptions(**told), queries=Path(queries) if queries else None, namespaces=tuple(names) if names is not None else None)


class SearchesOfRuns:
    """Searches on the collections of finished runs, against exact truth."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def start(self, run: str, options: SearchOptions | None = None) -> None:
        """Measure in the background how much of the exact truth each side of a finished run finds; its status stays what it is.

        Without ``options``, those of the run's last search, which may have been stopped. Raise ``ConfigError`` for a run that is not
        finished, options out of range, or two sides of which neither can search.
        """
        manager = self._manager
        row = rows.get(manager.ledger, run)
        standing = rows.standing(row)
        if row["kind"] not in {"copy", "verify"} or standing not in {"proven", "differs", "incomplete"}:
            raise ConfigError(f"run {run} is not finished", fix=f"finish it first: python -m migrator resume {run}", code="run_unfinished")
        last = rows.facts(manager.ledger, run).get("search")
        chosen = options or (SearchOptions.from_json(last["options"]) if last else SearchOptions())
        check(chosen)
        _check_searchable(manager.plan(run))
        if not manager.active(run):
            rows.note(manager.ledger, run, search={"options": chosen.to_json(), "standing": standing})
        manager.start(run, again="search")

    def result(self, run: str) -> dict[str, Any] | None:
        """Return what the run's last search found, None before the first."""
        rows.get(self._manager.ledger, run)
        return load(self._manager.folder(run))


def check(options: SearchOptions) -> None:
    """Raise ``ConfigError`` naming the option that is out of range."""
    for name, value, most in (("samples", options.samples, MOST_QUERIES), ("k", options.k, MOST_NEIGHBOURS)):
        if not 1 <= value <= most:
            raise _bad(f"{name} is {value:,}", f"give a whole number from 1 to {most:,}")
    if not 0 < options.threshold <= 1:
        raise _bad(f"threshold is {options.threshold}", "give a recall above 0 and up to 1, such as 0.95")
    if options.filter is not None:
        compile_filter(options.filter)
    if options.namespaces is not None and not options.namespaces:
        raise _bad("no namespace is chosen", "choose one, or leave the option out for all")


def _check_searchable(plan: Plan) -> None:
    if not any(connector(endpoint.connector).capabilities(endpoint).searches for endpoint in (plan.source, plan.target)):
        message = f"neither {plan.source.connector} nor {plan.target.connector} has a search, so there is none to judge"
        raise ConfigError(message, fix="verify compares the records themselves", code="nothing_to_search")


def _bad(message: str, fix: str) -> ConfigError:
    return ConfigError(f"of the search, {message}", fix=fix, code="bad_option")


def save(folder: Path, found: Mapping[str, Any]) -> None:
    """Write the result of a search into a run's folder: whole and on disk, or not at all."""
    staged = folder / f"{FILE}.tmp"
    with staged.open("w", encoding="utf-8") as file:
        json.dump(found, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(folder / FILE)


def load(folder: Path) -> dict[str, Any] | None:
    """Return the result of a run's last search, None before the first."""
    try:
        return dict(json.loads((folder / FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
