"""Repair and rollback: what would happen is said, nothing happens unconfirmed, and what happened stays on the page."""

import pytest

from migrator.errors import ConfigError
from tests.parameters import rest_slow
from tests.ui.conftest import amend, copied, goto, index, remembered, shown, within

REPAIR = {"missing": 2, "changed": 13, "extra": 5, "duplicate": 0, "copies": 15, "deletes": 5, "refused": None}
ROLLBACK = {
    "action": "delete",
    "deletes": 290,
    "restores": 10,
    "sentence": "deletes 290 records that the run wrote, and puts back 10 that it overwrote",
    "confirm": "things",
    "refused": None,
}


class Verb:
    """A verb of the service with a preview; it notes what was started."""

    def __init__(self, preview):
        self.told = preview
        self.started = []

    def preview(self, _run):
        return self.told

    def start(self, run, confirm="", *, delete_extra=False):
        if self.told["refused"]:
            raise ConfigError(self.told["refused"], fix="", code="refused")
        self.started.append((run, confirm or delete_extra))


@pytest.fixture
def repairs(service, monkeypatch):
    verb = Verb(dict(REPAIR))
    monkeypatch.setattr(service, "repairs", verb, raising=False)
    return verb


@pytest.fixture
def rollbacks(service, monkeypatch):
    verb = Verb(dict(ROLLBACK))
    monkeypatch.setattr(service, "rollbacks", verb, raising=False)
    return verb


def buttons(app):
    return {button.key: button for button in app.button}


def test_a_repair_says_what_it_would_do(app, repairs, differing):
    goto(app, "verify")
    app.button(key="repair").click().run()
    assert not app.exception
    said = shown(app).replace("\\", "")
    assert "The last proof found 2 missing, 13 changed, 5 extra." in said
    assert "**15 records** will be copied from the source again" in said
    assert buttons(app)["repair_start"].label == "Repair: copy 15"
    assert not repairs.started


def test_a_repair_deletes_nothing_unasked(app, repairs, differing):
    goto(app, "verify")
    within(app, "repair").button(key="repair_start").click().run()
    assert not app.exception
    assert repairs.started == [(differing, False)]


def test_what_only_the_target_has_is_deleted_when_that_is_asked_for(app, repairs, differing):
    goto(app, "verify")
    within(app, "repair").toggle(key="repair_delete").set_value(True).run()
    within(app, "repair")
    assert "5 records will be deleted from the target for good" in shown(app)
    assert buttons(app)["repair_start"].label == "Repair: copy 15 and delete 5"
    app.button(key="repair_start").click().run()
    assert repairs.started == [(differing, True)]


def test_only_extra_records_leave_nothing_to_copy(app, repairs, differing):
    repairs.told |= {"missing": 0, "changed": 0, "copies": 0}
    goto(app, "verify")
    app.button(key="repair").click().run()
    assert buttons(app)["repair_start"].disabled


def test_a_refusal_is_said_and_nothing_can_be_pressed(app, repairs, differing):
    repairs.told["refused"] = "files of parquet are written once and whole"
    goto(app, "verify")
    app.button(key="repair").click().run()
    assert "files of parquet are written once" in app.warning[-1].value
    assert "repair_start" not in buttons(app)


def test_a_proven_run_has_nothing_to_repair(app, repairs, service):
    copied(service, remembered("s"), "memory:things")
    goto(app, "verify")
    assert "repair" not in buttons(app)


@pytest.fixture
def run(service):
    return copied(service, remembered("s"), "memory:things")


def test_a_rollback_waits_for_the_target_s_name(app, rollbacks, run):
    goto(app, "verify")
    app.button(key="rollback").click().run()
    assert not app.exception
    said = shown(app).replace("\\", "")
    assert f"A rollback {ROLLBACK['sentence']}." in said
    assert app.text_input(key="rollback_confirm").label == "Type the target's name to confirm: things"
    assert buttons(app)["rollback_start"].disabled
    within(app, "rollback").text_input(key="rollback_confirm").input("thing").run()
    within(app, "rollback")
    assert buttons(app)["rollback_start"].disabled
    app.text_input(key="rollback_confirm").input("things").run()
    within(app, "rollback")
    assert not buttons(app)["rollback_start"].disabled
    app.button(key="rollback_start").click().run()
    assert rollbacks.started == [(run, "things")]


@pytest.mark.parametrize(("action", "warned"), rest_slow([("drop", True), ("files", True), ("delete", False)]))
def test_what_will_be_gone_for_good_is_warned_of(app, rollbacks, run, action, warned):
    rollbacks.told["action"] = action
    goto(app, "verify")
    app.button(key="rollback").click().run()
    assert any("will be gone for good" in warning.value for warning in app.warning) is warned


def test_a_rollback_that_is_refused(app, rollbacks, run):
    rollbacks.told["refused"] = "the records it overwrote were not kept"
    goto(app, "verify")
    app.button(key="rollback").click().run()
    assert "were not kept" in app.warning[-1].value
    assert "rollback_start" not in buttons(app)


def test_a_run_that_wrote_nothing_has_nothing_to_press(app, rollbacks, run):
    rollbacks.told |= {"action": "nothing", "sentence": "The run wrote nothing."}
    goto(app, "verify")
    app.button(key="rollback").click().run()
    assert "rollback_start" not in buttons(app)


def test_a_comparison_wrote_nothing_that_could_be_taken_back(app, rollbacks, differing):
    goto(app, "verify")
    assert "rollback" not in buttons(app)


def test_what_was_mended_stays_on_the_page(app, service, run):
    amend(service, run, repairs=[{"finished": 1_700_000_000.0, "copied": 15, "deleted": 5}])
    goto(app, "verify")
    assert not app.exception
    assert "Repaired 14 Nov 2023, 22:13 UTC: 15 records copied again, 5 deleted." in shown(app).replace("\\", "")


AS_BEFORE = {"verdict": "as_before", "checked": 300, "still_there": 0, "not_restored": 0, "lost": 0, "left": 0, "listed": []}


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        (AS_BEFORE, "The target is as it was before, 300 looked at."),
        (AS_BEFORE | {"verdict": "differs", "lost": 2, "left": 1}, "The target is not as it was: 2 were overwritten and not kept, 1 were changed by others"),
    ],
)
def test_a_copy_that_was_taken_back_is_not_called_proven(app, rollbacks, service, run, monkeypatch, proof, said):
    status = service.status
    back = {"finished": 1_700_000_100.0, "deleted": 290, "restored": 10, "dropped": False, "proof": proof}
    monkeypatch.setattr(service, "status", lambda name: status(name) | {"status": "cancelled", "rolled_back": back})
    goto(app, "verify")
    assert not app.exception
    drawn = (app.error if proof["lost"] else app.success)[0].value.replace("\\", "")
    assert drawn.startswith("**Rolled back** 14 Nov 2023, 22:15 UTC: 290 records or files deleted, 10 put back.")
    assert said in drawn
    assert "Proven." not in shown(app)
    assert not {"rollback", "verify_again", "map_draw"} & {button.key for button in app.button}


def test_the_run_page_says_that_a_copy_was_taken_back(app, rollbacks, service, run, monkeypatch):
    status = service.status
    back = {"finished": 1_700_000_100.0, "deleted": 290, "restored": 10, "dropped": False, "proof": AS_BEFORE}
    monkeypatch.setattr(service, "status", lambda name: status(name) | {"status": "cancelled", "rolled_back": back})
    goto(app, "run")
    assert not app.exception
    said = shown(app)
    assert "The target is as it was before" in said
    assert "What was written stays" not in said
    assert "control_resume" not in buttons(app)


@pytest.mark.parametrize("page", ["verify", "run"])
def test_a_rollback_that_was_killed_leaves_nothing_that_passes_for_proven(app, rollbacks, service, run, monkeypatch, page):
    status = service.status
    monkeypatch.setattr(service, "status", lambda name: status(name) | {"status": "interrupted", "rollback": {"done": 0, "counts": {}}})
    goto(app, page)
    assert not app.exception
    assert "Rolled back midway." in app.warning[0].value
    assert "Proven." not in shown(app)
    assert not {"control_resume", "control_cancel", "verify_again", "repair"} & {*buttons(app)}
    assert page == "run" or "rollback" in buttons(app)


@pytest.mark.parametrize(
    ("repair", "said"), [({"done": 0}, "A repair of this run was begun and stopped"), (None, "What was asked for last was begun and stopped")]
)
def test_what_was_killed_since_the_proof_is_said_before_it(app, service, run, monkeypatch, repair, said):
    status = service.status
    monkeypatch.setattr(service, "status", lambda name: status(name) | {"status": "interrupted", "repair": repair})
    goto(app, "verify")
    assert not app.exception
    assert said in app.warning[0].value
    assert "Below is the proof before it." in app.warning[0].value


def test_a_run_that_failed_before_its_proof_can_be_taken_back(app, rollbacks, service, target, tmp_path):
    plan = service.plan(index(tmp_path / "s"), target)
    (tmp_path / "s" / "a.index").unlink()
    run = service.start(plan)
    service.wait(run, 60)
    goto(app, "verify")
    within(app, "rollback").text_input(key="rollback_confirm").input("things").run()
    within(app, "rollback").button(key="rollback_start").click().run()
    assert not app.exception
    assert rollbacks.started == [(run, "things")]
