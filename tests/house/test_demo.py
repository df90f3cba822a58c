"""The demo itself: what a newcomer sees first must end well, twice, and must be able to end badly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pymilvus import MilvusClient

from demo.ask import SAME_SCORE, Answer, ask
from demo.build import endpoints

ROOT = Path(__file__).parents[2]
BEST = [("a", 0.9), ("b", 0.8), ("c", 0.7)]


def demo(home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MIGRATOR_HOME": str(home)}
    return subprocess.run([sys.executable, "-m", "demo"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=240)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_proves_the_copy_and_both_sides_answer_alike_twice(tmp_path: Path) -> None:
    for _ in range(2):
        told = demo(tmp_path)
        assert told.returncode == 0, told.stdout + told.stderr
        assert "scanned 7,764, copied 7,764, rejected 0, vanished 0, duplicate 0" in told.stdout
        assert "8 of 8 questions" in told.stdout
        digests = [line.partition(": ")[2] for line in told.stdout.splitlines() if line.startswith("digest of the ")]
        assert len(digests) == 2
        assert digests[0] == digests[1]
        report = Path(told.stdout.rpartition("report: ")[2].strip())
        assert report.read_text("utf-8").lstrip().lower().startswith("<!doctype html")
    notice_a_lost_passage(tmp_path / "demo")


def notice_a_lost_passage(folder: Path) -> None:
    _, target = endpoints(folder, "sotu_by_party")
    answers = ask(folder, target)
    assert all(answer.agrees for answer in answers)
    client = MilvusClient(str(folder / "demo.db"))
    try:
        client.load_collection("sotu_by_party")
        client.delete("sotu_by_party", ids=[answers[0].exact[0][0]])
    finally:
        client.close()
    assert [answer.agrees for answer in ask(folder, target)][:1] == [False]


def test_the_same_ranking_agrees() -> None:
    assert Answer("?", BEST, [(key, score + SAME_SCORE / 2) for key, score in BEST]).agrees


def test_passages_of_equal_score_may_change_places() -> None:
    assert Answer("?", [("a", 0.9), ("b", 0.9)], [("b", 0.9), ("a", 0.9)]).agrees
    assert Answer("?", [("a", 0.9), ("b", 0.8)], [("a", 0.9), ("c", 0.8)]).agrees


@pytest.mark.parametrize(
    "found",
    [
        [],
        BEST[:2],
        [("x", 0.9), *BEST[1:]],
        [("a", 0.9), ("b", 0.8), ("c", 0.6)],
        [("b", 0.9), ("a", 0.8), ("c", 0.7)],
        [BEST[1], BEST[0], BEST[2]],
        [*BEST[:2], ("b", 0.7)],
    ],
    ids=["nothing", "too few", "another passage", "another score", "swapped", "not by score", "one twice"],
)
def test_anything_else_does_not(found: list[tuple[str, float]]) -> None:
    assert not Answer("?", BEST, found).agrees
