"""Asks the questions of a connection test."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from migrator.errors import MigratorError
from migrator.model import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def answer(name: str, question: Callable[[], str]) -> Step:
    """Return the step ``name``: ``ok`` with what ``question`` answers, ``skipped`` when that is nothing, ``failed`` with what it raises."""
    started = time.monotonic()
    try:
        detail = question()
    except MigratorError as error:
        return Step(name, "failed", error.message, error.fix, time.monotonic() - started)
    return Step(name, "ok" if detail else "skipped", detail, seconds=time.monotonic() - started)


def answers(questions: Iterable[tuple[str, Callable[[], str]]]) -> Iterator[Step]:
    """Yield the steps of ``questions``; the first that fails is the last."""
    for name, question in questions:
        step = answer(name, question)
        yield step
        if step.status == "failed":
            return
