"""The report: whole without a network, safe with any id, right about each verdict, and never wider than what was compared."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser

import pytest

from migrator.verify.report import charts, render_report
from migrator.verify.report.plan_words import sentences

EVIL = "<script>alert('x')</script>\"'&<img src=https://evil.example/x></template></title></style>"


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
    """Collects tags, their attributes and the text that is shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.hidden = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.hidden = tag if tag in {"template", "style"} else self.hidden

    def handle_endtag(self, tag):
        self.hidden = "" if tag == self.hidden else self.hidden

    def handle_data(self, data):
        self.text += "" if self.hidden else data


def shown(**changes):
    return Page(render_report(result(**changes))).text


def search(**changes):
    sides = {"mean": 0.97, "p05": 0.9, "min": 0.7}, {"mean": 1.0, "p05": 1.0, "min": 1.0}
    hits = [{"id": "a", "score": 0.9}, {"id": "b", "score": 0.8}]
    return {
        "verdict": "pass",
        "k": 10,
        "threshold": 0.95,
        "metric": "cosine",
        "queries": 200,
        "queries_from": "sample",
        "filter": None,
        "recall": {"source": sides[0], "target": sides[1]},
        "unsearchable": {},
        "overlap": 0.97,
        "score_drift": {"mean": 1e-7, "max": 3e-6},
        "latency_ms": {"source": {"p50": 1.0, "p95": 2.0}, "target": {"p50": 1.0, "p95": 2.0}},
        "namespaces": {name: {"queries": 100, "recall_source": 0.97, "recall_target": 1.0, "overlap": 0.97} for name in ("", "x")},
        "answers": [{"namespace": "x", "query": "q1", "exact": hits, "source": hits[1:], "target": hits, "recall_source": 0.5, "recall_target": 1.0}],
        "truth": {"records": 1200, "read_from": "target"},
        "seconds": 1.0,
        "finished": 1.7e9,
        "findings": [],
        **changes,
    }


def everywhere(text: str):
    hit = {"id": text, "score": 0.5}
    recall = {"recall_source": 0.5, "recall_target": 1.0}
    return result(
        run=text,
        verdict="differs",
        namespaces={text: {"source": 1, "target": 2, "missing": 0, "extra": 1, "changed": 0}},
        differences=[{"namespace": text, "id": text, "class": "changed", "fields": [text]}],
        differences_total=1,
        rejected=[{"namespace": text, "id": text, "code": text, "field": text, "message": text}],
        findings=[{"severity": "info", "code": text, "message": text, "fix": text}],
        plan={"source": text, "target": text, "selection": {"namespaces": [text], "filter": {text: text}}, "mapping": {"namespace_from": text}},
        digests={"source": text, "target": text},
        scope={"level": "content", "sample": "", "compared": 1, "sentence": text},
        tolerance={text: text},
        phases={text: 1.0},
        search=search(
            unsearchable={"source": text},
            filter={text: text},
            namespaces={text: {"queries": 1, **recall}, "b": {"queries": 1}},
            answers=[{"namespace": text, "query": text, "exact": [hit], "source": [hit], "target": None, **recall}],
            findings=[text],
        ),
        cutover={"done": [text], "new": {"environment": {text: text}, "snippets": {text: text}, "note": text}, "old": None, "finished": 1.7e9},
        rolled_back={"finished": 1.7e9, "deleted": 1, "restored": 0, "dropped": False, "proof": text},
        technical={"owner": text, "log": [{"at": 1.7e9, "level": "info", "message": text}], "versions": {text: text}},
    )


def test_ids_and_metadata_are_data():
    page = Page(render_report(everywhere(EVIL)))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "link", "iframe", "object", "form"})
    assert [tag for tag, _ in page.tags].count("template") == 1
    assert page.text.count(EVIL) > 25
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]


def test_it_needs_no_network():
    for found in (result(), everywhere("harmless")):
        text = render_report(found)
        assert "http://" not in text
        assert "https://" not in text
        assert "@import" not in text
        assert "url(" not in text
        page = Page(text)
        assert not [attributes for _, attributes in page.tags if {"src", "href", "srcset"} & attributes.keys()]


@pytest.mark.parametrize(("name", "said"), [("a\u202eb", "a\\u202eb"), ("a\x00b", "a\\x00b"), ("a\u2028b", "a\\u2028b"), ("产品", "产品"), ("مرحبا", "مرحبا")])
def test_what_cannot_be_seen_is_spelt_out(name, said):
    page = render_report(everywhere(name))
    assert said in Page(page).text
    assert name not in page or name.isprintable()


def test_a_line_break_in_an_id_is_spelt_out_too():
    found = [{"namespace": "n", "id": name, "class": "missing", "fields": []} for name in ("a\nb", "a b")]
    assert "a\\nb" in shown(verdict="differs", differences=found, differences_total=2)


@pytest.mark.parametrize(("verdict", "said"), [("proven", "Proven"), ("differs", "Not the same"), ("incomplete", "Incomplete")])
def test_each_verdict_is_said(verdict, said):
    page = Page(render_report(result(verdict=verdict)))
    assert said in page.text
    assert f"verdict {verdict}" in [attributes.get("class") for _, attributes in page.tags]
    assert "1,234 scanned = 1,200 copied + 30 rejected + 0 vanished + 4 duplicate" in page.text


def test_the_verdict_stands_before_all_figures():
    text = shown()
    assert text.index("nothing lost, nothing doubled, nothing altered") < text.index("scanned =")


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        (
            {"scope": {"level": "counts", "sample": "", "compared": 0, "sentence": "counts"}},
            "Neither their ids nor their contents were compared",
            "equal content",
        ),
        ({"scope": {"level": "ids", "sample": "", "compared": 9, "sentence": "ids"}}, "Their contents were not compared", "equal content"),
        ({"scope": {"level": "content", "sample": "5%", "compared": 60, "sentence": "5 %"}}, "60 records of a sample were compared", "nothing lost"),
        ({"tolerance": {"values": "1e-6"}}, "within the tolerance", "nothing altered"),
        ({"plan": {"source": "a:b", "target": "c:d", "selection": {"namespaces": ["x"], "filter": None}}}, "1,200 chosen records", "records of the source are"),
    ],
)
def test_no_more_is_said_than_was_compared(changes, said, unsaid):
    text = shown(**changes)
    assert said in text
    assert unsaid not in text
    assert ("bit by bit as float32" in text) == ("plan" in changes)


def test_a_rolled_back_run_is_not_called_proven_without_a_word():
    text = shown(rolled_back={"finished": 1.7e9, "deleted": 1200, "restored": 3, "dropped": False, "proof": "the target has the digests it had"})
    assert "This run was rolled back afterwards" in text
    assert "1,200 records that the run wrote were deleted and 3 records that it overwrote were restored" in text
    assert "the collection it had made was dropped" in shown(rolled_back={"finished": 1.7e9, "deleted": 0, "restored": 0, "dropped": True, "proof": None})


def test_the_namespaces_agree_with_the_counts():
    text = shown(verdict="incomplete", namespaces={"": {"source": 1200, "target": 1200, "missing": 0, "extra": 0, "changed": 0}})
    assert "expected in the target" in text
    assert "The counts agree in every namespace." in text
    assert "(default)" in text


def test_the_difference_of_the_counts_is_shown():
    text = shown(namespaces={"n": {"source": 1200, "target": 1188, "missing": 15, "extra": 3, "changed": 0}})
    assert "The counts differ in 1 of 1 namespace." in text
    assert "1,200 (\N{MINUS SIGN}12)" in text
    assert "Difference of the counts" in text


def test_a_comparison_speaks_of_no_copy():
    counts = {"scanned": 50, "copied": 40, "rejected": 3, "vanished": 7, "duplicate": 0}
    text = shown(kind="verify", verdict="differs", counts=counts)
    assert "50 scanned = 40 equal + 3 not readable + 7 missing or changed" in text
    assert "Copied" not in text
    assert "expected in the target" not in text
    assert "Comparison report" in text


def test_only_what_was_found_is_shown():
    text = shown()
    for title in ("Rejected records", "Differences per namespace", "Search quality", "Repairs", "Rollback", "Cut-over", "Passes", "Findings"):
        assert title not in text
    many = [{"namespace": "", "id": f"i{n}", "class": "missing", "fields": []} for n in range(500)]
    text = shown(verdict="differs", differences=many, differences_total=12_345)
    assert "200 of 12,345 shown" in text
    assert "i199" in text
    assert "i200" not in text


def test_how_far_a_vector_differs_is_shown_where_it_is_known():
    found = [
        {"namespace": "", "id": "one", "class": "changed", "fields": ["values"], "largest_delta": 0.00312345, "cosine": 0.99998712},
        {"namespace": "", "id": "two", "class": "missing", "fields": []},
    ]
    text = shown(verdict="differs", differences=found, differences_total=2)
    assert "largest delta" in text
    assert "0.00312" in text
    assert "0.999987" in text
    assert "largest delta" not in shown(verdict="differs", differences=found[1:], differences_total=1)


def test_both_recalls_stand_beside_each_other():
    text = shown(search=search())
    assert "Mean recall@10: source 0.9700, target 1.0000. The threshold is 0.95." in text
    assert "Search is as good as before" in text
    assert "q1 in x: recall source 0.50, target 1.00" in text
    failed = shown(search=search(verdict="fail", recall={"source": None, "target": {"mean": 0.5, "p05": 0.1, "min": 0.0}}, overlap=None, answers=None))
    assert "Search quality did not reach its threshold" in failed
    assert "source" not in re.findall(r"Mean recall@10: (.*?)\. The", failed)[0]


def test_what_search_measured_can_be_next_to_nothing():
    assert "Search quality" in shown(search={"verdict": "fail"})


def places(found, *path):
    """Yield the path of every key in nested dictionaries and lists."""
    for key, value in found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ():
        yield (*path, key)
        yield from places(value, *path, key)


def test_any_key_of_a_later_part_may_be_missing():
    parts = {
        "search": search(),
        "repairs": [{"finished": 1.7e9, "copied": 1, "deleted": 0}],
        "rolled_back": {"finished": 1.7e9, "deleted": 1, "restored": 0, "dropped": False, "proof": "x"},
        "scope": {"level": "content", "sample": "", "compared": 9, "sentence": "all"},
        "tolerance": {"values": 1e-6},
        "cutover": {"done": ["x"], "new": {"environment": {}, "snippets": {}, "note": ""}, "old": None, "finished": 1.7e9},
    }
    tried = 0
    for *path, last in places(parts):
        changed = copy.deepcopy(parts)
        inner = changed
        for key in path:
            inner = inner[key]
        del inner[last]
        assert render_report(result(**changed)), (*path, last)
        tried += 1
    assert tried > 60


def test_repairs_and_passes():
    passes = [{"pass": 0, "finished": 1.7e9, "counts": {"scanned": 77}, "new": 5, "changed": 0, "deleted": 0, "gone": 0}]
    text = shown(repairs=[{"finished": 1.7e9, "copied": 12, "deleted": 0}, {"finished": 1.7e9, "copied": 1, "deleted": 2}], passes=passes)
    assert "Repaired before this proof: 13 records copied again, 2 records deleted." in text
    assert "The first is the first copy." in text


def test_nothing_at_all_is_a_report_too():
    nothing = dict.fromkeys(["scanned", "copied", "rejected", "vanished", "duplicate"], 0)
    assert render_report(result(counts=nothing, namespaces={}, seconds=0.0, records_per_second=0.0, phases={}, search={}, technical={}, cutover=None))


def test_many_namespaces_are_folded_but_those_that_differ():
    rows = {f"n{n:02}": {"source": 9, "target": 9, "missing": 0, "extra": 0, "changed": int(n == 39)} for n in range(40)}
    text = shown(namespaces=rows)
    assert "28 namespaces more, all equal" in text
    assert text.index("n39", text.index("missingextrachanged")) < text.index("n00", text.index("missingextrachanged"))


def test_charts_have_words_for_those_who_cannot_see_them():
    points = [[place, 100.0 * (place % 3)] for place in range(9)]
    page = render_report(result(technical={"throughput": points, "batches": [100, 100, 50]}, search=search()))
    drawn = re.findall(r'<svg class="chart".*?</svg>', page, re.DOTALL)
    assert len(drawn) == 6  # counts, their difference, recall, phases, throughput, batches
    assert all(re.search(r"<title>[^<]+</title><desc>[^<]+</desc>", chart) and 'role="img"' in chart for chart in drawn)


def test_charts_stay_inside_their_frame():
    rows = [("a", 5.0, 1e12), ("b", 0.0, 0.0)]
    drawn = [
        charts.pairs(rows, ["", ""], "t", "d", mark=0.95),
        charts.deltas([("a", -5), ("b", 7), ("c", 0)], "t", "d"),
        charts.stacked([("a", {"missing": 3, "extra": 0}), ("b", {})], "t", "d"),
        charts.histogram([1], "t", "d"),
        charts.histogram(list(range(1000)), "t", "d"),
        charts.area([[0, 0.0], [1, 0.0]], "t", "d"),
        charts.line_of_parts({"a": 0.0}, ["part1"], "t", "d"),
    ]
    for chart in drawn:
        for x, width in re.findall(r'<rect x="([\d.-]+)%" y="[\d.]+" width="([\d.-]+)%"', chart):
            assert float(x) >= 0
            assert float(x) + float(width) <= 100.01


def test_the_plan_is_said_in_words():
    plan = {
        "selection": {"namespaces": ["en", ""], "filter": {"year": {"$gte": 1900}}},
        "mapping": {"namespace_from": "lang", "namespace_missing": "reject", "id_encoding": "percent"},
        "on_conflict": "skip",
        "merge": True,
        "on_duplicate": "last",
        "route": "staged",
        "staging": "parquet:s3://b/p",
        "follow": {"interval": 60.0, "deletes": True, "changes": "all"},
        "workers": 2,
        "batch": 500,
    }
    said = " ".join(sentences(plan, pair=False))
    for part in ("2 namespaces: en, (default)", '{"year": {"$gte": 1900}}', "field lang", "without it are rejected", "percent-encoded", "left as it is there"):
        assert part in said
    for part in ("other records as well", "the last counts", "parquet:s3://b/p", "60 s apart", "removed from the target", "500 records a batch"):
        assert part in said
    assert "left as it is" not in " ".join(sentences(plan, pair=True))
