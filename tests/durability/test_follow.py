"""Runs that follow their source, killed anywhere while the source changes: in the end both sides are equal, and nothing stray is left."""

from __future__ import annotations

import json
import os
import random
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from migrator.stamps import is_stamped
from tests.durability.shelf import DIMENSION, Shelf
from tests.durability.torture import PIPELINE, zygote

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = 150
BATCH = 10
FOLLOWING = ("journalled", "sent", "before_state", "before_delete", "before_finish", "after_finish")
STAMPING = ("before_stamp", "after_stamp")
ONCE = ("before_state", "before_finish", "after_finish")
"""Met once a pass or once a run."""


def row(dice: random.Random, namespace: str, name: str) -> tuple[str, str, bytes, str | None]:
    vector = np.array([dice.random() + 0.1 for _ in range(DIMENSION)], np.float32).tobytes()
    return namespace, name, vector, json.dumps({"n": dice.randrange(9)}) if dice.random() < 0.8 else None


@pytest.fixture(scope="module")
def forks():
    with zygote("tests.durability.shelf") as started:
        yield started


def shelf(path: Path, dice: random.Random) -> Shelf:
    found = Shelf(str(path))
    found.create()
    found.put([row(dice, dice.choice(["", "other"]), f"i{n:03}") for n in range(RECORDS)])
    return found


def disturb(source: Shelf, dice: random.Random) -> None:
    """Add, change and delete a few records, move one to another namespace, and let one come back."""
    for _ in range(3):
        namespace = dice.choice(["", "other"])
        source.put([row(dice, namespace, f"i{dice.randrange(RECORDS * 2):03}") for _ in range(3)])
        source.delete([f"i{dice.randrange(RECORDS * 2):03}" for _ in range(6)], namespace)


def unstamped(content: dict[tuple[str, str], tuple[bytes, str | None]]) -> dict[tuple[str, str], tuple[bytes, str | None]]:
    found = {}
    for name, (vector, metadata) in content.items():
        fields = json.loads(metadata) if metadata else {}
        fields = {key: value for key, value in fields.items() if not (is_stamped(fields) and key in ("migrated", "migrated_at"))}
        found[name] = vector, json.dumps(fields, separators=(",", ":")) if fields else None
    return found


def problems(source: Shelf, target: Shelf, answer: dict[str, Any]) -> list[str]:
    """Return everything that is wrong once the source is quiet and the run has ended."""
    ours, theirs = unstamped(source.content()), target.content()
    wrong = [] if answer["status"] == "proven" else [f"it ended {answer['status']}: {answer['error']}"]
    wrong += [f"lost {name}" for name in ours.keys() - theirs.keys()] + [f"stray {name}" for name in theirs.keys() - ours.keys()]
    plain = unstamped(theirs)
    wrong += [f"changed {name}" for name in ours.keys() & theirs.keys() if ours[name] != plain[name]]
    wrong += [f"stamped in the target: {name}" for name, one in theirs.items() if "migrated" in (one[1] or "")]
    return wrong[:20]


def follow_through(forks, folder: Path, dice: random.Random, kills: int, *, stamp: bool) -> None:
    """Kill one run again and again while another thread changes its source; then let it end, and compare."""
    source, target = shelf(folder / "source.db", dice), Shelf(str(folder / "target.db"))
    job = {"home": str(folder / "home"), "source": f"shelf:{source.path}", "target": f"shelf:{target.path}", "batch": BATCH, "follow": True, "stamp": stamp}
    quiet, done = threading.Event(), forks.kills
    writer_dice = random.Random(dice.random())

    def write() -> None:
        while not quiet.wait(0.01):
            disturb(source, writer_dice)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(kills * 4):
            name = dice.choice(PIPELINE + FOLLOWING + (STAMPING if stamp else ()))
            answer = forks.attempt(**job, failpoint=f"{name}:{1 if name in ONCE else dice.randint(1, 12)}")
            assert answer["status"] in ("killed", "proven", "incomplete"), answer
            if forks.kills - done >= kills:
                break
    finally:
        quiet.set()
        writer.join()
    assert forks.kills - done >= kills, "the failpoints are never reached"
    answer = forks.attempt(**job, failpoint="")
    assert problems(source, target, answer) == []
    if stamp:
        stamps = [one for _, one in source.content().values() if one and is_stamped(json.loads(one))]
        assert len(stamps) == len(source.content())


def dice_of_the_day() -> random.Random:
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(2**32))
    print(f"KILL_SEED={seed}")  # noqa: T201 - shown when the test fails, to repeat it
    return random.Random(seed)


@pytest.mark.slow
@pytest.mark.parametrize("stamp", [False, True])
def test_killed_now_and_then_while_the_source_changes(forks, tmp_path, stamp):
    follow_through(forks, tmp_path, dice_of_the_day(), 8, stamp=stamp)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("stamp", [False, True])
def test_killed_two_hundred_times_while_the_source_changes(forks, tmp_path, stamp):
    follow_through(forks, tmp_path, dice_of_the_day(), 200, stamp=stamp)
    print(f"{forks.kills} kills: {forks.where}")  # noqa: T201


# -- defects that only a kill brings to light


@pytest.fixture
def after(forks, tmp_path):
    """Return a function that kills a run at failpoints, doing something to the source after each, and says what came of it."""

    def run(mutant: str, steps: list[tuple[str, Any]], *, stamp: bool = False) -> tuple[dict[str, Any], Shelf, Shelf]:
        folder = tmp_path / (mutant or "sound")
        folder.mkdir()
        source, target = shelf(folder / "source.db", random.Random(1)), Shelf(str(folder / "target.db"))
        job = {"home": str(folder / "home"), "source": f"shelf:{source.path}", "target": f"shelf:{target.path}", "batch": BATCH}
        job |= {"follow": True, "stamp": stamp, "workers": 1, "mutant": mutant}
        answer: dict[str, Any] = {}
        for failpoint, change in steps:
            answer = forks.attempt(**job, failpoint=failpoint)
            assert answer["code"] == (137 if failpoint else 0), (failpoint, answer)
            change(source)
        return answer, source, target

    return run


def nothing(_source: Shelf) -> None:
    pass


def add(source: Shelf) -> None:
    source.put([row(random.Random(2), "", "i999")])


def remove(source: Shelf) -> None:
    source.delete(["i999"], "")


def test_a_state_that_is_ahead_of_the_writes_is_found(after):
    sound, source, target = after("", [("journalled:3", nothing), ("", nothing)])
    assert problems(source, target, sound) == []
    broken, _, _ = after("state_before_writes", [("state_ahead:3", nothing), ("", nothing)])
    assert broken["status"] in ("differs", "failed", "incomplete")


def test_a_pass_that_forgets_what_it_may_have_written_is_found(after):
    steps = [("", add), ("sent:1", remove), ("", nothing)]
    sound, source, target = after("", steps)
    assert problems(source, target, sound) == []
    broken, _, _ = after("forget_what_may_be_written", steps)
    assert broken["status"] in ("differs", "failed", "incomplete")


def test_a_stamp_before_the_commit_is_found(after, forks):
    def stamps_of_a_kill_before_the_third_commit(mutant: str) -> int:
        _, source, _ = after(mutant, [("before_commit:3", nothing)], stamp=True)
        return sum(is_stamped(json.loads(text)) for _, text in source.content().values() if text)

    assert 0 < stamps_of_a_kill_before_the_third_commit("") <= 2 * BATCH, "what was written and not committed must bear no stamp"
    assert stamps_of_a_kill_before_the_third_commit("stamp_before_commit") > 2 * BATCH
