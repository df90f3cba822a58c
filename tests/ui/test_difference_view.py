"""The explorer: what was measured of each difference, one record down to its parts, and its files, harmless in a spreadsheet."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from migrator.connectors import memory
from migrator.service import PlanOptions
from tests.ui.conftest import amend, copied, goto, remembered, shown
from tests.unit.batches import batch_of
from ui import difference_export, downloads, verify_cards


def listed(app):
    return next(table.value for table in app.dataframe if "class" in table.value)


def test_what_was_measured_is_in_the_list(app, service, differing):
    found = service.result(differing)["differences"]
    amend(service, differing, differences=[row | ({"largest_delta": 1.0, "cosine": 0.93} if "values" in row["fields"] else {}) for row in found])
    goto(app, "verify")
    assert not app.exception
    rows = {row["id"]: row for row in listed(app).to_dict("records")}
    assert (rows["id-1"]["largest_delta"], rows["id-1"]["cosine"]) == (1.0, 0.93)
    assert np.isnan(rows["id-2"]["cosine"])


def test_a_list_of_an_older_proof_has_no_empty_columns(app, service, differing):
    found = service.result(differing)["differences"]
    amend(service, differing, differences=[{name: row[name] for name in ("namespace", "id", "class", "fields")} for row in found])
    goto(app, "verify")
    assert list(listed(app).columns) == ["namespace", "id", "class", "fields"]


def test_one_component_with_both_values_and_the_cosine(app, differing):
    goto(app, "verify")
    app.text_input(key="difference_search").input("id-1").run()
    said = shown(app)
    assert re.search(r"largest component difference 1 at component 0: \S+ → \S+, cosine 0\.\d{6}", said)


def test_both_files_are_offered(app, service, differing):
    goto(app, "verify")
    app.pills(key="difference_kinds").set_value(["extra"]).run()
    links = {button.proto.label: button.proto.url for button in app.get("link_button")}
    assert {"Export the 1 shown (CSV)", "All differences (JSON lines)"} <= set(links)
    key = downloads._signer.loads(links["Export the 1 shown (CSV)"].rpartition("/")[2])[0]
    assert key.startswith("text:")
    path, name = downloads._signer.loads(links["All differences (JSON lines)"].rpartition("/")[2])
    assert name == f"differences-{differing}.jsonl"
    assert len(Path(path).read_text().splitlines()) == 4


def test_a_proven_run_offers_no_file(app, service):
    run = copied(service, remembered("s"), "memory:things")
    goto(app, "verify")
    assert service.differences_file(run) is None
    assert "All differences" not in " ".join(button.proto.label for button in app.get("link_button"))


@pytest.mark.parametrize("id_", ['=HYPERLINK("http://evil.example")', "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_id_runs_as_a_formula(id_):
    text = difference_export.as_csv([{"namespace": id_, "id": id_, "class": "changed", "fields": [id_], "largest_delta": -0.5}])
    head, row = csv.reader(io.StringIO(text, newline=""))
    assert head == list(difference_export.COLUMNS)
    assert row == [f"'{id_}", f"'{id_}", "changed", f"'{id_}", "-0.5", ""]  # numbers stay numbers


def test_ordinary_ids_stay_as_they_are():
    text = difference_export.as_csv([{"namespace": "", "id": 'ä,"b"', "class": "missing", "fields": []}])
    assert list(csv.reader(io.StringIO(text)))[1] == ["", 'ä,"b"', "missing", "", "", ""]


@pytest.fixture
def sparse(service, monkeypatch):
    """Return a comparison of two collections in memory that differ in a sparse weight, and in how a number is written."""
    monkeypatch.setattr(memory, "COLLECTIONS", dict(memory.COLLECTIONS))
    for name, weights, number in (("ours", [0.5, 0.25], 1), ("theirs", [0.5, 0.75], 1.0)):
        table = memory.COLLECTIONS[name] = memory.Table(3)
        record = {
            "id": "a",
            "values": [1.0, 0.0, 0.0],
            "sparse_values": {"indices": [3, 70_000], "values": weights},
            "metadata": {"n": number, "list": [number]},
        }
        table.append(batch_of([record, {"id": "b", "values": [1.0, 2.0, 3.0]}] if name == "ours" else [record]))
    run = service.start_verify_pair("memory:ours", "memory:theirs", PlanOptions())
    service.wait(run, 60)
    return run


def test_sparse_weights_side_by_side(app, sparse):
    goto(app, "verify")
    app.text_input(key="difference_search").input("sparse").run()
    assert not app.exception
    said = shown(app)
    assert "The vectors are equal, component by component." in said
    assert "1 of 2 sparse weights differs" in said
    rows = next(table.value for table in app.dataframe if "index" in table.value).to_dict("records")
    assert rows == [
        {"": "≠", "index": "70000", "source": "0.25", "target": "0.75"},
        {"": "=", "index": "3", "source": "0.5", "target": "0.5"},
    ]
    fields = next(table.value for table in app.dataframe if "field" in table.value).to_dict("records")
    assert [row[""] for row in fields] == ["=", "="]  # 1 and 1.0 are one number


def test_a_missing_record_shows_its_one_side(app, sparse):
    goto(app, "verify")
    app.pills(key="difference_kinds").set_value(["missing"]).run()
    said = shown(app)
    assert "Only the source has this record." in said
    assert "**Source:** 3 components, no metadata" in said
    assert any(json.loads(chart.proto.spec)["data"][0]["y"] for chart in app.get("plotly_chart"))


RESULT = {
    "kind": "verify",
    "verdict": "differs",
    "counts": {"rejected": 0},
    "namespaces": {"": {"source": 10_000, "target": 10_000, "missing": 0, "extra": 0, "changed": 3_000}},
    "differences": [{"namespace": "", "id": str(n), "class": "changed", "fields": ["values"]} for n in range(1_000)],
    "differences_total": 3_000,
    "digests": {"source": "a", "target": "b"},
}


def drawn(monkeypatch, result):
    """Return the cards of ``result``: label -> (value, caption)."""
    cards = {}
    monkeypatch.setattr(verify_cards.kit, "card", lambda label, value, caption="", **_: cards.__setitem__(label, (value, caption)))
    verify_cards.draw(result)
    return cards


def test_what_is_not_listed_may_differ_in_everything(monkeypatch):
    cards = drawn(monkeypatch, RESULT)
    assert cards["Vectors equal"] == ("≥ 70.00 %", "at least; 1,000 records with other values")
    assert cards["Metadata equal"] == ("≥ 80.00 %", "at least; none among the 1,000 listed")


@pytest.mark.parametrize(("level", "said"), [("ids", "only ids were compared"), ("counts", "only counts were compared")])
def test_what_was_not_looked_at_is_not_called_equal(monkeypatch, level, said):
    cards = drawn(
        monkeypatch, RESULT | {"differences": [], "differences_total": 0, "scope": {"level": level, "sample": "", "compared": 10_000, "sentence": ""}}
    )
    assert cards["Vectors equal"] == cards["Metadata equal"] == ("—", said)


def test_of_a_sample_the_shares_are_of_what_was_compared(monkeypatch):
    scope = {"level": "content", "sample": "1%", "compared": 100, "sentence": ""}
    namespaces = {"": {"source": 10_000, "target": 10_000, "missing": 0, "extra": 0, "changed": 1}}
    one = {"differences": RESULT["differences"][:1], "differences_total": 1, "namespaces": namespaces, "scope": scope}
    assert drawn(monkeypatch, RESULT | one)["Vectors equal"] == ("99.00 %", "1 record with other values")
