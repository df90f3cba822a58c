"""From nothing to a proven copy and its export, as a newcomer does it: with the mouse, in Chromium, on the demo."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser]


def connect_the_demo(page):
    page.open()
    page.title("Connect")
    page.press("Use the demo")
    page.connect()


def run_of(page):
    expect(page.tab).to_have_url(re.compile(r"run\?run=\d{8}-\d{6}-[0-9a-f]{4}"))
    return page.tab.url.rsplit("=", 1)[-1]


def test_from_the_demo_to_a_proven_copy_and_its_export(visit):
    page = visit()
    connect_the_demo(page)
    page.picture("connect_light")
    page.press("Continue to plan")
    page.title("Plan")
    page.sees("7,764")
    page.sees("metadata")
    page.picture("plan_light")
    page.press("Start migration")
    page.title("Run")
    run = run_of(page)
    page.press("See the proof")
    page.title("Verify")
    page.sees("Proven.")
    page.sees("7,764 / 7,764")
    page.picture("verify_proven_light")
    with page.tab.expect_download() as started:
        page.tab.get_by_role("link", name="Download the report").click()
    assert started.value.suggested_filename == f"report-{run}.html"
    assert b"<html" in Path(started.value.path()).read_bytes()[:1000].lower()
    page.press("Go to export")
    page.title("Export")
    page.sees("History")
    page.fill("export_source", f"milvus:sotu?uri={page.server.home}/demo/demo.db")
    page.fill("export_folder", str(page.server.home / "exports" / "sotu"))
    page.press("Export")
    page.title("Run")
    expect(page.tab.locator(".stMarkdownBadge", has_text="proven")).to_be_visible()
    exported = run_of(page)
    assert exported != run
    page.open(f"export?run={exported}")
    page.sees("Files")
    page.picture("export_light")
    assert list((page.server.home / "exports" / "sotu").rglob("*.parquet"))
