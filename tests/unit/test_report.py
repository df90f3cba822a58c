"""The report: whole without a network, safe with any id, and right about each verdict."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from migrator.verify.report import render_report

EVIL = "<script>alert('x')</script>\"'&<img src=https://evil.example/x>"


def result(**changes):
    return {
        "run": "20260101-000000-abcd",
        "verdict": "proven",
        "kind": "copy",
        "counts": {"scanned": 1234, "copied": 1200, "rejected": 30, "vanished": 0, "duplicate": 4},
        "namespaces": {"": {"source": 1234, "target": 1200, "missing": 0, "extra": 0, "changed": 0}},
        "differences": [],
        "differences_total": 0,
        "rejected": [],
        "digests": {"source": "ab", "target": "ab"},
        "compared_with": "source",
        "findings": [],
        "seconds": 3.5,
        "phases": {"copying": 2.0, "verifying": 1.5},
        "records_per_second": 350.0,
        "finished": 1.7e9,
        "plan": {"source": "memory:a", "target": "memory:b"},
        "report": "x",
        **changes,
    }


class Page(HTMLParser):
    """Collects tags, their attributes and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def everywhere(text: str):
    return result(
        run=text,
        verdict="differs",
        namespaces={text: {"source": 1, "target": 2, "missing": 0, "extra": 1, "changed": 0}},
        differences=[{"namespace": text, "id": text, "class": "changed", "fields": [text]}],
        differences_total=1,
        rejected=[{"namespace": text, "id": text, "code": text, "field": text, "message": text}],
        findings=[{"severity": "info", "code": text, "message": text, "fix": text}],
        plan={"source": text, "target": text, "filter": {text: text}},
        digests={"source": text, "target": text},
    )


def test_ids_and_metadata_are_data():
    page = Page(render_report(everywhere(EVIL)))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "link", "iframe", "object", "form"})
    assert EVIL in page.text


def test_it_needs_no_network():
    for found in (result(), everywhere("harmless")):
        text = render_report(found)
        assert "http://" not in text
        assert "https://" not in text
        assert "@import" not in text
        assert "url(" not in text
        page = Page(text)
        assert not [attributes for _, attributes in page.tags if {"src", "href", "srcset"} & attributes.keys()]


@pytest.mark.parametrize("verdict", ["proven", "differs", "incomplete"])
def test_each_verdict_is_said(verdict):
    text = render_report(result(verdict=verdict))
    page = Page(text)
    assert verdict.capitalize() in page.text
    assert f"verdict {verdict}" in [attributes.get("class") for _, attributes in page.tags]
    assert "1,234 scanned = 1,200 copied + 30 rejected + 0 vanished + 4 duplicate" in page.text


def test_the_namespaces_agree_with_the_counts():
    text = Page(render_report(result(verdict="incomplete", namespaces={"": {"source": 1200, "target": 1200, "missing": 0, "extra": 0, "changed": 0}}))).text
    assert "expected in the target" in text
    assert "Upper bar: expected in the target" in text
    assert "(default)" in text


def test_a_comparison_speaks_of_no_copy():
    counts = {"scanned": 50, "copied": 40, "rejected": 3, "vanished": 7, "duplicate": 0}
    text = Page(render_report(result(kind="verify", verdict="differs", counts=counts))).text
    assert "50 scanned = 40 equal + 3 not readable + 7 missing or changed" in text
    assert "Copied" not in text
    assert "expected in the target" not in text


def test_only_what_was_found_is_shown():
    assert "Rejected records" not in Page(render_report(result())).text
    many = [{"namespace": "", "id": f"i{n}", "class": "missing", "fields": []} for n in range(500)]
    page = Page(render_report(result(verdict="differs", differences=many, differences_total=12_345)))
    assert "12,345" in page.text
    assert "i199" in page.text
    assert "i200" not in page.text


def test_nothing_at_all_is_a_report_too():
    nothing = dict.fromkeys(["scanned", "copied", "rejected", "vanished", "duplicate"], 0)
    assert render_report(result(counts=nothing, namespaces={}, seconds=0.0, records_per_second=0.0))
