"""The embedding map on the Verify page: drawn when asked for, its cost said before, and kept."""

from tests.ui.conftest import copied, goto, index, shown


def test_the_cost_is_said_before_anything_is_read(app, service, target, tmp_path):
    run = copied(service, index(tmp_path / "s"), target)
    goto(app, "verify")
    assert not app.exception
    assert "Reads 500 records of the source, in up to 24 places" in shown(app).replace("\\", "")
    assert service.maps.known(run) is None
    assert not app.get("plotly_chart")


def test_a_map_is_drawn_once_and_kept(app, service, target, tmp_path):
    run = copied(service, index(tmp_path / "s"), target)
    goto(app, "verify")
    app.button(key="map_draw").click().run()
    assert not app.exception
    assert "Embedding map · PCA of 300 sampled vectors" in shown(app)
    assert len(service.maps.known(run)["ids"]) == 300
    goto(goto(app, "run"), "verify")
    assert "map_draw" not in {button.key for button in app.button}


def test_a_target_that_is_gone_is_one_message(app, service, target, tmp_path):
    copied(service, index(tmp_path / "s"), target)
    goto(app, "verify")
    (tmp_path / "s" / "a.index").unlink()
    app.button(key="map_draw").click().run()
    assert not app.exception
    assert "What to do" in app.error[0].value
