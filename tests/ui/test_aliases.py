"""The alias on the Run page: where it leads now, moved with the cut-over, and pointed back."""

import time

import pytest
from pymilvus import MilvusClient

from tests.ui.conftest import copied, goto, index, shown


def until(done):
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def run(service, tmp_path):
    """Two collections in one file: ``old``, which the alias ``live`` leads to, and its copy ``new``."""
    copied(service, index(tmp_path / "s"), f"milvus:old?uri={tmp_path}/a.db")
    found = copied(service, f"milvus:old?uri={tmp_path}/a.db", f"milvus:new?uri={tmp_path}/a.db")
    client = MilvusClient(str(tmp_path / "a.db"))
    client.create_alias("old", "live")
    client.close()
    return found


def text(app):
    return shown(app).replace("\\", "")


def cut_over(app, service, run, alias):
    goto(app, "run")
    app.text_input(key="cutover_alias").set_value(alias).run()
    said = text(app)
    app.button(key="cutover_start").click().run()
    until(lambda: service.status(run)["aliases"].get(alias, {}).get("back") is False)
    until(lambda: service.result(run).get("cutover", {}).get("alias"))
    app.run()
    assert not app.exception
    return said


def test_an_alias_is_moved_and_pointed_back(app, service, run):
    assert "**live** leads to **old** now. It will lead to **new**." in cut_over(app, service, run, "live")
    assert "pointed the alias live at new; before, it led to old" in text(app)
    assert "The alias **live** leads to **new**. Before, it led to **old**." in text(app)
    assert any("MILVUS_COLLECTION=live" in code.value for code in app.code)
    app.text_input(key="cutover_alias").set_value("live").run()
    assert "**live** leads to **new** already" in text(app)
    app.button(key="alias_back_live").click().run()
    assert not app.exception
    assert service.aliases.leads_to(run, "live") == "old"
    assert "pointed the alias live back at old" in text(app)
    assert not [button for button in app.button if button.key == "alias_back_live"]
    assert "**live** leads to **old** now" in text(app)


@pytest.mark.slow
def test_a_new_alias_is_made_and_removed(app, service, run):
    assert "There is no alias **fresh** yet" in cut_over(app, service, run, "fresh")
    app.button(key="alias_back_fresh").click().run()
    assert not app.exception
    assert service.aliases.leads_to(run, "fresh") is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "said"), [("old", "is a collection of Milvus"), ("a-b", "is no name Milvus accepts")])
def test_what_can_be_no_alias_is_said_at_once(app, run, name, said):
    goto(app, "run")
    app.text_input(key="cutover_alias").set_value(name).run()
    assert said in app.error[0].value.replace("\\", "")
    assert app.button(key="cutover_start").disabled


@pytest.mark.slow
def test_an_alias_moved_by_somebody_else_is_not_pointed_back(app, service, run, tmp_path):
    cut_over(app, service, run, "live")
    client = MilvusClient(str(tmp_path / "a.db"))
    client.drop_alias("live")
    client.close()
    app.button(key="alias_back_live").click().run()
    assert "somebody else moved it since" in app.error[0].value.replace("\\", "")


def test_other_stores_are_asked_for_no_alias(app, service, tmp_path):
    copied(service, index(tmp_path / "s"), f"parquet:{tmp_path}/out")
    goto(app, "run")
    assert "cutover_alias" not in [field.key for field in app.text_input]
