"""Differences on the screen, on a desk and on a phone: everything reachable, nothing cut off, data never markup."""

import json
import shutil
import time
from pathlib import Path

import faiss
import numpy as np
import pytest
from playwright.sync_api import expect

from demo import build
from migrator.service import PlanOptions, Service

pytestmark = [pytest.mark.browser]

HOSTILE = "**bold** [x](http://evil.example) <img src=http://evil.example/i.png> :red[a]"


def altered(source, folder):
    """Copy the demo's index to ``folder`` with nine vectors and six metadata changed, five records gone and one added."""
    shutil.copytree(source, folder)
    random = np.random.default_rng(7)
    index = faiss.read_index(str(folder / build.INDEX))
    vectors = index.reconstruct_n(0, index.ntotal)
    ids = json.loads((folder / build.IDS).read_text())
    metadata = [json.loads(line) for line in (folder / build.METADATA).read_text().splitlines()]
    rows = random.choice(len(ids), 20, replace=False)
    vectors[rows[:9]] += random.normal(0, 0.008, (9, index.d)).astype(np.float32)
    for row in rows[9:15]:
        metadata[row] |= {"year": metadata[row]["year"] + 1, "title": HOSTILE}
    kept = sorted(set(range(len(ids))) - set(rows[15:].tolist()))
    fresh = type(index)(index.d) if isinstance(index, (faiss.IndexFlatL2, faiss.IndexFlatIP)) else faiss.IndexFlat(index.d, index.metric_type)
    fresh.add(np.vstack([vectors[kept], vectors[:1]]))
    faiss.write_index(fresh, str(folder / build.INDEX))
    (folder / build.IDS).write_text(json.dumps([ids[row] for row in kept] + [HOSTILE]))
    (folder / build.METADATA).write_text("".join(json.dumps(metadata[row]) + "\n" for row in [*kept, 0]))


@pytest.fixture
def compared(server):
    """Return the run of a comparison that finds 21 differences, made beside the server over the same home."""
    service, folder = Service(server.home), server.home / "demo"
    source, target = build.endpoints(folder)
    rules = PlanOptions(namespace_from=build.NAMESPACE_FIELD)
    altered(build.build(folder), server.home / "altered")
    copy = service.start(service.plan(source, target, rules))
    assert service.wait(copy, 120)["status"] == "proven"
    run = service.start_verify_pair(source.replace(str(folder / "source"), str(server.home / "altered")), target, rules)
    assert service.wait(run, 120)["status"] == "differs"
    service.close()
    return run


@pytest.mark.slow
def test_differences_down_to_the_record(visit, compared):
    page = visit(theme="dark")
    page.open(f"verify?run={compared}")
    page.sees("Not the same.")
    page.sees("21 of 21 shown.")
    page.fill("difference_search", "values")
    page.sees("9 of 21 shown.")
    page.sees("largest component difference")
    page.press("Draw the map")
    page.sees("PCA of 500 sampled vectors")
    page.picture("verify_dark")
    with page.tab.expect_download() as started:
        page.tab.get_by_role("link", name="Export the 9 shown (CSV)").click()
    assert len(Path(started.value.path()).read_text().splitlines()) == 10
    with page.tab.expect_download() as started:
        page.tab.get_by_role("link", name="All differences (JSON lines)").click()
    assert len(Path(started.value.path()).read_text().splitlines()) == 21
    page.fill("difference_search", "evil")
    page.sees("1 of 21 shown.")
    page.sees("Only the source has this record.")
    expect(page.tab.locator("strong", has_text="**bold** [x](http")).to_be_visible()
    assert page.tab.locator('[data-testid="stMain"] a[href*="evil"], [data-testid="stMain"] img[src*="evil"]').count() == 0


@pytest.mark.slow
def test_on_a_phone(visit, compared):
    page = visit(width=390, height=844)
    for path, title in (("", "Connect"), ("plan", "Plan"), ("run", "Run"), ("export", "Export"), (f"verify?run={compared}", "Verify")):
        page.open(path)
        page.title(title)
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.tab.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    page.sees("Not the same.")
    page.picture("verify_mobile")


def test_with_the_keyboard_alone(visit):
    page = visit()
    page.open()
    expect(page.tab.get_by_role("button", name="Use the demo")).to_be_visible()
    for _ in range(20):
        page.tab.keyboard.press("Tab")
        if page.tab.evaluate("document.activeElement.innerText || ''").strip().endswith("Use the demo"):
            break
    page.tab.keyboard.press("Enter")
    expect(page.tab.get_by_role("button", name="Continue to plan")).to_be_enabled()
    page.tab.get_by_role("button", name="Continue to plan").focus()
    page.tab.keyboard.press("Enter")
    page.title("Plan")


def proved(server, run):
    """Return when ``run`` was proven last."""
    return json.loads((server.home / "runs" / run / "result.json").read_text())["finished"]


@pytest.mark.slow
def test_proven_again_with_the_keyboard_alone(visit, compared, server):
    page, before = visit(), proved(server, compared)
    page.open(f"verify?run={compared}")
    page.sees("Not the same.")
    page.tab.get_by_role("button", name="Verify again…").focus()
    page.tab.keyboard.press("Enter")
    dialog = page.tab.get_by_role("dialog")
    expect(dialog.get_by_text("puts the new verdict in the place of this one")).to_be_visible()
    page.tab.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.tab.get_by_role("button", name="Verify again…").focus()
    page.tab.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Start")).to_be_visible()
    dialog.get_by_role("button", name="Start").focus()
    page.tab.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.tab.get_by_text("Reading both sides and comparing…")).to_have_count(0)
    deadline = time.monotonic() + 60
    while proved(server, compared) == before:
        assert time.monotonic() < deadline, "nothing was proven again"
        time.sleep(0.1)
    page.sees("21 records differ")


@pytest.mark.slow
def test_charts_have_a_text(visit, compared):
    page = visit()
    page.open(f"verify?run={compared}")
    page.sees("Difference of the counts")
    for text in ("Records per namespace: 7,760 in the source and 7,764 in the target", "Differences per namespace: 1 missing, 5 extra, 15 changed."):
        expect(page.tab.locator(f'[aria-label*="{text}"], [alt*="{text}"]').or_(page.tab.get_by_text(text)).first).to_be_attached()
