"""Verify: the verdict first, then everything behind it."""

import pytest

from migrator.service import PlanOptions
from tests.ui.conftest import RECORDS, copied, goto, index, shown


@pytest.fixture
def target(tmp_path):
    return f"milvus:things?uri={tmp_path}/a.db"


@pytest.fixture
def differing(service, target, tmp_path):
    """Return a comparison of a collection with one that was altered in four places."""
    copied(service, index(tmp_path / "s"), target)
    other = index(tmp_path / "altered", change=[(1, "values"), (2, "metadata"), (3, "values"), (4, "missing")])
    run = service.start_verify_pair(other, target, PlanOptions())
    service.wait(run, 60)
    return run


def test_proven_in_words_and_figures(app, service, target, tmp_path):
    copied(service, index(tmp_path / "s"), target)
    goto(app, "verify")
    assert not app.exception
    assert "Proven." in app.success[0].value
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Records in target / source"].replace("\\", "") == f"{RECORDS} / {RECORDS}"
    assert metrics["Digests"] == "equal"
    assert "None: every record of the source is in the target" in shown(app)


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
    assert {metric.label: metric.value for metric in app.metric}["Changed records"] == "3"


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
    fields = next(table.value for table in app.dataframe if "source" in table.value)
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
    app.button(key="verify_again").click().run()
    assert not app.exception
    assert service.wait(run, 60)["status"] == "differs"
    goto(app, "verify")
    assert "1 record differs" in app.error[0].value


def test_a_verification_that_cannot_finish_does_not_pass_for_the_proof_before_it(app, service, target, tmp_path):
    run = copied(service, index(tmp_path / "s"), target)
    goto(app, "verify")
    (tmp_path / "s" / "a.index").unlink()
    app.button(key="verify_again").click().run()
    service.wait(run, 60)
    goto(app, "verify")
    assert not app.exception
    assert "What to do" in app.error[0].value
    assert "The last verification could not be finished" in shown(app)


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
