"""What each command does: one or two calls of the service, and showing the answer."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator.cli import convert, delta, local_pinecone, output
from migrator.cli.progress import follow
from migrator.cli.signals import ended, interruptible
from migrator.errors import ConfigError
from migrator.service import PlanOptions, Service, dump_plan, half, kind_of_config, load_plan

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

EXIT_CODES = {"proven": 0, "differs": 1, "incomplete": 1, "failed": 3, "paused": 130, "interrupted": 130, "cancelled": 130}


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


def _plan_options(options: argparse.Namespace) -> PlanOptions:
    given = vars(options)
    names = tuple(options.namespace) if options.namespace is not None else None
    chosen = {name: given[name] for name in PlanOptions.__dataclass_fields__ if name in given}
    return PlanOptions(**{**chosen, "namespaces": names, "follow": delta.follow_of(options) if "follow" in given else None})


def _copy(options: argparse.Namespace) -> int:
    with closing(Service()) as service:
        plan = service.plan(options.source, options.target, _plan_options(options))
        output.findings([asdict(finding) for finding in plan.findings if finding.severity != "blocking"])  # those are the error that follows
        output.cost(plan.estimate)
        return _drive(service, options, lambda: service.start(plan, dry_run=options.dry_run))


def _plan(options: argparse.Namespace) -> int:
    with closing(Service()) as service:
        plan = service.plan(options.source, options.target, _plan_options(options))
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
        return convert.run(options, text, _drive)
    with closing(Service()) as service:
        plan = load_plan(text)
        plan = service.look_again(plan.with_(follow=delta.follow_of(options, plan.follow), stamp=plan.stamp or options.stamp))
        return _drive(service, options, lambda: service.start(plan, dry_run=options.dry_run))


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

        return _drive(service, options, start)


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

        return _drive(service, options, start)


def _verify(options: argparse.Namespace) -> int:
    if len(options.endpoints) > 2:
        raise ConfigError("verify takes a run, or a source and a target", fix="quote each endpoint", code="bad_usage")
    with closing(Service()) as service:

        def start() -> str:
            if len(options.endpoints) == 2:
                source, target = options.endpoints
                return service.start_verify_pair(source, target, _plan_options(options))
            service.start_verify(options.endpoints[0])
            return str(options.endpoints[0])

        return _drive(service, options, start)


def _drive(service: Service, options: argparse.Namespace, start: Callable[[], str]) -> int:
    """Start a run, show its progress until it ends, print its result and return the exit code."""
    with interruptible(service):
        run = start()
        status = follow(service, run)
    answer = outcome(service, run, status)
    output.show(answer, output.result, as_json=options.json)
    if (error := answer.get("error")) and not options.json:
        output.show_error(error, as_json=False)
    if status["kind"] == "dry-run" and status["status"] == "incomplete":
        return 1 if answer["counts"]["rejected"] else 0
    return ended(service, int(status["error"].get("exit_code", 3)) if status["error"] else EXIT_CODES[status["status"]])


def outcome(service: Service, run: str, status: dict[str, Any]) -> dict[str, Any]:
    """Return the ``--json`` object of a run: its proof, or as much as there is of it."""
    if status["status"] in ("proven", "differs", "incomplete") and status["kind"] != "dry-run":
        return service.result(run) | {"status": status["status"]} | _error(status)
    namespaces = {row["name"]: {"source": row["total"], "target": row["done"], "missing": 0, "extra": 0, "changed": 0} for row in status["namespaces"]}
    answer = {name: status[name] for name in ("run", "status", "kind", "counts", "seconds", "records_per_second", "report")}
    if status["kind"] == "dry-run":
        answer["estimate"] = status["plan"]["estimate"]
    return answer | {"verdict": "incomplete", "namespaces": namespaces, "differences": [], "rejected": status["rejected_sample"]} | _error(status)


def _error(status: dict[str, Any]) -> dict[str, Any]:
    return {"error": {name: status["error"][name] for name in ("code", "message", "fix")}} if status["error"] else {}


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


def _report(options: argparse.Namespace) -> int:
    with closing(Service()) as service:
        try:
            path = service.report(options.run, Path(options.output) if options.output else None)
        except OSError as error:
            raise ConfigError(f"{options.output} cannot be written: {error.strerror}", fix="give another -o FILE", code="output_unwritable") from None
    output.show({"run": options.run, "report": str(path)}, lambda answer: answer["report"], as_json=options.json)
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
    "verify": _verify,
    "report": _report,
    "serve": _serve,
    "local-pinecone": local_pinecone.run,
}
