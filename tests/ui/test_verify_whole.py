"""The Verify page with everything real behind it: measured, repaired and rolled back by its own buttons."""

import pytest

from tests.ui.conftest import copied, goto, index, shown, within


def test_a_search_is_measured(app, service, target, tmp_path):
    run = copied(service, index(tmp_path / "s"), target)
    goto(app, "verify")
    within(app, "search").number_input(key="search_samples").set_value(20)
    app.number_input(key="search_k").set_value(5)
    app.button(key="search_start").click().run()
    assert not app.exception
    assert service.wait(run, 60)["error"] is None
    goto(app, "verify")
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Recall@5 of the target"].replace("\\", "") == "1.000"
    assert "**Finds what it should.**" in app.success[-1].value
    assert any("exact" in table.value for table in app.dataframe)


def test_what_differs_is_repaired(app, service, differing):
    goto(app, "verify")
    within(app, "repair").toggle(key="repair_delete").set_value(True).run()
    within(app, "repair").button(key="repair_start").click().run()
    assert not app.exception
    assert service.wait(differing, 60)["status"] == "proven"
    goto(app, "verify")
    assert not app.exception
    assert "3 records copied again, 1 deleted" in shown(app).replace("\\", "")
    assert "Proven." in app.success[0].value


@pytest.mark.slow
def test_a_copy_is_taken_back(app, service, target, tmp_path):
    run = copied(service, index(tmp_path / "s"), target)
    goto(app, "verify")
    confirm = service.rollbacks.preview(run)["confirm"]
    within(app, "rollback").text_input(key="rollback_confirm").input(confirm).run()
    within(app, "rollback").button(key="rollback_start").click().run()
    assert not app.exception
    service.wait(run, 60)
    goto(app, "verify")
    assert not app.exception
    assert "The target is as it was before" in app.success[0].value
    assert "Proven." not in shown(app)
    assert "rollback" not in {button.key for button in app.button}
