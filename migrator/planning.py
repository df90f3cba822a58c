"""From two endpoints and the user's options to a plan: what will be copied, what may be lost, what stands in the way."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from migrator import preview, routing
from migrator.batch_findings import batch_findings
from migrator.connectors import connector, opened_source
from migrator.delta import check_follow, command_words, delta_findings
from migrator.endpoints import parse, render
from migrator.errors import ConfigError, PlanError
from migrator.estimate import estimate
from migrator.existing import by_own_names, existing_collection, keeping, occupied
from migrator.model import Capabilities, Collection, Finding, Mapping, Plan, Selection
from migrator.protocols import FileStore, Logged
from migrator.records import dump_json
from migrator.shape import target_shape
from migrator.staging import capabilities_of, staged_findings
from migrator.transform import compile_transform

if TYPE_CHECKING:
    from collections import abc
    from collections.abc import Iterator
    from pathlib import Path

    from migrator.model import Endpoint, Follow, IdEncoding, OnConflict, OnDuplicate
    from migrator.protocols import Source


@dataclass(frozen=True)
class PlanOptions:
    """What the user may decide; the defaults copy everything and lose nothing."""

    namespaces: tuple[str, ...] | None = None
    target_namespace: str | None = None
    namespace_from: str | None = None
    namespace_missing: str = "keep"
    id_encoding: IdEncoding = "reject"
    filter: abc.Mapping[str, Any] | None = None
    batch: int | None = None
    workers: int = 2
    on_conflict: OnConflict | None = None
    """None overwrites, but refuses a target holding records that the source does not have."""
    on_duplicate: OnDuplicate = "fail"
    accept_lossy: bool = False
    new_only: bool = False
    follow: Follow | None = None
    stamp: bool = False
    route: Literal["direct", "staged"] = "direct"
    staging: str | None = None
    """The endpoint that the staged route writes to first."""
    executor: Literal["local", "ray"] = "local"
    verify_batches: bool = False
    keep_overwritten: bool = False
    """Whether what the run overwrites is kept for a rollback."""


def make_plan(source: str, target: str, options: PlanOptions, *, measured: float | None = None, prices: Path | None = None) -> Plan:
    """Look at both sides and return the plan with its findings and estimate. Nothing is written.

    ``measured`` is the records/s of an earlier run between the same stores, if there was one, as ``estimate.comparable_rate`` gives it;
    ``prices`` a file of the user's own prices, which need not exist.
    """
    return look(draft(parse(source), parse(target), options), measured=measured, prices=prices)


def look(plan: Plan, *, measured: float | None = None, prices: Path | None = None) -> Plan:
    """Return ``plan`` with the findings and the estimate that both sides give now: those of a plan file may be old, or edited."""
    compile_transform(plan)
    check_follow(plan.follow)
    capabilities = _capabilities(plan)
    if not capabilities.writes:
        raise ConfigError(f"{plan.target.connector} cannot be a target", fix="choose pinecone, milvus or parquet as the target", code="not_a_target")
    with opened_source(plan.source) as opened:
        collection = opened.describe()
        existing = existing_collection(plan.target)
        plan, named = by_own_names(settled(plan, collection), collection, existing)
        sample = preview.sample(opened, collection, plan)
        shaped = target_shape(plan, collection, sample)
        if shaped is not None:
            plan = plan.with_(target=shaped[0].endpoint)
            capabilities = _capabilities(plan)
        findings = [*named, *collection.findings, *_unsupported(plan), *keeping(plan), *_fit(collection, capabilities), *_namespaces(plan, collection)]
        findings += batch_findings(plan, capabilities)
        findings += _unwatched(plan, capabilities, opened, collection)
        findings += staged_findings(plan, collection, existing, sample)
        findings += [*preview.findings(plan, collection, capabilities, sample), *delta_findings(plan, opened, capabilities, sample)]
        if existing is not None:
            findings += occupied(collection, existing, plan, opened)
            collection = replace(collection, metric=collection.metric or existing.metric)
        known = {finding.code for finding in findings}
        findings += [finding for finding in (shaped[0].findings if shaped is not None else ()) if finding.code not in known]
    expected = estimate(plan, collection, existing, sample, measured=measured, prices=prices)
    return plan.with_(collection=collection, findings=tuple(findings), estimate=expected)


def _capabilities(plan: Plan) -> Capabilities:
    """Return what the plan's target can hold; files made for a store to load them hold what that store can."""
    return capabilities_of(plan) if plan.shaped_for is not None else connector(plan.target.connector).capabilities(plan.target)


def draft(source: Endpoint, target: Endpoint, options: PlanOptions) -> Plan:
    """Return the plan the options describe, before either side was looked at."""
    if options.batch is not None and options.batch < 1:
        raise ConfigError(f"batch {options.batch} is not a number of records", fix="give --batch 1 or more", code="bad_option")
    if options.workers < 1:
        raise ConfigError(f"workers {options.workers} is less than one", fix="give --workers 1 or more", code="bad_option")
    if options.namespace_missing != routing.KEEP and options.namespace_from is None:
        raise ConfigError("namespace-missing says nothing without a field to route by", fix="add --namespace-from FIELD", code="bad_option")
    return Plan(
        source=source,
        target=target,
        selection=Selection(options.namespaces, options.filter),
        mapping=Mapping(options.target_namespace, options.namespace_from, options.namespace_missing, options.id_encoding),
        route=options.route,
        staging=None if options.staging is None else parse(options.staging),
        batch=options.batch,
        workers=options.workers,
        executor=options.executor,
        on_conflict=options.on_conflict or "upsert",
        merge=options.on_conflict is not None or options.new_only,
        on_duplicate=options.on_duplicate,
        accept_lossy=options.accept_lossy,
        new_only=options.new_only,
        follow=options.follow,
        stamp=options.stamp,
        verify_batches=options.verify_batches,
        keep_overwritten=options.keep_overwritten,
    )


def settled(plan: Plan, collection: Collection | None = None) -> Plan:
    """Return ``plan`` with what both sides decide about names; the source is looked at only if its namespaces matter and are not known."""
    mapping = routing.settled(plan.mapping, _capabilities(plan))
    if mapping.namespace_encoding == "percent" and routing.keeps_names(mapping):
        collection = collection or plan.collection or _described(plan.source)
        if all(map(routing.spells_itself, collection.namespaces)):
            mapping = replace(mapping, namespace_encoding="keep")
    return plan.with_(mapping=mapping)


def _described(source: Endpoint) -> Collection:
    with opened_source(source) as opened:
        return opened.describe()


def exported_files(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield the files a target made of files holds, with size and checksum."""
    store = connector(plan.target.connector)
    if isinstance(store, FileStore):
        for file in store.files(plan.target):
            yield {"kind": plan.target.connector, "name": file.name, "path": file.path, "bytes": file.bytes, "sha256": file.sha256}


def _unsupported(plan: Plan) -> list[Finding]:
    findings = []
    if not connector(plan.target.connector).capabilities(plan.target).merges and (plan.new_only or plan.on_conflict != "upsert"):
        message = "this target is written anew by each run, so there is nothing to compare new records with"
        fix = "leave out the choice of what happens to ids that are there (--on-conflict, --new-only)"
        findings.append(Finding("blocking", "target_not_merging", message, fix))
    if plan.executor == "ray":
        findings.append(Finding("blocking", "executor_unavailable", "the Ray executor is not available yet", "use --executor local"))
    return findings


def _fit(collection: Collection, capabilities: Capabilities) -> list[Finding]:
    findings = []
    if capabilities.max_dimension is not None and collection.dimension > capabilities.max_dimension:
        message = f"the target takes {capabilities.max_dimension} dimensions at most; the source has {collection.dimension}"
        findings.append(Finding("blocking", "dimension_too_large", message, "choose another target"))
    if collection.sparse and not capabilities.sparse:
        message = "the target cannot hold sparse values; records that have them will be rejected"
        findings.append(Finding("lossy", "sparse_lost", message, "choose another target, or accept the loss"))
    if collection.metric is None:
        message = "the source does not record a metric; cosine is assumed"
        findings.append(Finding("info", "metric_unknown", message, "tell the metric of the source (metric=) if it is another"))
    elif collection.metric not in capabilities.metrics:
        findings.append(Finding("blocking", "metric_unsupported", f"the target has no metric {collection.metric}", "choose another target"))
    if collection.fields and not capabilities.metadata:
        findings.append(Finding("lossy", "metadata_lost", "the target cannot hold metadata", "choose another target, or accept the loss"))
    return findings


def _namespaces(plan: Plan, collection: Collection) -> list[Finding]:
    findings = []
    unknown = sorted(set(plan.selection.namespaces or ()) - set(collection.namespaces))
    if unknown:
        known = ", ".join(repr(name) for name in sorted(collection.namespaces)[:10])
        findings.append(Finding("blocking", "namespace_unknown", f"the source has no namespace {unknown[0]!r}", f"choose among: {known}"))
    return findings


def _unwatched(plan: Plan, capabilities: Capabilities, source: Source, collection: Collection) -> list[Finding]:
    """Return what a copy of a source that others may write to should know; ``capabilities`` are the target's."""
    if plan.follow is not None or not connector(plan.source.connector).capabilities(plan.source).changes_unseen:
        return []
    if isinstance(source, Logged) and not plan.stamp and source.positions(list(collection.namespaces)[:1]):
        return []  # the run will notice
    message = f"{plan.source.connector} does not tell whether the source is written to while it is read: changes made during the copy may be missed"
    can_follow = capabilities.merges and plan.route == "direct"
    fix = "stop its writers until the copy is proven" + (", or follow its changes (--follow)" if can_follow else "")
    return [Finding("info", "source_unversioned", message, fix)]


def check(plan: Plan) -> None:
    """Raise ``PlanError`` for the first finding that stands in the way of running ``plan``."""
    for finding in plan.findings:
        if finding.severity == "blocking":
            raise PlanError(finding.message, fix=finding.fix, code=finding.code)
        if finding.severity == "lossy" and not plan.accept_lossy:
            raise PlanError(
                finding.message,
                fix="pass --accept-lossy to go on all the same" if not finding.fix else f"{finding.fix}; to go on all the same pass --accept-lossy",
                code=finding.code,
            )


def command(plan: Plan, verb: Literal["copy", "verify"] = "copy") -> str:
    """Return the command line that does the same as ``plan``, or that compares what it would copy."""
    words = ["python", "-m", "migrator", verb, render(plan.source), render(plan.target)]
    for namespace in plan.selection.namespaces or ():
        words += _option("--namespace", namespace)
    if plan.selection.filter is not None:
        words += ["--filter", dump_json(plan.selection.filter)]
    mapping, plain = plan.mapping, Mapping()
    options: dict[str, Any] = {"--target-namespace": mapping.target_namespace, "--namespace-from": mapping.namespace_from, "--batch": plan.batch}
    options["--staging"] = None if plan.staging is None else render(plan.staging)
    if mapping.namespace_missing != plain.namespace_missing:
        options["--namespace-missing"] = mapping.namespace_missing
    if mapping.id_encoding != plain.id_encoding:
        options["--id-encoding"] = mapping.id_encoding
    for name, value in options.items():
        if value is not None:
            words += _option(name, str(value))
    if plan.merge and (not plan.new_only or plan.on_conflict != "upsert"):
        words += ["--on-conflict", plan.on_conflict]
    defaults = Plan(plan.source, plan.target)
    for name in ("workers", "executor", "route", "on_duplicate"):
        if getattr(plan, name) != getattr(defaults, name):
            words += [f"--{name.replace('_', '-')}", str(getattr(plan, name))]
    words += [f"--{name.replace('_', '-')}" for name in ("accept_lossy", "new_only", "verify_batches") if getattr(plan, name)]
    words += command_words(plan)
    return shlex.join(words)


def _option(name: str, value: str) -> list[str]:
    return [f"{name}={value}"] if value.startswith("-") else [name, value]
