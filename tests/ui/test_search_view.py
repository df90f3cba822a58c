"""Search quality on the Verify page: the verdict and both recalls, the answers side by side, and the options handed on."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from demo import build
from migrator import service as verbs
from tests.parameters import rest_slow
from tests.ui.conftest import copied, goto, index, remembered, shown, within


def hits(*names):
    return [{"id": name, "score": 0.9 - place / 100} for place, name in enumerate(names)]


FOUND = {
    "verdict": "pass",
    "k": 3,
    "threshold": 0.95,
    "metric": "cosine",
    "queries": 200,
    "queries_from": "sample",
    "filter": None,
    "recall": {"source": {"mean": 0.981, "p05": 0.9, "min": 0.667}, "target": {"mean": 1.0, "p05": 1.0, "min": 1.0}},
    "unsearchable": {},
    "overlap": 0.981,
    "score_drift": {"mean": 1.2e-7, "max": 6e-7},
    "latency_ms": {"source": {"p50": 0.8, "p95": 1.9}, "target": {"p50": 3.1, "p95": 7.2}},
    "namespaces": {name: {"queries": 100, "recall_source": 0.98, "recall_target": 1.0, "overlap": 0.98} for name in ("de", "en")},
    "answers": [
        {
            "namespace": "de",
            "query": "**q1**",
            "exact": hits("a", "b", "c"),
            "source": hits("a", "x", "b"),
            "target": hits("a", "b", "c"),
            "recall_source": 0.667,
            "recall_target": 1.0,
        },
        {"namespace": "en", "query": "q2", "exact": hits("d"), "source": None, "target": hits("d"), "recall_source": None, "recall_target": 1.0},
    ],
    "truth": {"records": 300, "read_from": "target"},
    "seconds": 3.2,
    "finished": 1_700_000_000.0,
    "findings": [],
}


@dataclass(frozen=True)
class SearchOptions:
    samples: int = 200
    k: int = 10
    queries: Any = None
    filter: Any = None
    threshold: float = 0.95
    namespaces: Any = None


class Searches:
    def __init__(self):
        self.started = []

    def start(self, run, options):
        self.started.append((run, options))


@pytest.fixture
def searches(service, monkeypatch):
    verb = Searches()
    monkeypatch.setattr(service, "searches", verb, raising=False)
    monkeypatch.setattr(verbs, "SearchOptions", SearchOptions, raising=False)
    return verb


@pytest.fixture
def run(service):
    return copied(service, remembered("s"), "memory:things")


def table(app, column):
    return next(table.value for table in app.dataframe if column in table.value).to_dict("records")


def metrics(app):
    return {metric.label: metric.value.replace("\\", "") for metric in app.metric}


def measured(service, run, found):
    """Leave what a search found, as the service does."""
    (service.manager.folder(run) / "search.json").write_text(json.dumps(found))


def test_before_the_first_search(app, searches, run):
    goto(app, "verify")
    assert not app.exception
    assert metrics(app)["Recall"] == "—"
    assert "Not measured yet" in shown(app)


def test_both_recalls_and_how_alike_they_answer(app, searches, service, run):
    measured(service, run, FOUND)
    goto(app, "verify")
    assert not app.exception
    said = shown(app).replace("\\", "")
    assert metrics(app)["Recall@3 of the target"] == "1.000"
    assert "source 0.981, 200 queries" in said
    assert "**Finds what it should.** Of the exact 3 nearest the target finds 1.000 on average; 0.95 was asked for." in app.success[1].value.replace("\\", "")
    assert "Both sides give 98.1 % of their answers in common; the score of an answer differs by 1.2e-07 on average and 6e-07 at most" in said
    assert "computed over 300 records read from the target, by cosine" in said
    sides = table(app, "recall_mean")
    assert [(row["side"], row["recall_mean"], row["latency_p95"]) for row in sides] == [("source", 0.981, 1.9), ("target", 1.0, 7.2)]
    assert [row["namespace"] for row in table(app, "overlap")] == ["de", "en"]


def test_too_little_is_said_in_red(app, searches, service, run):
    measured(service, run, FOUND | {"verdict": "fail", "recall": FOUND["recall"] | {"target": {"mean": 0.71, "p05": 0.3, "min": 0.0}}})
    goto(app, "verify")
    assert "**Finds too little.** Of the exact 3 nearest the target finds 0.710 on average" in app.error[0].value.replace("\\", "")


def test_a_side_without_a_search_says_why(app, searches, service, run):
    reason = "parquet has no search of its own"
    gone = {"recall": {"source": None, "target": FOUND["recall"]["target"]}, "unsearchable": {"source": reason}}
    gone["findings"] = [{"severity": "info", "code": "source_unsearchable", "message": f"the source is not asked: {reason}", "fix": ""}]
    measured(service, run, FOUND | gone | {"overlap": None, "score_drift": None, "latency_ms": {"source": None, "target": {"p50": 1.0, "p95": 2.0}}})
    goto(app, "verify")
    assert not app.exception
    said = shown(app).replace("\\", "")
    assert said.count(reason) == 1
    assert [row["side"] for row in table(app, "side")] == ["target"]
    assert "the source cannot be searched, 200 queries" in said


def test_what_was_not_asked_is_said_once(app, searches, service, run):
    reason = "parquet has no search of its own"
    notice = {"severity": "info", "code": "source_unsearchable", "message": f"the source is not asked: {reason}", "fix": ""}
    other = {"severity": "info", "code": "namespaces_below", "message": "the target finds too little in 'de'", "fix": ""}
    measured(service, run, FOUND | {"recall": FOUND["recall"] | {"source": None}, "unsearchable": {"source": reason}, "findings": [notice, other]})
    goto(app, "verify")
    assert shown(app).replace("\\", "").count(reason) == 1
    assert app.info[-1].value.startswith("The target finds too little")


def test_a_search_of_before_the_proof_is_no_verdict_on_what_is_there_now(app, searches, service, run):
    measured(service, run, FOUND | {"proof_finished": 1.0})
    goto(app, "verify")
    assert len(app.success) == 1, "the proof's own"
    assert app.info[0].value.replace("\\", "").startswith("**Measured before the proof above.** Then: of the exact 3 nearest the target finds 1.000 on average")
    assert "before the last proof; source 0.981, 200 queries" in shown(app).replace("\\", "")


def test_a_target_without_a_search_has_no_verdict(app, searches, service, run):
    gone = {"recall": {"source": FOUND["recall"]["source"], "target": None}, "unsearchable": {"target": "its index is not loaded"}}
    measured(service, run, FOUND | gone)
    goto(app, "verify")
    assert not app.exception
    assert "its index is not loaded" in app.warning[-1].value
    assert metrics(app)["Recall@3 of the target"] == "—"


def test_answers_side_by_side_with_marks(app, searches, service, run):
    measured(service, run, FOUND)
    goto(app, "verify")
    assert table(app, "exact") == [
        {"rank": 1, "exact": "a · 0.9000", "source": "✓ a · 0.9000", "target": "✓ a · 0.9000"},
        {"rank": 2, "exact": "b · 0.8900", "source": "○ x · 0.8900", "target": "✓ b · 0.8900"},
        {"rank": 3, "exact": "c · 0.8800", "source": "✓ b · 0.8800", "target": "✓ c · 0.8800"},
    ]
    assert [row["query"] for row in table(app, "query")] == ["**q1**", "q2"]
    drawn = "\n".join(element.value for element in app.markdown)
    assert "**q1**" not in drawn  # a name is data
    assert "Recall: source 0.67, target 1.00." in shown(app).replace("\\", "")


def test_the_options_are_handed_on(app, searches, run, service):
    goto(app, "verify")
    within(app, "search").number_input(key="search_samples").set_value(50)
    app.number_input(key="search_k").set_value(5)
    app.number_input(key="search_threshold").set_value(0.9)
    app.text_input(key="search_filter").input('{"year": {"$gte": 1900}}')
    app.file_uploader(key="search_queries").set_value(("my queries.npy", b"\x93NUMPY", "application/octet-stream"))
    app.button(key="search_start").click().run()
    assert not app.exception
    ((started, options),) = searches.started
    assert started == run
    assert (options.samples, options.k, options.threshold, options.namespaces) == (50, 5, 0.9, None)
    assert options.filter == {"year": {"$gte": 1900}}
    assert options.queries.is_relative_to(service.uploads)
    assert options.queries.read_bytes() == b"\x93NUMPY"


def test_the_demo_has_questions_of_its_own(app, searches, service, target, tmp_path):
    goto(app, "verify")
    run = copied(service, index(service.home / "demo" / "source"), target)
    app.run()
    within(app, "search").toggle(key="search_demo").set_value(True)
    app.button(key="search_start").click().run()
    assert not app.exception
    assert [(name, options.queries) for name, options in searches.started] == [(run, build.QUESTIONS)]


def test_other_runs_are_not_asked_the_demo_s_questions(app, searches, run):
    goto(app, "verify")
    assert not within(app, "search").toggle


@pytest.mark.parametrize("text", rest_slow(["{", "[1]", '"a"']))
def test_a_filter_that_is_none_is_one_message(app, searches, run, text):
    goto(app, "verify")
    within(app, "search").text_input(key="search_filter").input(text)
    app.button(key="search_start").click().run()
    assert not app.exception
    assert "The filter is no JSON" in app.error[-1].value
    assert not searches.started


def test_some_namespaces_only(app, searches, service, target, tmp_path):
    copied(service, index(tmp_path / "s"), target, namespace_from="lang")
    goto(app, "verify")
    within(app, "search").multiselect(key="search_namespaces").set_value(["de"])
    app.button(key="search_start").click().run()
    assert searches.started[0][1].namespaces == ("de",)


def test_nothing_is_offered_twice_while_one_is_under_way(app, searches, service, run, monkeypatch):
    status = service.status
    monkeypatch.setattr(service, "status", lambda name: status(name) | {"status": "running", "phase": "searching"})
    goto(app, "verify")
    assert not app.exception
    assert "Asking both sides the same queries" in shown(app)
    assert "three quarters" not in "".join(str(bar.proto.text) for bar in app.get("progress"))
    assert "search" not in {button.key for button in app.button}
