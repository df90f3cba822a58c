"""A dashboard over a home folder of its own, with real Faiss, Milvus Lite and Parquet behind it."""

from __future__ import annotations

import json

import faiss
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import ENTRY
from migrator.connectors import memory
from migrator.records import canonical_metadata, make_batch
from migrator.service import PlanOptions, Service
from ui import state

RECORDS, DIMENSION = 300, 8


@pytest.fixture
def service(tmp_path, monkeypatch):
    """Return the Service of a fresh home, the one the pages use."""
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    for name in ("MILVUS_URI", "MILVUS_TOKEN", "MIGRATOR_HOSTED"):
        monkeypatch.delenv(name, raising=False)
    before = dict(memory.COLLECTIONS)
    opened = Service()
    monkeypatch.setattr(state, "_service", opened)
    yield opened
    opened.close()
    memory.COLLECTIONS.clear()
    memory.COLLECTIONS.update(before)


@pytest.fixture
def app(service):
    """Return the dashboard, opened at its first page."""
    return AppTest.from_file(str(ENTRY), default_timeout=60).run()


def goto(app, page):
    """Return ``app`` on another page of the navigation."""
    app.switch_page(f"../pages/{page}.py")
    return app.run()


def within(app, opener):
    """Return ``app`` with the dialog open that the button ``opener`` opens, for one more run: a browser runs a dialog alone, a test the whole page."""
    app.button(key=opener).click().run()
    app.button(key=opener).click()
    return app


def shown(app):
    """Return everything the page says in words."""
    kinds = ("title", "subheader", "markdown", "caption", "error", "warning", "success", "info", "code")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))


def rows(*, records=RECORDS, seed=1, change=()):
    """Return ids, vectors and metadata of records; ``change`` alters ``(row, what)`` of them."""
    vectors = np.random.default_rng(seed).normal(size=(records, DIMENSION)).astype(np.float32)
    ids = [f"id-{row}" for row in range(records)]
    metadata = [{"lang": "de" if row % 3 else "en", "year": 1900 + row % 100} for row in range(records)]
    keep = np.ones(records, bool)
    for row, what in change:
        if what == "values":
            vectors[row, 0] += 1
        elif what == "metadata":
            metadata[row]["year"] = 1
        elif what == "nan":
            vectors[row, 3] = np.nan
        else:
            keep[row] = False
    return [name for name, kept in zip(ids, keep, strict=True) if kept], vectors[keep], [row for row, kept in zip(metadata, keep, strict=True) if kept]


def remembered(name, **options):
    """Put records where only this process has them, which takes no time, and return their endpoint."""
    ids, vectors, metadata = rows(**options)
    table = memory.COLLECTIONS[name] = memory.Table(DIMENSION)
    table.append(make_batch(ids, vectors, metadata=[canonical_metadata(row) for row in metadata]))
    return f"memory:{name}"


def index(folder, **options):
    """Write a Faiss index with ids and metadata and return its endpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    ids, vectors, metadata = rows(**options)
    flat = faiss.IndexFlatL2(DIMENSION)
    flat.add(vectors)
    faiss.write_index(flat, str(folder / "a.index"))
    (folder / "ids.json").write_text(json.dumps(ids))
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metadata))
    return f"faiss:{folder}/a.index?ids={folder}/ids.json&metadata={folder}/metadata.jsonl"


def copied(service, source, target, **options):
    """Copy ``source`` to ``target`` and return the run, ended."""
    run = service.start(service.plan(source, target, PlanOptions(**options)))
    service.wait(run, 120)
    return run


@pytest.fixture
def target(tmp_path):
    return f"milvus:things?uri={tmp_path}/a.db"


@pytest.fixture
def differing(service):
    """Return a comparison of a collection with one that was altered in four places."""
    other = remembered("altered", change=[(1, "values"), (2, "metadata"), (3, "values"), (4, "missing")])
    run = service.start_verify_pair(other, remembered("things"), PlanOptions())
    service.wait(run, 60)
    return run


def amend(service, run, **more):
    """Put ``more`` into the saved result of ``run``, as a newer proof would have written it."""
    path = service.manager.folder(run) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | more))
