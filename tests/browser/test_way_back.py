"""The way back, pressed by a user in Chromium: a damaged target is repaired until green, then the whole copy is taken back."""

import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from demo import build
from migrator.service import PlanOptions, Service

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAME = "speeches"
DAMAGE = """
import sys
from pymilvus import MilvusClient
client, name = MilvusClient(sys.argv[1]), sys.argv[2]
client.load_collection(name)
rows = client.query(name, filter="id != ''", output_fields=["*"], limit=6)
rows = [row | {"vector": [float(value) for value in row["vector"]]} for row in rows]
client.delete(name, ids=[row["id"] for row in rows[:3]])
moved = [row | {"vector": [value + 0.01 for value in row["vector"]]} for row in rows[3:5]]
client.upsert(name, [*moved, rows[5] | {"id": "<img src=x> **nobody's**"}])
client.close()
"""
"""Loses three records, alters two and adds one: in a process of its own, because the file has one owner at a time."""


@pytest.fixture
def damaged(server, tmp_path):
    """Return the run of a copy whose target was damaged after its proof."""
    folder, database = server.home / "demo", tmp_path / "t.db"
    build.build(folder)
    service = Service(server.home)
    target = f"milvus:{NAME}?uri={database}"
    run = service.start(service.plan(build.endpoints(folder)[0], target, PlanOptions(namespace_from=build.NAMESPACE_FIELD)))
    assert service.wait(run, 120)["status"] == "proven"
    service.close()
    subprocess.run([sys.executable, "-c", DAMAGE, str(database), NAME], check=True)
    return run


def test_repaired_until_green_and_then_taken_back(visit, damaged):
    page = visit()
    page.open(f"verify?run={damaged}")
    page.sees("Proven.")
    verified_again(page)
    page.sees("6 records differ")
    repaired(page, "Repair: copy 5")
    page.sees("1 record differs")
    repaired(page, "Repair: delete 1")
    page.sees("Proven.")
    page.sees("5 records copied again, 0 deleted.")
    page.sees("0 records copied again, 1 deleted.")
    page.picture("verify_repair")
    taken_back(page)
    page.sees("The target is as it was before")
    expect(page.tab.get_by_text("Proven.")).to_have_count(0)
    page.picture("verify_rolled_back")
    page.open(f"run?run={damaged}")
    page.sees("The target is as it was before")
    expect(page.tab.get_by_role("button", name="Resume", exact=True)).to_have_count(0)


def opened(page, opener):
    """Return the dialog that the button ``opener`` opens."""
    page.press(opener)
    dialog = page.tab.get_by_role("dialog")
    expect(dialog).to_have_count(1)
    return dialog


def verified_again(page):
    dialog = opened(page, "Verify again…")
    dialog.get_by_role("button", name="Start").click()
    expect(dialog).to_have_count(0)


def repaired(page, label):
    """Press the repair that ``label`` names; one that deletes has to be asked for, and is forgotten when the dialog is closed."""
    dialog = opened(page, "Repair…")
    if "delete" in label:
        expect(dialog.get_by_role("button", name="Nothing to repair")).to_be_disabled()
        dialog.get_by_text("Also delete the 1 record that only the target has").click()
        expect(dialog.get_by_text("will be deleted from the target for good")).to_be_visible()
        closed(page, dialog)
        dialog = opened(page, "Repair…")
        expect(dialog.get_by_role("button", name="Nothing to repair")).to_be_disabled()
        dialog.get_by_text("Also delete the 1 record that only the target has").click()
    dialog.get_by_role("button", name=label).click()
    expect(dialog).to_have_count(0)


def taken_back(page):
    """Roll back: only the target's own name confirms, and one that was typed is forgotten when the dialog is closed."""
    for typed in ("speech", NAME.upper(), NAME):
        dialog = named(page, typed)
        button = dialog.get_by_role("button", name="Roll back", exact=True)
        if typed != NAME:
            expect(button).to_be_disabled()
            closed(page, dialog)
    expect(button).to_be_enabled()
    closed(page, dialog)
    dialog = opened(page, "Roll back…")
    expect(dialog.locator("input")).to_have_value("")
    expect(dialog.get_by_role("button", name="Roll back", exact=True)).to_be_disabled()
    closed(page, dialog)
    named(page, NAME).get_by_role("button", name="Roll back", exact=True).click()
    expect(page.tab.get_by_text(re.compile("^Rolled back")).first).to_be_visible()


def named(page, typed):
    """Return the dialog of the rollback with ``typed`` as the target's name."""
    dialog = opened(page, "Roll back…")
    dialog.locator("input").fill(typed)
    dialog.locator("input").press("Enter")
    page.drawn()
    return dialog


def closed(page, dialog):
    page.tab.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    page.drawn()
