"""Verify: the verdict first, then everything behind it."""

import faiss
import numpy as np
import pytest

from migrator.service import PlanOptions
from tests.ui.conftest import RECORDS, amend, copied, goto, index, remembered, shown, within


def test_proven_in_words_and_figures(app, service, target, tmp_path):
    copied(service, index(tmp_path / "s"), target)
    goto(app, "verify")
    assert not app.exception
    assert "Proven." in app.success[0].value
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Records in target / source"].replace("\\", "") == f"{RECORDS} / {RECORDS}"
    assert metrics["Vectors equal"] == metrics["Metadata equal"] == r"100\.00 %"
    assert "Digests equal" in shown(app)
    assert "None: every record of the source is in the target" in shown(app)


def test_two_empty_sides_are_not_said_to_hold_every_record(app, service):
    run = copied(service, remembered("s"), "memory:things")
    amend(service, run, namespaces={"": {"source": 0, "target": 0, "missing": 0, "extra": 0, "changed": 0}})
    goto(app, "verify")
    assert app.success[0].value == "**Proven.** Both sides are empty: there is nothing that could differ."


def test_differences_are_listed_by_class(app, differing):
    goto(app, "verify")
    assert not app.exception
    assert "4 records differ" in app.error[0].value.replace("\\", "")
    table = next(table.value for table in app.dataframe if "class" in table.value)
    assert {row["id"]: (row["class"], row["fields"]) for row in table.to_dict("records")} == {
        "id-1": ("changed", "values"),
        "id-2": ("changed", "metadata.year"),
        "id-3": ("changed", "values"),
        "id-4": ("extra", "—"),
    }
    metrics = {metric.label: metric.value.replace("\\", "") for metric in app.metric}
    assert metrics["Vectors equal"] == "99.33 %"
    assert metrics["Metadata equal"] == "99.67 %"
    said = shown(app).replace("\\", "")
    assert "2 records with other values" in said
    assert "1 field in 1 record differs" in said
    assert "Digests not equal" in said


def test_chips_and_search_narrow_the_list(app, differing):
    goto(app, "verify")
    app.pills(key="difference_kinds").set_value(["extra"]).run()
    table = next(table.value for table in app.dataframe if "class" in table.value)
    assert list(table["id"]) == ["id-4"]
    assert "Only the target has this record" in shown(app)
    app.pills(key="difference_kinds").set_value(["changed", "extra"])
    app.text_input(key="difference_search").input("metadata").run()
    table = next(table.value for table in app.dataframe if "class" in table.value)
    assert list(table["id"]) == ["id-2"]
    fields = next(table.value for table in app.dataframe if "field" in table.value)
    assert fields[["field", "source", "target"]].to_dict("records")[0] == {"field": "year", "source": "1", "target": "1902"}


def test_one_record_down_to_its_components(app, differing):
    goto(app, "verify")
    app.text_input(key="difference_search").input("id-1").run()
    assert "largest component difference 1" in shown(app)
    app.text_input(key="difference_search").input("nothing like it").run()
    assert not app.exception
    assert "0 of 4 shown" in shown(app)


def test_verify_again_reads_both_sides(app, service, target, tmp_path):
    run = copied(service, index(tmp_path / "s"), target)
    copied(service, index(tmp_path / "t", change=[(9, "values")]), target, on_conflict="upsert")  # the target changes after the copy
    app.query_params["run"] = run
    goto(app, "verify")
    within(app, "verify_again").button(key="again_start").click().run()
    assert not app.exception
    assert service.wait(run, 60)["status"] == "differs"
    goto(app, "verify")
    assert "1 record differs" in app.error[0].value


def test_a_verification_that_cannot_finish_does_not_pass_for_the_proof_before_it(app, service, target, tmp_path):
    run = copied(service, index(tmp_path / "s"), target)
    goto(app, "verify")
    (tmp_path / "s" / "a.index").unlink()
    within(app, "verify_again").button(key="again_start").click().run()
    service.wait(run, 60)
    goto(app, "verify")
    assert not app.exception
    assert "What to do" in app.error[0].value
    assert "What was asked for last could not be finished" in shown(app)


def test_two_collections_nobody_copied(app, service, target, tmp_path):
    source = index(tmp_path / "s")
    copied(service, source, target)
    goto(app, "verify")
    app.text_input(key="compare_source").input(source)
    app.text_input(key="compare_target").input(target)
    app.button(key="compare_start").click().run()
    assert not app.exception
    run = service.runs()[0]
    assert run["kind"] == "verify"
    service.wait(run["run"], 60)
    app.run()
    assert "Both sides were read anew" in app.success[0].value


@pytest.mark.parametrize(("source", "message"), [("", "needs two endpoints"), ("nonsense", "is not an endpoint")])
def test_a_comparison_that_cannot_start_is_one_message(app, source, message, tmp_path):
    goto(app, "verify")
    app.text_input(key="compare_source").input(source)
    app.text_input(key="compare_target").input(f"milvus:things?uri={tmp_path}/a.db")
    app.button(key="compare_start").click().run()
    assert not app.exception
    assert len(app.error) == 1
    assert message in app.error[0].value.replace("\\", "")


def test_a_failed_run_has_no_proof_and_says_so(app, service, target, tmp_path):
    plan = service.plan(index(tmp_path / "s"), target)
    (tmp_path / "s" / "a.index").unlink()
    service.wait(service.start(plan), 60)
    goto(app, "verify")
    assert not app.exception
    assert "failed before it was proven" in shown(app)


def test_rejected_records_are_in_the_figures(app, service, target, tmp_path):
    copied(service, index(tmp_path / "s", change=[(row, "nan") for row in range(7)]), target)
    goto(app, "verify")
    assert "7 of 300 records were rejected" in app.warning[0].value
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Records in target / source"].replace("\\", "") == "293 / 300"
    said = shown(app).replace("\\", "")
    assert "None among the 293 copied; 7 were rejected." in said
    assert "every record of the source is in the target" not in said
    assert "Counts agree in the one namespace there is, without those left out (7 were rejected)." in said
    report = service.report(service.runs()[0]["run"]).read_text()
    assert "expected in the target" in report


def test_duplicates_held_back_are_in_the_figures(app, service, target, tmp_path):
    source = index(tmp_path / "s")
    ids = tmp_path / "s" / "ids.json"
    ids.write_text(ids.read_text().replace('"id-7"', '"id-8"'))
    copied(service, source, target, on_duplicate="first")
    goto(app, "verify")
    assert {metric.label: metric.value for metric in app.metric}["Records in target / source"].replace("\\", "") == "299 / 300"
    assert "None among the 299 copied; 1 duplicate was held back." in shown(app)


def test_counts_that_agree_are_a_sentence_and_no_chart(app, service, target, tmp_path):
    copied(service, index(tmp_path / "s"), target, namespace_from="lang")
    goto(app, "verify")
    assert "Counts agree in all 2 namespaces." in shown(app).replace("\\", "")
    assert "Counts per namespace" in shown(app)
    assert "Difference of the counts" not in shown(app)


def test_a_dry_run_has_nothing_to_prove_and_shows_no_other_run_s_proof(app, service, target, tmp_path):
    source = index(tmp_path / "s")
    copied(service, source, target)
    run = service.start(service.plan(source, f"milvus:others?uri={tmp_path}/a.db"), dry_run=True)
    service.wait(run, 60)
    goto(goto(app, "run"), "verify")
    assert not app.exception
    assert "A dry run writes nothing, so there is nothing to prove." in shown(app)
    assert not app.success
    assert app.selectbox(key="verify_run").value == run


def test_two_dimensions_are_said_first(app, service, tmp_path):
    ends = []
    for dimension in (8, 4):
        flat = faiss.IndexFlatL2(dimension)
        flat.add(np.ones((3, dimension), np.float32))
        faiss.write_index(flat, str(tmp_path / f"{dimension}.index"))
        ends.append(f"faiss:{tmp_path}/{dimension}.index")
    run = service.start_verify_pair(*ends, PlanOptions())
    service.wait(run, 60)
    goto(app, "verify")
    assert not app.exception
    assert "8 dimensions and the target's 4" in app.error[0].value.replace("\\", "")
    assert "3 records differ" in app.error[1].value
    assert [finding["code"] for finding in service.result(run)["findings"]] == ["dimension_differs"]


def test_no_record_on_both_sides(app, service, target, tmp_path):
    source = index(tmp_path / "s", records=5)
    copied(service, source, target)
    folder = tmp_path / "s"
    (folder / "ids.json").write_text((folder / "ids.json").read_text().replace("id-", "other-"))
    (folder / "metadata.jsonl").write_text("{}\n" * 5)
    service.wait(service.start_verify_pair(source, target, PlanOptions()), 60)
    goto(app, "verify")
    captions = "\n".join(caption.value for caption in app.caption)
    assert "no record is on both sides" in captions
    assert "values and metadata equal" not in captions
    app.text_input(key="difference_search").input("other-1").run()
    said = shown(app)
    assert "Only the source has this record" in said
    assert "**Target:** not there" in said
    assert "**Source:** 8 components, no metadata" in said
    assert not app.code


def test_ids_and_metadata_are_data(app, service, target, tmp_path):
    source = index(tmp_path / "s", records=5)
    copied(service, source, target)
    folder = tmp_path / "s"
    text = (folder / "ids.json").read_text().replace("id-1", "**x** [l](http://evil.example) :material/home: <b>")
    (folder / "ids.json").write_text(text)
    service.wait(service.start_verify_pair(source, target, PlanOptions()), 60)
    goto(app, "verify")
    app.text_input(key="difference_search").input("evil").run()
    drawn = "\n".join(element.value for element in app.markdown)
    assert "evil" in drawn
    assert "[l](" not in drawn
    assert "**x**" not in drawn
    assert ":material/home:" not in drawn
