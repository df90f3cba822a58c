"""Thousands of damaged files: each is refused with one sentence or read whole, quickly, and nothing else is opened."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.faiss.fuzzing import Outcome, corpus, mutated, outcomes, peak_memory
from tests.faiss.watching import watched

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20_260
GIB = 1 << 30


@pytest.fixture(scope="module")
def canary(tmp_path_factory):
    path = tmp_path_factory.mktemp("canary") / "canary"
    path.write_bytes(b"CANARY--" * 4_096)
    return path


@pytest.fixture(scope="module")
def seeds(canary):
    return corpus(canary.parent, canary)


def fuzz(folder: Path, seeds: list[tuple[str, bytes]], canary: Path, count: int, seed: int) -> list[Outcome]:
    """Return what became of ``count`` mutated files, after holding each to its limits."""
    random = np.random.default_rng(seed)
    before, found = peak_memory(), []
    with watched(canary) as was_opened:
        for start in range(0, count, 64):
            paths = []
            for number in range(start, min(start + 64, count)):
                paths.append(folder / f"{number}.index")
                paths[-1].write_bytes(mutated(random, seeds[number % len(seeds)][1]))
            for one in outcomes(paths):
                assert one.seconds < 30, one
                assert "\n" not in one.message, one
                assert not was_opened(), one
                found.append(one)
            for path in paths:
                path.unlink()
    assert len(found) == count
    assert peak_memory() - before < GIB
    return found


@pytest.mark.slow
def test_the_corpus_itself_is_read_or_refused_by_name(tmp_path, seeds, canary):
    paths = []
    for number, (_, data) in enumerate(seeds):
        paths.append(tmp_path / f"{number}.index")
        paths[-1].write_bytes(data)
    with watched(canary) as was_opened:
        refused = {kind for (kind, _), one in zip(seeds, outcomes(paths), strict=True) if one.verdict == "refused"}
        assert not was_opened()
    assert refused == {"PQ4x4fs", "IVF4,PQ4x4fs", "IVF4,FlatDedup", "IVF4,RaBitQ", "ITQ4,LSH", "OnDisk"}


@pytest.mark.slow
def test_a_hundred_damaged_files(tmp_path, seeds, canary):
    found = fuzz(tmp_path, seeds, canary, 100, SEED)
    assert {one.verdict for one in found} == {"read", "refused"}


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_thousands_of_damaged_files(tmp_path, seeds, canary):
    found = fuzz(tmp_path, seeds, canary, 7_500, SEED + 1)
    tally = Counter(one.verdict for one in found)
    tally["crashed"] = sum("crashed" in one.message for one in found)
    tally["hung"] = sum("took longer" in one.message or "used up the time" in one.message for one in found)
    tally["memory"] = sum("more memory" in one.message for one in found)
    print(dict(tally), "slowest", max(one.seconds for one in found))  # noqa: T201 - shown with -s
    assert tally["read"] > 500
    assert tally["refused"] > 2_000
