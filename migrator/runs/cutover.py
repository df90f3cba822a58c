"""The cut-over: bring a run to a proof that holds now, say how applications move to the target and back, then scale and delete as asked.

Nothing is changed before the proof is green and the lag is zero, and the old collection is deleted last, by its typed name only.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from migrator.connectors import connector, opened_source
from migrator.errors import ConfigError
from migrator.ledger import runs as rows
from migrator.model import Scope
from migrator.protocols import Droppable, Scalable, Switchable, Versioned
from migrator.runs import aliases, proofs, result, view

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from migrator.model import Endpoint, Plan
    from migrator.runs.manager import Manager

FINISHED = ("proven", "differs", "incomplete")
_GLANCE_SECONDS = 0.2
_UNSEEN = ": it did not look for records that changed after they were copied (--changes new); copy those with a run that does"
NOTHING = "there is nothing to re-point: no application reaches it by an address"


@dataclass(frozen=True)
class Wish:
    """What is to happen once the proof is green."""

    scale: Mapping[str, str] = field(default_factory=dict)
    """Capacity options of the target, in its store's words."""
    delete_source: bool = False
    confirm: str = ""
    """The source's name, typed by whoever wants it deleted."""
    alias: str = ""
    """A name in the target's store that is to lead to the target from then on."""


def cut_over(manager: Manager, run: str, wish: Wish, on_wait: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """Cut ``run`` over and return what was done; ``ready`` is false, with a ``reason``, when nothing was.

    ``on_wait`` is shown the run's status again and again while its last passes and its proof go on.
    """
    plan = manager.plan(run)
    _check_wish(plan, wish)
    if wish.delete_source:
        _let_settle(manager, run, plan)
    status = _proven_anew(manager, run, plan, on_wait)
    answer: dict[str, Any] = {"run": run, "status": status["status"], "verdict": status["status"] if status["status"] in FINISHED else "incomplete"}
    answer |= {
        "ready": False,
        "reason": _obstacle(status, unseen=_only_new(plan)),
        "counts": status["counts"],
        "follow": status.get("follow"),
        "error": status["error"],
    }
    answer |= {"new": None, "old": None, "scaled": None, "alias": None, "deleted": None, "done": []}
    if answer["reason"] is None:
        answer["reason"] = _changed_since(manager, run, plan)
    if answer["reason"] is not None:
        rows.log(manager.ledger, run, "warning", f"no cut-over: {answer['reason']}")
        return answer
    _check_wish(plan, wish)  # the proof took its time, and what stands in the way by now is to be met before the first change
    return _carried_out(manager, run, wish, plan, answer)


def _carried_out(manager: Manager, run: str, wish: Wish, plan: Plan, answer: dict[str, Any]) -> dict[str, Any]:
    """Say where applications find the target from now on, scale it, move an alias to it and delete the source as wished; return the whole answer."""
    answer |= {"ready": True, "new": _address(plan.target), "old": _address(plan.source), "finished": time.time()}
    _did(manager, run, answer, "ready: the target is proven equal, and applications can use it")
    if wish.scale:
        answer["scaled"] = _scale(plan.target, wish.scale)
        _did(manager, run, answer, answer["scaled"])
    if wish.alias:
        answer["new"], said = aliases.point(manager, run, plan, wish.alias)
        answer["old"] |= {"note": f"Applications that open {wish.alias} go back with: python -m migrator cutover {run} --rollback"}
        answer["alias"] = {"name": wish.alias, **aliases.moved(manager.ledger, run).get(wish.alias, {})}
        _did(manager, run, answer, said)
    if wish.delete_source:
        _drop(plan.source)
        answer["deleted"] = wish.confirm
        _did(manager, run, answer, f"deleted the source {wish.confirm}")
    return answer


def _check_wish(plan: Plan, wish: Wish) -> None:
    """Raise ``ConfigError``, or ``PermanentError`` for a protected source, for what could not be done in the end, before anything is done."""
    if wish.scale:
        with opened_source(plan.target) as target:
            if not isinstance(target, Scalable):
                message = f"the capacity of {plan.target.connector} cannot be changed from here"
                raise ConfigError(message, fix="leave out --scale", code="scale_unsupported")
            target.check_scale(wish.scale)
    if wish.alias:
        aliases.check(plan, wish.alias)
    if not wish.delete_source:
        return
    if (reason := _keeps_something(plan) or _lost(plan) or _is_the_target(plan)) is not None:
        raise ConfigError(f"the source is not deleted: {reason}", fix="leave out --delete-source", code="delete_refused")
    with opened_source(plan.source) as source:
        name = source.describe().name
        if not isinstance(source, Droppable):
            raise ConfigError(f"a {plan.source.connector} source is not deleted from here", fix="leave out --delete-source", code="delete_unsupported")
        if wish.confirm != name:
            message = f"the source is deleted only when its name is typed: {wish.confirm!r} is not it"
            raise ConfigError(message, fix=f"give --confirm {name}", code="bad_confirmation")
        source.check_drop()


def _keeps_something(plan: Plan) -> str | None:
    """Return why the source may hold what the target does not, although the run is proven."""
    if plan.selection.namespaces is not None or plan.selection.filter is not None or "namespace" in plan.source.options:
        return "the run copied a part of it only"
    if "host" in plan.source.options or "host" in plan.target.options:  # what is deleted goes by its name, what was read went by this
        return "it was read or written at an address of its own (host=), which nothing shows to be that of its name"
    if plan.new_only or plan.on_conflict == "skip":
        return "the run kept the target's own records where both had an id"
    if plan.on_duplicate != "fail":
        return "of records that share an id the run copied one only"
    if _only_new(plan):
        return "the run did not look for changed records"
    return None


def _lost(plan: Plan) -> str | None:
    """Return what the plan said of the source would not arrive, None when all of it does."""
    loss = next((finding.message for finding in plan.findings if finding.severity == "lossy"), None)
    return None if loss is None else f"the copy lacks something of what it holds ({loss})"


def _only_new(plan: Plan) -> bool:
    return plan.follow is not None and plan.follow.changes == "new"


def _is_the_target(plan: Plan) -> str | None:
    """Return why deleting the source would delete the copy, whatever the two are called."""
    if plan.source.connector != plan.target.connector:
        return None
    with opened_source(plan.source) as source, opened_source(plan.target) as target:
        same = isinstance(source, Switchable) and isinstance(target, Switchable) and source.address() == target.address()
    return "the target is the same collection" if same else None


def _let_settle(manager: Manager, run: str, plan: Plan) -> None:
    """Wait until what was written to the source before this call can be seen there: what no pass has met would be deleted with it."""
    seconds = connector(plan.source.connector).capabilities(plan.source).settling_seconds
    if seconds:
        rows.log(manager.ledger, run, "info", f"waiting {seconds:.0f} s for the source's last writes to become visible: it is to be deleted")
    end = time.monotonic() + seconds
    while time.monotonic() < end and not manager.shutting_down:
        time.sleep(min(_GLANCE_SECONDS, max(0.0, end - time.monotonic())))


def _proven_anew(manager: Manager, run: str, plan: Plan, on_wait: Callable[[dict[str, Any]], None] | None) -> dict[str, Any]:
    """Let a run that follows make its last passes and its proof, or prove a copy again reading both sides; return its status then."""
    status = view.detail(manager, run)
    if status["kind"] != "copy":
        raise ConfigError(f"run {run} copied nothing", fix="list the runs with: python -m migrator runs", code="not_a_copy")
    if plan.follow is not None:
        if status["status"] == "running":
            manager.ask(run, "finish")
        else:
            manager.start(run, finish=True)
    elif status["status"] in FINISHED:
        proofs.begin(manager, run, Scope())
    else:
        raise ConfigError(f"run {run} is not finished", fix=f"see: python -m migrator status {run}", code="run_unfinished")
    status = _ended(manager, run, on_wait)
    if status["status"] == "proven" and _only_new(plan) and not manager.shutting_down:
        # its passes and its proof know nothing of records that changed after they were copied
        proofs.begin(manager, run, Scope())
        status = _ended(manager, run, on_wait)
    return status


def _ended(manager: Manager, run: str, on_wait: Callable[[dict[str, Any]], None] | None) -> dict[str, Any]:
    """Wait until ``run`` has ended and return its status."""
    while (status := view.detail(manager, run))["status"] == "running":
        if on_wait is not None:
            on_wait(status)
        if manager.wait(run, _GLANCE_SECONDS):  # another process runs it
            if manager.shutting_down:
                break
            time.sleep(_GLANCE_SECONDS)
    return status


def _obstacle(status: dict[str, Any], *, unseen: bool) -> str | None:
    """Return why there can be no cut-over, None when nothing stands in the way."""
    if status["error"]:
        return str(status["error"]["message"])
    if status["status"] != "proven":
        return f"the run is {status['status']}, not proven{_UNSEEN if unseen and status['status'] == 'differs' else ''}"
    follow = status.get("follow")
    if follow is not None and follow["lag_records"]:
        return f"the last pass still found {follow['lag_records']:,} records different: stop the writers of the source, then cut over again"
    return None


def _changed_since(manager: Manager, run: str, plan: Plan) -> str | None:
    """Return why the source is not what was proven, None when it still counts the records that were read."""
    facts, chosen = rows.facts(manager.ledger, run), plan.selection.namespaces
    with opened_source(plan.source) as source:
        found = source.describe()
        version = source.version_now() if isinstance(source, Versioned) else found.version
    counted = sum(count for name, count in found.namespaces.items() if chosen is None or name in chosen)
    if (version, counted) == (facts["source"]["version"], facts["read"]):
        return None
    again = "stop its writers, then cut over again" if plan.follow is not None else "copy anew, and follow the source until the cut-over (--follow)"
    return f"the source counts {counted:,} records now and the run read {facts['read']:,}: {again}"


def _address(endpoint: Endpoint) -> dict[str, Any]:
    with opened_source(endpoint) as opened:
        if isinstance(opened, Switchable):
            return opened.address().to_json()
    return {"environment": {}, "snippets": {}, "note": NOTHING}


def _scale(endpoint: Endpoint, options: Mapping[str, str]) -> str:
    with opened_source(endpoint) as opened:
        if not isinstance(opened, Scalable):  # pragma: no cover - checked before
            raise ConfigError("the target cannot be scaled", fix="leave out --scale", code="scale_unsupported")
        return opened.scale(options)


def _drop(endpoint: Endpoint) -> None:
    with opened_source(endpoint) as opened:
        if not isinstance(opened, Droppable):  # pragma: no cover - checked before
            raise ConfigError("the source cannot be deleted", fix="leave out --delete-source", code="delete_unsupported")
        opened.drop()


def _did(manager: Manager, run: str, answer: dict[str, Any], what: str) -> None:
    """Record one thing that was done, in the log and in the result, before the next is tried."""
    answer["done"].append(what)
    rows.log(manager.ledger, run, "info", f"cut-over: {what}")
    folder = manager.folder(run)
    known = result.load(folder)
    if known is not None:
        shown = ("new", "old", "scaled", "alias", "deleted", "done", "finished")
        result.save(manager.ledger, folder, known | {"cutover": {name: answer[name] for name in shown}})
