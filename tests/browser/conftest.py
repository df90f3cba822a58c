"""A real server of the dashboard and a real Chromium; every request is recorded, and a foreign one fails the test."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
DRAWN = '[data-testid="stApp"][data-test-script-state="notRunning"]'
PATIENCE = 120_000
"""Milliseconds until a wait gives up, enough on a machine busy with other things; nothing waits longer than it has to."""

expect.set_options(timeout=PATIENCE)


class Server:
    """The dashboard as a user starts it, over a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "migrator", "serve", "--port", str(self.port)]
        environment = {**os.environ, "MIGRATOR_HOME": str(self.home)}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.wait()
        except BaseException:
            self.kill()
            raise

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while not self.answers():
            assert self.process.poll() is None, "the dashboard did not start"
            assert time.monotonic() < deadline, "the dashboard does not answer"
            time.sleep(0.1)

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().read() == b"ok\n"
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


class Page:
    """A browser tab with the few gestures the journeys need."""

    def __init__(self, tab, server: Server) -> None:
        self.tab, self.server = tab, server
        self.requests: list[str] = []
        self.troubles: list[str] = []
        tab.set_default_timeout(PATIENCE)
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("pageerror", lambda error: self.troubles.append(str(error)))

    def open(self, path: str = "") -> None:
        self.tab.goto(f"{self.server.url}/{path}")
        self.drawn()

    def drawn(self) -> None:
        """Wait until the script has run and what it drew is there."""
        self.tab.wait_for_selector(DRAWN)

    def connect(self) -> None:
        """Test both sides' connections. While a script runs a button may be there twice, once as it was before."""
        for connected, side in enumerate(("source", "target"), 1):
            button = self.tab.locator(f".st-key-{side}_test button")
            expect(button).to_have_count(1)
            expect(button.first).to_be_enabled()
            self.drawn()
            button.first.click()
            expect(self.tab.locator(".stMarkdownBadge", has_text="connected")).to_have_count(connected)

    def press(self, name: str) -> None:
        button = self.tab.get_by_role("button", name=name, exact=True).first
        expect(button).to_be_enabled()
        button.click()
        self.drawn()

    def fill(self, key: str, text: str) -> None:
        field = self.tab.locator(f".st-key-{key} input")
        field.fill(text)
        field.press("Tab")
        self.drawn()

    def sees(self, text: str) -> None:
        expect(self.tab.get_by_text(text).first).to_be_visible()

    def title(self, text: str) -> None:
        expect(self.tab.get_by_role("heading", name=text, level=1, exact=True)).to_be_visible()

    def picture(self, name: str) -> None:
        """Save a picture of the whole page for the documentation, when VECTOR_MIGRATOR_PICTURES is set."""
        if not os.environ.get("VECTOR_MIGRATOR_PICTURES"):
            return
        self.drawn()
        self.tab.mouse.move(self.tab.viewport_size["width"] - 5, 5)  # over nothing that answers to it
        self.tab.evaluate("document.activeElement.blur()")
        self.tab.wait_for_function("document.fonts.status === 'loaded'")
        width, height = self.tab.viewport_size["width"], self.tab.viewport_size["height"]
        whole = self.tab.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        self.tab.set_viewport_size({"width": width, "height": max(height, whole)})  # stMain scrolls, not the document
        self.tab.wait_for_timeout(2000)  # canvases and charts settle after the resize; only pictures wait like this
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.tab.screenshot(path=PICTURES / f"{name}.png")
        self.tab.set_viewport_size({"width": width, "height": height})

    def at_home(self) -> None:
        """Fail when anything was fetched from another host, or a script of the page broke."""
        foreign = {
            url for url in self.requests if urlsplit(url).scheme in {"http", "https", "ws", "wss"} and urlsplit(url).netloc != f"127.0.0.1:{self.server.port}"
        }
        assert not foreign
        assert len(self.requests) > 5
        assert not self.troubles


@pytest.fixture(scope="session")
def browser(chromium):
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def server(tmp_path):
    running = Server(tmp_path / "home")
    yield running
    running.stop()


@pytest.fixture
def visit(browser, server):
    """Return a function that opens a new visitor's tab; every tab is checked for foreign requests at the end."""
    opened = []

    def new(*, theme="light", width=1440, height=900):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, accept_downloads=True)
        page = Page(context.new_page(), server)
        opened.append((context, page))
        return page

    yield new
    for context, page in opened:
        context.close()
        page.at_home()
