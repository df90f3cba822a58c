"""The verbs. Pages and the command line call nothing else: inspect, plan, start, steer, watch, prove, export."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator import configs, planning
from migrator.connectors import REGISTRY, connector, opened_source
from migrator.endpoints import parse, render
from migrator.errors import ConfigError
from migrator.ledger import progress
from migrator.ledger import runs as rows
from migrator.model import Capabilities, Collection, Finding, Plan, Step
from migrator.planning import PlanOptions
from migrator.records import to_dicts
from migrator.runs import Manager, prove, result, view
from migrator.transform import compile_transform
from migrator.verify.proof import DIFFERENCES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SHORTFALLS", "Inspection", "PlanOptions", "Service", "command", "default_home", "dump_plan", "load_plan", "stores"]

LEAST_MEASURED = 5_000
"""Records of a run whose speed says something about another's: in smaller ones, opening and finishing take most of the time."""
command = planning.command
SHORTFALLS = result.SHORTFALLS
dump_plan = configs.dump_plan
load_plan = configs.load_plan


def default_home() -> Path:
    """Return the folder of the ledger, run files and uploads: ``MIGRATOR_HOME``, or ``~/.vector-migrator``."""
    return Path(os.environ.get("MIGRATOR_HOME") or Path.home() / ".vector-migrator")


def stores() -> dict[str, Capabilities]:
    """Return every store there is, with its abilities; the in-memory one, which serves tests, left out."""
    return {name: connector(name).capabilities() for name in sorted(REGISTRY) if name != "memory"}


@dataclass(frozen=True)
class Inspection:
    """What an endpoint holds and can do."""

    endpoint: str
    collection: Collection
    capabilities: Capabilities
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the ``inspect --json`` object."""
        collection = self.collection
        return {
            "connector": parse(self.endpoint).connector,
            "resource": parse(self.endpoint).resource,
            "name": collection.name,
            "kind": collection.kind,
            "dimension": collection.dimension,
            "metric": collection.metric,
            "id_type": collection.id_type,
            "count": collection.count,
            "namespaces": dict(collection.namespaces),
            "fields": dict(collection.fields),
            "sparse": collection.sparse,
            "lossless": collection.lossless,
            "findings": [asdict(finding) for finding in self.findings],
            "abilities": {name: getattr(self.capabilities, name) for name in ("reads", "writes", "deletes", "searches")},
        }


class Service:
    """Everything the product does, over one home folder. Raises ``MigratorError`` for what the user can mend."""

    def __init__(self, home: Path | None = None, *, yielding: bool = False) -> None:
        """Open ``home``. ``yielding`` runs let other threads have the processor first: a page stays quick while they go."""
        self.home = (home or default_home()).expanduser().absolute()
        self.manager = Manager(self.home, yielding=yielding)
        self.uploads = self.home / "uploads"

    def close(self) -> None:
        """Interrupt this process's runs (each can be resumed) and close the ledger."""
        self.manager.close()

    # -- looking

    def inspect(self, endpoint: str) -> Inspection:
        """Return what ``endpoint`` holds, without reading its records where the store allows it."""
        parsed = parse(endpoint)
        with opened_source(parsed) as source:
            collection = source.describe()
        return Inspection(render(parsed), collection, connector(parsed.connector).capabilities(parsed), collection.findings)

    def sample(self, endpoint: str, records: int = 20, namespace: str | None = None) -> list[dict[str, Any]]:
        """Return the first records, metadata parsed."""
        return planning.sample_records(endpoint, records, namespace)

    def doctor(self, endpoint: str) -> Iterator[Step]:
        """Test the connection step by step."""
        parsed = parse(endpoint)
        yield from connector(parsed.connector).examine(parsed)

    # -- planning and running

    def plan(self, source: str, target: str, options: PlanOptions | None = None) -> Plan:
        """Return a plan with its findings and estimate. Nothing is written."""
        return planning.make_plan(source, target, options or PlanOptions(), measured=self._measured(source, target))

    def look_again(self, plan: Plan) -> Plan:
        """Return ``plan`` with the findings that hold now; those kept in a plan file are of the day it was made."""
        return planning.look(plan)

    def _measured(self, source: str, target: str) -> float | None:
        pair = (parse(source).connector, parse(target).connector)
        for row in rows.listed(self.manager.ledger)[:50]:
            known = (row["source"].partition(":")[0], row["target"].partition(":")[0])
            seen = json.loads(row["facts"]).get("source")
            if known == pair and row["kind"] == "copy" and row["status"] == "proven" and seen and seen["records"] >= LEAST_MEASURED:
                scanned = progress.counts(self.manager.ledger, row["run"]).scanned
                return planning.comparable_rate(scanned, float(row["active_seconds"]), seen["dimension"])
        return None

    def start(self, plan: Plan, *, dry_run: bool = False, owner: str = "") -> str:
        """Start a run in the background and return its id. Raise ``PlanError`` when a finding stands in the way."""
        planning.check(plan)
        run = self.manager.create(plan, kind="dry-run" if dry_run else "copy", owner=owner)
        self.manager.start(run)
        return run

    def wait(self, run: str, timeout: float | None = None) -> dict[str, Any]:
        """Wait for a run of this process to end and return its status; returns earlier after ``timeout`` seconds."""
        self.manager.wait(run, timeout)
        return self.status(run)

    def pause(self, run: str) -> None:
        """Ask the run, in whatever process it is, to pause after its current chunks."""
        self.manager.ask(run, "pause")

    def cancel(self, run: str) -> None:
        """Ask the run to end for good after its current chunks; what was written stays, and so do its figures."""
        self.manager.ask(run, "cancel")

    def resume(self, run: str) -> None:
        """Go on with a paused, interrupted, failed or cancelled run from its last checkpoints."""
        status = self.status(run)["status"]
        if status in ("proven", "differs", "incomplete"):
            raise ConfigError(f"run {run} is finished", fix=f"prove it again with: python -m migrator verify {run}", code="run_finished")
        self.manager.start(run)

    def runs(self, owner: str | None = None) -> list[dict[str, Any]]:
        """Return all runs, newest first."""
        return [view.summary(self.manager, row) for row in rows.listed(self.manager.ledger, owner)]

    def status(self, run: str) -> dict[str, Any]:
        """Return everything known of a run: see ``migrator.runs.view``."""
        return view.detail(self.manager, run)

    # -- proof

    def start_verify(self, run: str) -> None:
        """Prove a finished run again in the background, reading both sides."""
        if self.status(run)["status"] not in ("proven", "differs", "incomplete"):
            raise ConfigError(f"run {run} is not finished", fix=f"finish it first: python -m migrator resume {run}", code="run_unfinished")
        self.manager.start(run, prove_again=True)

    def start_verify_pair(self, source: str, target: str, options: PlanOptions | None = None, owner: str = "") -> str:
        """Compare two collections in the background and return the run's id."""
        run = self.manager.create(planning.draft(parse(source), parse(target), options or PlanOptions()), kind="verify", owner=owner)
        self.manager.start(run)
        return run

    def result(self, run: str) -> dict[str, Any]:
        """Return the verdict and everything behind it. Raise ``ConfigError`` before the first proof."""
        found = result.load(self.manager.folder(run))
        if found is None:
            rows.get(self.manager.ledger, run)
            raise ConfigError(f"run {run} has not been proven yet", fix=f"see: python -m migrator status {run}", code="no_result")
        return found

    def difference(self, run: str, namespace: str, record: str) -> dict[str, Any]:
        """Return one record as it is now on both sides: ``{"source": record | None, "target": record | None}``."""
        plan = self.manager.plan(run)
        found: dict[str, Any] = {}
        for name, endpoint, rules in (("source", plan.source, plan), ("target", plan.target, Plan(plan.source, plan.target))):
            with opened_source(endpoint) as opened:
                there = to_dicts(prove.routed_fetch(opened, compile_transform(rules))([record], namespace))
            found[name] = there[0] if there else None
        return found

    # -- files

    def report(self, run: str, output: Path | None = None) -> Path:
        """Return the run's HTML report, or write it to ``output``."""
        self.result(run)
        path = self.manager.folder(run) / "report.html"
        if output is None:
            return path
        output.write_bytes(path.read_bytes())
        return output

    def rejected_file(self, run: str) -> Path | None:
        """Write the run's rejected records, raw, as JSON lines readable by this user only; None when there are none."""
        rows.get(self.manager.ledger, run)
        return result.write_rejected(self.manager.ledger, run, self.manager.folder(run))

    def artifacts(self, run: str) -> list[dict[str, Any]]:
        """Return the files a run left: its report, all its differences, its rejected records, its plan, and what it exported."""
        plan, folder = self.manager.plan(run), self.manager.folder(run)
        plan_file = folder / "plan.yaml"
        plan_file.write_text(dump_plan(plan), encoding="utf-8")
        own = [("report", folder / "report.html"), ("differences", folder / DIFFERENCES), ("rejected", self.rejected_file(run)), ("plan", plan_file)]
        found = [_artifact(kind, path) for kind, path in own if path is not None and path.exists() and path.stat().st_size]
        return found + list(planning.exported_files(plan))


def _artifact(kind: str, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"kind": kind, "name": path.name, "path": str(path), "bytes": path.stat().st_size, "sha256": digest}
