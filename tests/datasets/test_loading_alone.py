"""One run at a time has the files of a dump loaded: loaded twice, every record would be there twice."""

from __future__ import annotations

import pytest

from migrator.connectors import numpy as numpy_files
from migrator.datasets.places import Place
from migrator.endpoints import parse
from migrator.errors import PermanentError, RunBusyError
from migrator.model import Collection, Plan
from migrator.staging.standing import StandingFiles
from tests.contract.numpy_harness import NumpyBucketHarness, NumpyFolderHarness
from tests.unit.batches import numbered

PLAN = Plan(parse("memory:a"), parse("memory:b"), route="staged")
COLLECTION = Collection("a", 3, "cosine", "string", {"": 9})


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.server)])
def where(request, tmp_path):
    """Return the endpoint of a dump, in a folder and in a bucket."""
    harness = NumpyFolderHarness(tmp_path) if request.param == "folder" else NumpyBucketHarness(request.getfixturevalue("s3_server"))
    return parse(harness.seed([numbered(9)], metric="cosine"))


def standing(where, run, said=None):
    files = StandingFiles(numpy_files, where, lambda *line: said.append(line) if said is not None else None)
    files.claim(run)
    return files


def test_a_second_load_is_refused_before_it_begins_and_can_begin_when_the_first_is_over(where):
    first, second = standing(where, "run-1"), standing(where, "run-2")
    first.prepare(COLLECTION, PLAN)
    first.prepare(COLLECTION, PLAN)
    with pytest.raises(RunBusyError) as caught:
        second.prepare(COLLECTION, PLAN)
    assert caught.value.code == "target_busy"
    if where.resource.startswith("s3:"):
        assert "run-1" in caught.value.message
    second.close()
    with pytest.raises(RunBusyError):
        second.prepare(COLLECTION, PLAN)
    first.close()
    first.close()
    second.prepare(COLLECTION, PLAN)
    second.close()
    assert numpy_files.open_source(where).describe().count == 9


@pytest.mark.server
def test_a_killed_load_goes_on_and_keeps_others_out_until_then(s3_server):
    where = parse(NumpyBucketHarness(s3_server).seed([numbered(9)], metric="cosine"))
    standing(where, "run-1").prepare(COLLECTION, PLAN)  # and is never closed
    with pytest.raises(RunBusyError, match="run-1"):
        standing(where, "run-2").prepare(COLLECTION, PLAN)
    again = standing(where, "run-1")
    again.prepare(COLLECTION, PLAN)
    again.close()


@pytest.mark.server
def test_files_that_may_only_be_read_are_loaded_all_the_same(s3_server, monkeypatch):
    where, said = parse(NumpyBucketHarness(s3_server).seed([numbered(9)], metric="cosine")), []

    def refused(*_):
        raise PermanentError("s3://bucket: access denied", code="forbidden")

    monkeypatch.setattr(Place, "save", refused)
    standing(where, "run-1", said).prepare(COLLECTION, PLAN)
    ((level, message),) = said
    assert (level, "access denied" in message) == ("warning", True)
