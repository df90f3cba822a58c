"""The service: everything the product does, over one home folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator import inspection, planning, preview, shape
from migrator.connectors import connector, opened_source
from migrator.endpoints import parse
from migrator.errors import ConfigError
from migrator.ledger import runs as rows
from migrator.model import Plan, Scope
from migrator.planning import PlanOptions
from migrator.records import to_dicts
from migrator.runs import Manager, artifacts, cutover, proof_sides, proofs, prove, rates, reports, result, scopes, stamping, view
from migrator.runs.aliases import AliasesOfRuns
from migrator.runs.maps import MapsOfRuns
from migrator.runs.repairs import RepairsOfRuns
from migrator.runs.rollbacks import RollbacksOfRuns
from migrator.runs.searches import SearchesOfRuns
from migrator.service.home import default_home
from migrator.transform import compile_transform
from migrator.verify.report import seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from migrator.inspection import Inspection
    from migrator.model import Step


EVERYTHING = Scope()


class Service:
    """Everything the product does, over one home folder. Raises ``MigratorError`` for what the user can mend."""

    def __init__(self, home: Path | None = None, *, yielding: bool = False) -> None:
        """Open ``home``. ``yielding`` runs let other threads have the processor first: a page stays quick while they go."""
        self.home = (home or default_home()).expanduser().absolute()
        self.manager = Manager(self.home, yielding=yielding)
        self.aliases = AliasesOfRuns(self.manager)
        self.repairs = RepairsOfRuns(self.manager)
        self.rollbacks = RollbacksOfRuns(self.manager)
        self.searches = SearchesOfRuns(self.manager)
        self.maps = MapsOfRuns(self.manager)
        self.uploads = self.home / "uploads"
        self.prices = self.home / "prices.yaml"

    def close(self) -> None:
        """Interrupt this process's runs (each can be resumed) and close the ledger."""
        self.manager.close()

    # -- looking

    def inspect(self, endpoint: str) -> Inspection:
        """Return what ``endpoint`` holds, without reading its records where the store allows it."""
        return inspection.inspect(endpoint)

    def sample(self, endpoint: str, records: int = 20, namespace: str | None = None) -> list[dict[str, Any]]:
        """Return the first records, metadata parsed."""
        return preview.sample_records(endpoint, records, namespace)

    def doctor(self, endpoint: str) -> Iterator[Step]:
        """Test the connection step by step."""
        parsed = parse(endpoint)
        yield from connector(parsed.connector).examine(parsed)

    # -- planning and running

    def plan(self, source: str, target: str, options: PlanOptions | None = None) -> Plan:
        """Return a plan with its findings and estimate. Nothing is written."""
        return planning.make_plan(
            source,
            target,
            options or PlanOptions(),
            measured=rates.measured(self.manager.ledger, parse(source).connector, parse(target).connector),
            prices=self.prices,
        )

    def look_again(self, plan: Plan) -> Plan:
        """Return ``plan`` with the findings that hold now; those kept in a plan file are of the day it was made."""
        return planning.look(plan, prices=self.prices)

    def earlier(self, plan: Plan) -> dict[str, Any] | None:
        """Return the newest run that made or began just this copy, as ``runs`` lists it."""
        return view.earlier(self.manager, plan)

    def routing_preview(self, plan: Plan, records: int = preview.RECORDS) -> list[dict[str, Any]]:
        """Return where a sample of up to ``records`` records of every namespace goes: ``[{value, namespace, records, rule}]``."""
        return preview.routing_preview(planning.settled(plan), records)

    def mapping_preview(self, plan: Plan, records: int = shape.PREVIEW_RECORDS) -> dict[str, Any] | None:
        """Return what becomes of each metadata key and what else the target's schema will be (``TargetShape.to_json``), None where there is no schema."""
        return shape.mapping_preview(planning.settled(plan), records)

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

    def finish_following(self, run: str) -> None:
        """Tell a run that follows its source to stop that: a last pass, then the proof. Waits for neither."""
        if self.manager.plan(run).follow is None:
            raise ConfigError(f"run {run} does not follow its source", fix=f"see: python -m migrator status {run}", code="not_following")
        self.manager.ask(run, "finish")

    def cancel(self, run: str) -> None:
        """Ask the run to end for good after its current chunks; what was written stays, and so do its figures."""
        self.manager.ask(run, "cancel")

    def resume(self, run: str) -> None:
        """Go on with a paused, interrupted, failed or cancelled run from its last checkpoints; a finished one can follow its source on.

        A proof of a finished run that was stopped goes on where it was."""
        status = self.status(run)["status"]
        if status in proofs.FINISHED and proofs.interrupted(self.manager, run):
            proofs.go_on(self.manager, run)
            return
        if status in proofs.FINISHED and self.manager.plan(run).follow is None:
            raise ConfigError(f"run {run} is finished", fix=f"prove it again with: python -m migrator verify {run}", code="run_finished")
        self.manager.start(run)

    def runs(self, owner: str | None = None) -> list[dict[str, Any]]:
        """Return all runs, newest first."""
        return [view.summary(self.manager, row) for row in rows.listed(self.manager.ledger, owner)]

    def status(self, run: str) -> dict[str, Any]:
        """Return everything known of a run: see ``migrator.runs.view``."""
        return view.detail(self.manager, run)

    # -- proof

    def reset(
        self, source: str, namespaces: tuple[str, ...] | None = None, on_progress: Callable[[int, int], None] | None = None, *, theirs: bool = False
    ) -> dict[str, Any]:
        """Remove from the records of ``source`` the stamps that runs left there, and nothing else: see ``migrator.runs.stamping``."""
        return stamping.remove(parse(source), namespaces, on_progress, theirs=theirs)

    def cutover(
        self,
        run: str,
        *,
        scale: Mapping[str, str] | None = None,
        delete_source: bool = False,
        confirm: str = "",
        alias: str = "",
        on_wait: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Cut a run over: last passes and proof, the addresses, and what else was asked for. See ``migrator.runs.cutover``."""
        return cutover.cut_over(self.manager, run, cutover.Wish(scale or {}, delete_source, confirm, alias), on_wait)

    def start_verify(self, run: str, scope: Scope = EVERYTHING) -> None:
        """Prove a finished run again in the background, reading both sides as far as ``scope`` asks."""
        proofs.begin(self.manager, run, scope)

    def start_verify_pair(self, source: str, target: str, options: PlanOptions | None = None, owner: str = "", scope: Scope = EVERYTHING) -> str:
        """Compare two collections in the background and return the run's id."""
        return self.start_verify_plan(planning.draft(parse(source), parse(target), options or PlanOptions()), owner, scope)

    def start_verify_plan(self, plan: Plan, owner: str = "", scope: Scope = EVERYTHING) -> str:
        """Compare what ``plan`` would copy with what its target holds; return the run's id."""
        return proofs.begin_pair(self.manager, planning.settled(plan), owner, scope)

    def scope_costs(self, run: str) -> list[dict[str, Any]]:
        """Return what a proof of ``run`` costs at each level: see ``migrator.runs.scopes``."""
        proofs.check(self.manager, run)
        return scopes.costs(self.manager.plan(run), recorded=self.status(run)["kind"] == "copy")

    def scope_costs_pair(self, source: str, target: str, options: PlanOptions | None = None) -> list[dict[str, Any]]:
        """Return what comparing two collections costs at each level."""
        return scopes.costs(planning.settled(planning.draft(parse(source), parse(target), options or PlanOptions())), recorded=False)

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
        unrouted = prove.as_it_is(Plan(plan.source, plan.target))
        for name, endpoint, rules in (("source", plan.source, compile_transform(plan)), ("target", plan.target, unrouted)):
            with opened_source(endpoint) as opened:
                there = to_dicts(proof_sides.routed_fetch(opened, rules)([record], namespace))
            found[name] = there[0] if there else None
        return found

    # -- files

    def report(self, run: str, output: Path | None = None) -> Path:
        """Return the run's HTML report, or write it to ``output``: as JSON where that ends in ``.json``. Raise ``ConfigError`` for any other kind."""
        if output is not None and output.suffix.lower() not in {".html", ".htm", ".json"}:
            fix = "give a name that ends in .html or .json; for a PDF print the HTML file from a browser"
            raise ConfigError(f"{output} is neither .html nor .json", fix=fix, code="report_format")
        found, folder = self.result(run), self.manager.folder(run)
        if "fingerprint" not in found:  # of a version that made none
            result.save(self.manager.ledger, folder, found)
        if output is None:
            return folder / "report.html"
        output.write_bytes(seal.as_json(found).encode() if output.suffix.lower() == ".json" else (folder / "report.html").read_bytes())
        return output

    def check_report(self, path: Path) -> dict[str, Any]:
        """Return whether a report file is as it was made, and made here: see ``migrator.runs.reports.check``."""
        return reports.check(self.manager.ledger, path)

    def differences_file(self, run: str) -> Path | None:
        """Return the file with all differences of the run's last proof, one a line; None when there are none."""
        self.result(run)
        return artifacts.differences(self.manager.folder(run))

    def rejected_file(self, run: str) -> Path | None:
        """Write the run's rejected records, raw, as JSON lines readable by this user only; None when there are none."""
        rows.get(self.manager.ledger, run)
        return result.write_rejected(self.manager.ledger, run, self.manager.folder(run))

    def artifacts(self, run: str) -> list[dict[str, Any]]:
        """Return the files a run left: its report, all its differences, its rejected records, its plan, and what it exported."""
        return artifacts.listed(self.manager, run)
