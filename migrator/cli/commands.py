"""What each command does: one or two calls of the service, and showing the answer."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.cli import convert, delta, driving, local_pinecone, mending, output, proving, searching
from migrator.errors import ConfigError
from migrator.service import Service, dump_plan, half, kind_of_config, load_plan

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def _inspect(options: argparse.Namespace) -> int:
    with closing(Service()) as service:
        output.show(service.inspect(options.endpoint).to_json(), output.inspection, as_json=options.json)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    with closing(Service()) as service:
        steps = []
        for step in service.doctor(options.endpoint):
            steps.append(asdict(step))
            if not options.json:
                output.step(steps[-1])
        healthy = all(step["status"] != "failed" for step in steps)
        if options.json:
            output.show({"endpoint": options.endpoint, "healthy": healthy, "steps": steps}, str, as_json=True)
    return 0 if healthy else 3


def _copy(options: argparse.Namespace) -> int:
    with closing(Service()) as service:
        plan = service.plan(options.source, options.target, driving.plan_options(options))
        output.findings([asdict(finding) for finding in plan.findings if finding.severity != "blocking"])  # those are the error that follows
        output.cost(plan.estimate)
        return driving.drive(service, options, lambda: service.start(plan, dry_run=options.dry_run))


def _plan(options: argparse.Namespace) -> int:
    with closing(Service()) as service:
        plan = service.plan(options.source, options.target, driving.plan_options(options))
        mapping = service.mapping_preview(plan)
    text = dump_plan(plan)
    output.findings([asdict(finding) for finding in plan.findings])
    output.cost(plan.estimate)
    output.mapping(mapping)
    if options.output:
        output.write(Path(options.output), text)
    if options.json:
        found = {"plan": options.output, "findings": [asdict(f) for f in plan.findings], "estimate": dict(plan.estimate), "mapping": mapping}
        output.show(found, str, as_json=True)
    elif not options.output:
        sys.stdout.write(text)
    blocked = any(finding.severity == "blocking" or (finding.severity == "lossy" and not plan.accept_lossy) for finding in plan.findings)
    return 2 if blocked else 0


def _run(options: argparse.Namespace) -> int:
    text = convert.read(options.plan, "plan")
    if kind_of_config(text) != "plan":
        return convert.run(options, text, driving.drive)
    with closing(Service()) as service:
        plan = load_plan(text)
        plan = service.look_again(delta.added(options, plan))
        return driving.drive(service, options, lambda: service.start(plan, dry_run=options.dry_run))


_STOPPED = ("interrupted", "failed", "paused")
_ENDED = ("proven", "differs", "incomplete")


def _half(options: argparse.Namespace) -> int:
    """Write the files of a staged plan, or have them loaded; go on with a run that began it and was stopped."""
    text = convert.read(options.plan, "plan")
    whole = load_plan(text) if kind_of_config(text) == "plan" else convert.plan_of(text)
    with closing(Service()) as service:
        plan = half(whole, options.command)
        known = service.earlier(plan) if not options.dry_run else None

        def start() -> str:
            if known is not None and known["status"] in _STOPPED:
                return _go_on(service, known["run"])
            looked = service.look_again(plan)
            output.findings([asdict(finding) for finding in looked.findings if finding.severity != "blocking"])
            if known is not None and known["status"] in _ENDED and any(finding.code == "namespaces_exist" for finding in looked.findings):
                sys.stderr.write(f"run {known['run']} has loaded these files: it is proven again\n")
                service.start_verify(known["run"])
                return str(known["run"])
            return service.start(looked, dry_run=options.dry_run)

        return driving.drive(service, options, start)


def _go_on(service: Service, run: str) -> str:
    sys.stderr.write(f"going on with run {run}, which was stopped\n")
    service.resume(run)
    return run


def _resume(options: argparse.Namespace) -> int:
    with closing(Service()) as service:

        def start() -> str:
            try:
                service.resume(options.run)
            except ConfigError as error:
                if error.code != "run_finished":  # a script resumes what was killed, and it may have been killed just after its end
                    raise
                sys.stderr.write(f"nothing is left to do: {error.message}; {error.fix}\n")
            return str(options.run)

        return driving.drive(service, options, start)


def _runs(options: argparse.Namespace) -> int:
    with closing(Service()) as service:
        output.show({"runs": service.runs()}, output.runs, as_json=options.json)
    return 0


def _status(options: argparse.Namespace) -> int:
    with closing(Service()) as service:
        output.show(service.status(options.run), output.status, as_json=options.json)
    return 0


def _steer(options: argparse.Namespace) -> int:
    with closing(Service()) as service:
        (service.pause if options.command == "pause" else service.cancel)(options.run)
        output.show({"run": options.run, "asked": options.command}, lambda answer: f"asked run {answer['run']} to {answer['asked']}", as_json=options.json)
    return 0


def _serve(options: argparse.Namespace) -> int:
    app = Path(__file__).parents[2] / "app.py"
    words = [sys.executable, "-m", "streamlit", "run", str(app), f"--server.address={options.host}", f"--server.port={options.port}", "--server.headless=true"]
    os.chdir(app.parent)  # Streamlit reads .streamlit/config.toml from the working folder
    os.execv(sys.executable, words)  # noqa: S606 - our own interpreter, our own words


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "inspect": _inspect,
    "doctor": _doctor,
    "copy": _copy,
    "plan": _plan,
    "run": _run,
    "dump": _half,
    "load": _half,
    "convert": convert.convert,
    "runs": _runs,
    "status": _status,
    "resume": _resume,
    "pause": _steer,
    "cancel": _steer,
    "stop": delta.stop,
    "cutover": delta.cutover,
    "reset": delta.reset,
    "verify": proving.verify,
    "repair": mending.repair,
    "rollback": mending.rollback,
    "report": proving.report,
    "search": searching.search,
    "serve": _serve,
    "local-pinecone": local_pinecone.run,
}
