"""Kills runs at random failpoints, resumes them to the end, and compares what arrived with what was there."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PIPELINE = ("after_read", "before_write", "after_write", "before_commit", "after_commit")
ENDING = ("before_finish", "after_finish")
MOST_ATTEMPTS = 60


@dataclass
class Zygote:
    """The forking process; ``kills`` counts children that died at a failpoint."""

    process: subprocess.Popen[str]
    kills: int = 0
    where: dict[str, int] = field(default_factory=dict)

    def attempt(self, **job: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        if answer["code"] == 137:
            self.kills += 1
            name = job["failpoint"].partition(":")[0]
            self.where[name] = self.where.get(name, 0) + 1
        return answer


@contextmanager
def zygote(*connectors: str) -> Iterator[Zygote]:
    """Start the forking process with ``connectors`` imported."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.durability.zygote", *connectors], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Zygote(process)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def torture(forks: Zygote, dice: random.Random, job: dict[str, Any], writing: tuple[str, ...], ending: tuple[str, ...]) -> dict[str, Any]:
    """Kill one run again and again at random places until it ends by itself; return how it ended.

    ``writing`` are failpoints met once a chunk, ``ending`` those met when everything is copied.
    """
    for _ in range(MOST_ATTEMPTS):
        late = dice.random() < 0.12
        name = dice.choice(ENDING + ending) if late else dice.choice(PIPELINE + writing)
        answer = forks.attempt(**job, failpoint=f"{name}:{1 if late else dice.randint(1, 6)}")
        if answer["code"] != 137:
            return answer
    return forks.attempt(**job, failpoint="")


def killed_at_least(forks: Zygote, kills: int, one_run: Callable[[int], None]) -> None:
    """Torture run after run until so many kills have happened."""
    number = 0
    while forks.kills < kills:
        one_run(number)
        number += 1
        assert number <= kills, "the failpoints are never reached"
