"""The report in a real browser with the network off: nothing is asked for, nothing is cut off, in light, dark, on a phone and on paper."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from demo import build
from migrator.service import PlanOptions, Service
from migrator.verify.report import render_report, seal
from tests.browser.conftest import PICTURES
from tests.browser.test_look import HOSTILE, altered
from tests.unit.test_report import search

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.browser]

PAPER = 690
"""Pixels between the margins of an A4 page."""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    opened = Service(tmp_path_factory.mktemp("report") / "home")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def proven(service):
    """Return the report of the demo's copy into Milvus Lite."""
    folder = service.home / "demo"
    build.build(folder)
    source, target = build.endpoints(folder)
    run = service.start(service.plan(source, target, PlanOptions(namespace_from=build.NAMESPACE_FIELD)))
    assert service.wait(run, 120)["status"] == "proven"
    return service.report(run)


@pytest.fixture(scope="module")
def searched(proven, tmp_path_factory):
    """Return that report with a search quality and a repair beside its proof."""
    found = {**seal.read(proven.read_bytes()).data, "search": search(), "repairs": [{"finished": 1.7e9, "copied": 12, "deleted": 3}]}
    path = tmp_path_factory.mktemp("searched") / "report.html"
    path.write_text(render_report(found), "utf-8")
    return path


@pytest.fixture(scope="module")
def differing(service, proven):
    """Return the report of a comparison that finds 21 differences, one of them with a hostile id."""
    folder = service.home / "demo"
    source, target = build.endpoints(folder)
    altered(folder / "source", service.home / "altered")
    changed = source.replace(str(folder / "source"), str(service.home / "altered"))
    run = service.start_verify_pair(changed, target, PlanOptions(namespace_from=build.NAMESPACE_FIELD))
    assert service.wait(run, 120)["status"] == "differs"
    return service.report(run)


@pytest.fixture
def read(browser):
    """Return a function that opens a file with the network off; every request but that for the file itself fails the test."""
    opened, asked, troubles = [], [], []

    def new(path: Path, *, theme: str = "light", width: int = 1180, media: str = "screen"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, offline=True, java_script_enabled=True)
        opened.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        tab.on("console", lambda message: troubles.append(message.text))
        tab.on("request", lambda request: asked.append(request.url))
        tab.emulate_media(media=media, color_scheme=theme)
        tab.goto(path.as_uri())
        return tab

    yield new
    for context in opened:
        context.close()
    assert len(asked) == len(opened)
    assert all(re.fullmatch(r"file://.*/report\.html", url) for url in asked)
    assert not troubles


def picture(tab, name: str, height: int) -> None:
    """Save the first pixels of the page for the documentation, when VECTOR_MIGRATOR_PICTURES is set."""
    if os.environ.get("VECTOR_MIGRATOR_PICTURES"):
        PICTURES.mkdir(parents=True, exist_ok=True)
        tab.set_viewport_size({"width": tab.viewport_size["width"], "height": height})
        tab.screenshot(path=PICTURES / f"{name}.png")


def fits(tab) -> None:
    """Check that nothing of the page reaches beyond its width; wide tables scroll inside their frame."""
    width = tab.viewport_size["width"]
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    beyond = (
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('.wide') && !e.closest('pre') && e.getBoundingClientRect().right > innerWidth + 1)"
    )
    assert tab.evaluate(f"{beyond}.map(e => e.outerHTML.slice(0, 120))") == []


def test_the_verdict_is_what_is_seen_first(read, proven):
    tab = read(proven)
    for text in ("Proven", "nothing lost, nothing doubled, nothing altered", "7,764"):
        shown = tab.get_by_text(text).first
        expect(shown).to_be_visible()
        assert shown.bounding_box()["y"] < 600
    fits(tab)
    picture(tab, "report_light", 1440)


@pytest.mark.parametrize(("theme", "paper"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(14, 17, 23)")])
def test_it_follows_the_theme(read, differing, theme, paper):
    tab = read(differing, theme=theme)
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == paper
    expect(tab.get_by_text("Not the same")).to_be_visible()
    expect(tab.get_by_role("heading", name="Fields that differ, by records")).to_be_visible()
    fits(tab)
    if theme == "dark":
        picture(tab, "report_dark", 1700)


def test_hostile_ids_are_shown_as_they_are(read, differing):
    tab = read(differing)
    expect(tab.locator("bdi", has_text=HOSTILE).first).to_be_visible()
    assert tab.locator("img, a, script").count() == 0


def test_on_a_phone(read, proven, searched, differing):
    for path in (differing, searched, proven):
        tab = read(path, width=390)
        fits(tab)
        sizes = tab.evaluate("[...document.querySelectorAll('.chart text')].map(e => parseFloat(getComputedStyle(e).fontSize))")
        assert min(sizes) >= 11
    picture(tab, "report_mobile", 1400)


def test_on_paper(read, differing, tmp_path):
    """Paper is white whatever the theme, and what is folded without need is open."""
    tab = read(differing, theme="dark", width=PAPER, media="print")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(27, 31, 42)"
    fits(tab)
    cut = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert tab.evaluate(cut) == 0
    tab.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page[^s]", (tmp_path / "report.pdf").read_bytes()))
    assert 2 <= pages <= 12


def test_what_opens_opens_without_a_script(read, searched):
    tab = read(searched)
    answer = tab.locator("details", has_text="recall source 0.50").first
    expect(answer.get_by_role("columnheader", name="exact")).not_to_be_visible()
    answer.locator("summary").click()
    expect(answer.get_by_role("columnheader", name="exact")).to_be_visible()
    plan = tab.locator("details", has_text="plan.yaml")
    plan.locator("summary").click()
    expect(plan.get_by_text("namespace_from: ")).to_be_visible()


def test_charts_have_a_text(read, differing):
    tab = read(differing)
    expect(tab.get_by_role("img", name=re.compile("1 missing, 5 extra, 15 changed in"))).to_be_visible()
    expect(tab.get_by_role("img", name=re.compile(r"7,760 source and 7,764 target in \d+ namespaces"))).to_be_visible()
