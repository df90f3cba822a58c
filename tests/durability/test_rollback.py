"""Copies killed anywhere and then taken back, by rollbacks killed anywhere: the target is what it was. Repairs killed anywhere: it is what it should be."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.durability.shelf import Shelf
from tests.durability.test_follow import row, shelf
from tests.durability.torture import PIPELINE, zygote

if TYPE_CHECKING:
    from pathlib import Path

COPYING = (*PIPELINE, "target_remembered", "undo_logged")
TAKING = ("before_delete", "before_restore", "rollback_entry", "rollback_noted", "rollback_recorded")
REPAIRING = ("repair_listed", "before_delete", "after_delete", "undo_logged", "before_write", "after_write", "repair_batch", "repair_mended")
ONCE = ("target_remembered", "rollback_recorded")


@pytest.fixture(scope="module")
def forks():
    with zygote("tests.durability.shelf") as started:
        yield started


def occupied(path: Path, dice: random.Random) -> Shelf:
    """A target that holds records of others, a third of them under ids of the source."""
    found = Shelf(str(path))
    found.create()
    found.put([row(dice, dice.choice(["", "other"]), f"i{dice.randrange(300):03}") for _ in range(90)])
    return found


def job_of(folder: Path, source: Shelf, target: Shelf, **more: Any) -> dict[str, Any]:
    return {"home": str(folder / "home"), "source": f"shelf:{source.path}", "target": f"shelf:{target.path}", "batch": 10, "keep": True, **more}


def kill_now_and_then(forks, dice: random.Random, job: dict[str, Any], failpoints: tuple[str, ...], kills: int) -> None:
    done = forks.kills
    for _ in range(kills * 4):
        name = dice.choice(failpoints)
        answer = forks.attempt(**job, failpoint=f"{name}:{1 if name in ONCE else dice.randint(1, 6)}")
        assert answer["code"] == 137 or answer["error"] is None, answer
        if answer["code"] == 0 or forks.kills - done >= kills:
            return


def dice_of_the_day() -> random.Random:
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(2**32))
    print(f"KILL_SEED={seed}")  # noqa: T201 - shown when the test fails, to repeat it
    return random.Random(seed)


def back_and_forth(forks, folder: Path, dice: random.Random, kills: int, *, follow: bool) -> None:
    """Kill a copy a few times, take it back while it is as far as it is, killed a few times too, and compare."""
    folder.mkdir()
    source, target = shelf(folder / "source.db", dice), occupied(folder / "target.db", dice)
    before = target.content()
    job = job_of(folder, source, target, follow=follow)
    kill_now_and_then(forks, dice, job, COPYING, kills)
    if follow:
        source.put([row(dice, "", f"i{dice.randrange(300):03}") for _ in range(20)])
        source.delete([f"i{dice.randrange(300):03}" for _ in range(40)], "")
    if dice.random() < 0.5:
        assert forks.attempt(**job, failpoint="")["status"] in ("proven", "incomplete", "differs")
    if not any((folder / "home" / "runs").glob("*/undo.log")):
        return  # killed before the first write
    kill_now_and_then(forks, dice, job | {"then": "rollback"}, TAKING, kills)
    answer = forks.attempt(**job, then="rollback", failpoint="")
    assert answer["error"] is None, answer
    assert answer["rolled_back"]["proof"]["verdict"] == "as_before", answer
    assert target.content() == before


@pytest.mark.slow
@pytest.mark.parametrize("follow", [False, True])
def test_taken_back_after_kills(forks, tmp_path, follow):
    dice, done = dice_of_the_day(), forks.kills
    for number in range(4):
        back_and_forth(forks, tmp_path / str(number), dice, 3, follow=follow)
    assert forks.kills - done >= 8, "the failpoints are never reached"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("follow", [False, True])
def test_taken_back_after_very_many_kills(forks, tmp_path, follow):
    dice = dice_of_the_day()
    for number in range(60):
        back_and_forth(forks, tmp_path / str(number), dice, 5, follow=follow)
    print(f"{forks.kills} kills: {forks.where}")  # noqa: T201


# -- defects that only a kill brings to light


def taken_back(forks, folder: Path, mutant: str, failpoints: list[tuple[str, str]]) -> tuple[dict[str, Any], bool]:
    """Kill a copy and its rollback where told; return how the rollback ended, and whether the target is what it was."""
    folder.mkdir()
    source, target = shelf(folder / "source.db", random.Random(1)), occupied(folder / "target.db", random.Random(2))
    before = target.content()
    job = job_of(folder, source, target, workers=1, mutant=mutant)
    for what, failpoint in failpoints:
        answer = forks.attempt(**job, then=what, failpoint=failpoint)
        assert answer["code"] == (137 if failpoint else 0), (failpoint, answer)
    return forks.attempt(**job, then="rollback", failpoint=""), target.content() == before


@pytest.mark.parametrize(
    ("mutant", "sound", "broken"),
    [
        ("log_after_write", [("", "after_write:3")], [("", "written_unnoted:3")]),
        ("last_entry_counts", [("", "after_write:3"), ("", "")], [("", "after_write:3"), ("", "")]),
    ],
)
def test_without_the_log_before_the_write_or_the_first_entry_something_stays(forks, tmp_path, mutant, sound, broken):
    answer, same = taken_back(forks, tmp_path / "sound", "", sound)
    assert (answer["rolled_back"]["proof"]["verdict"], same) == ("as_before", True)
    _, same = taken_back(forks, tmp_path / "broken", mutant, broken)
    assert not same


def test_what_was_noted_too_soon_is_found_by_the_proof(forks, tmp_path):
    steps = [("", ""), ("rollback", "rollback_noted:2")]
    answer, same = taken_back(forks, tmp_path / "sound", "", steps)
    assert (answer["rolled_back"]["proof"]["verdict"], same) == ("as_before", True)
    answer, same = taken_back(forks, tmp_path / "broken", "note_before_taking", [("", ""), ("rollback", "noted_too_soon")])
    assert not same
    assert answer["rolled_back"]["proof"]["verdict"] == "differs"


# -- repair


def repaired(forks, folder: Path, dice: random.Random, mutant: str, failpoints: list[str]) -> tuple[dict[str, Any], bool]:
    """Spoil a target, kill its repair where told, and let it end; return how, and whether both sides are equal."""
    folder.mkdir()
    source, target = shelf(folder / "source.db", dice), Shelf(str(folder / "target.db"))
    job = job_of(folder, source, target, keep=False, mutant=mutant)
    assert forks.attempt(**job, failpoint="")["status"] == "proven"
    names = sorted(target.content())
    target.delete([name for space, name in names[::7] if not space], "")
    target.put([row(dice, space, name) for space, name in names[::5]])
    target.put([row(dice, "other", f"i5{n:02}x") for n in range(9)])
    assert forks.attempt(**job, then="verify", failpoint="")["status"] == "differs"
    for name in failpoints:
        answer = forks.attempt(**job, then="repair", failpoint=name)
        assert answer["code"] == 137, (name, answer)
    answer = forks.attempt(**job, then="repair", failpoint="")
    return answer, target.content() == source.content()


def test_repaired_after_kills(forks, tmp_path):
    answer, same = repaired(forks, tmp_path / "sound", dice_of_the_day(), "", [f"{name}:1" for name in REPAIRING])
    assert (answer["status"], same) == ("proven", True), answer
    answer, same = repaired(forks, tmp_path / "broken", dice_of_the_day(), "mended_too_soon", ["before_delete:1"])
    assert (answer["status"], same) == ("differs", False), answer
