"""How deep a proof looks: asked with its cost said before, and handed on as it was chosen."""

from dataclasses import dataclass, field

import pytest

from migrator import service as verbs
from migrator.errors import ConfigError
from tests.ui.conftest import amend, copied, goto, index, remembered, shown, within

COSTS = [
    {"level": "counts", "sentence": "asks both stores for the counts, and reads no record"},
    {"level": "ids", "sentence": "goes through 600 ids, in about 1 s"},
    {"level": "content", "sentence": "reads 600 records and takes about 1,200 read units, in about 3 s"},
]


@dataclass(frozen=True)
class Tolerance:
    components: float = 0.0
    normalised: bool = False
    float16: bool = False


@dataclass(frozen=True)
class Scope:
    level: str = "content"
    sample: str = ""
    tolerance: Tolerance = field(default_factory=Tolerance)


@pytest.fixture
def asked(service, monkeypatch):
    """Return the scopes the page asked for; the service's verbs note them and start nothing."""
    scopes = []
    monkeypatch.setattr(verbs, "Scope", Scope, raising=False)
    monkeypatch.setattr(verbs, "Tolerance", Tolerance, raising=False)
    monkeypatch.setattr(service, "scope_costs", lambda _run: COSTS, raising=False)
    monkeypatch.setattr(service, "start_verify", lambda run, scope: scopes.append((run, scope)))

    def pair(source, target, options, owner="", scope=None):
        scopes.append((source, scope))
        return service.runs()[0]["run"]

    monkeypatch.setattr(service, "start_verify_pair", pair)
    return scopes


@pytest.fixture
def run(app, service):
    known = copied(service, remembered("s"), "memory:things")
    goto(app, "verify")
    return known


def test_each_level_s_cost_is_said_before(app, asked, run):
    app.button(key="verify_again").click().run()
    assert not app.exception
    said = "\n".join(app.radio(key="again_level").proto.captions).replace("\\", "")
    assert "Reads 600 records and takes about 1,200 read units, in about 3 s." in said
    assert "No record is looked at. Asks both stores for the counts, and reads no record." in said
    assert not asked


def test_a_level_the_store_cannot_do_is_not_offered(app, asked, run, service, monkeypatch):
    monkeypatch.setattr(service, "scope_costs", lambda _run: COSTS[1:])
    app.button(key="verify_again").click().run()
    assert app.radio(key="again_level").options == ["Content", "Ids"]


def test_the_chosen_scope_is_proven(app, asked, run):
    within(app, "verify_again").text_input(key="again_sample").input("5%")
    app.button(key="again_start").click().run()
    assert asked == [(run, Scope(sample="5%"))]


def test_ids_alone_take_no_sample_and_no_tolerance(app, asked, run):
    within(app, "verify_again").radio(key="again_level").set_value("ids").run()
    within(app, "verify_again")
    assert "again_sample" not in {field.key for field in app.text_input}
    app.button(key="again_start").click().run()
    assert asked == [(run, Scope("ids"))]


def test_a_tolerance(app, asked, run):
    within(app, "verify_again").selectbox(key="again_form").set_value("normalised")
    app.text_input(key="again_most").input("1e-5")
    app.button(key="again_start").click().run()
    assert asked == [(run, Scope(tolerance=Tolerance(1e-5, normalised=True)))]


def test_a_tolerance_that_is_no_number_is_one_message(app, asked, run):
    within(app, "verify_again").text_input(key="again_most").input("a bit")
    app.button(key="again_start").click().run()
    assert not app.exception
    assert "is no number" in app.error[-1].value
    assert not asked


def test_what_the_service_refuses_is_one_message(app, asked, run, service, monkeypatch):
    def refuse(run, scope):
        raise ConfigError(f"{scope.sample} is no sample", fix="write 5% or 10000", code="bad_sample")

    monkeypatch.setattr(service, "start_verify", refuse)
    within(app, "verify_again").text_input(key="again_sample").input("many")
    app.button(key="again_start").click().run()
    assert not app.exception
    assert "Many is no sample" in app.error[-1].value.replace("\\", "")


def test_a_comparison_has_the_same_options(app, asked, run, target):
    app.text_input(key="compare_source").input("faiss:./a.index")
    app.text_input(key="compare_target").input(target)
    app.radio(key="compare_level").set_value("counts").run()
    app.button(key="compare_start").click().run()
    assert not app.exception
    assert asked == [("faiss:./a.index", Scope("counts"))]


def test_a_comparison_s_cost_is_asked_for(app, asked, run, service, monkeypatch, target):
    pairs = []
    monkeypatch.setattr(service, "scope_costs_pair", lambda *pair: pairs.append(pair) or COSTS[1:], raising=False)
    goto(app, "verify")
    assert app.button(key="compare_cost").disabled
    app.text_input(key="compare_source").input("faiss:./a.index")
    app.text_input(key="compare_target").input(target).run()
    assert not pairs
    app.button(key="compare_cost").click().run()
    assert not app.exception
    assert pairs[0][:2] == ("faiss:./a.index", target)
    assert app.radio(key="compare_level").options == ["Content", "Ids"]
    assert "Goes through 600 ids, in about 1 s." in "\n".join(app.radio(key="compare_level").proto.captions).replace("\\", "")
    app.text_input(key="compare_source").input("faiss:./b.index").run()  # the answer was about another pair
    assert app.radio(key="compare_level").options == ["Content", "Ids", "Counts"]


def test_a_cost_that_cannot_be_told_stands_in_nobody_s_way(app, asked, run, service, monkeypatch):
    def fail(_run):
        raise ConfigError("the store does not answer", fix="start it", code="unreachable")

    monkeypatch.setattr(service, "scope_costs", fail)
    app.button(key="verify_again").click().run()
    assert "The store does not answer" in app.error[-1].value
    within(app, "verify_again").button(key="again_start").click().run()
    assert asked == [(run, Scope())]


SAMPLED = {"level": "content", "sample": "1%", "compared": 3, "sentence": "a sample of 3 records (1%) was compared: ids, vectors bit by bit"}


def test_a_proof_of_a_part_is_never_called_proven(app, service):
    run = copied(service, remembered("s"), "memory:things")
    amend(service, run, scope=SAMPLED, tolerance=None)
    goto(app, "verify")
    assert app.success[0].value.replace("\\", "").startswith("**Nothing differs, as far as was looked.** A sample of 3 records (1%) was compared")
    assert "Proven." not in shown(app)
    assert "None, as far as was looked" in shown(app)


def test_counts_that_differ_name_no_record(app, service, target, tmp_path):
    run = copied(service, index(tmp_path / "s"), target)
    namespaces = {"": {"source": 300, "target": 297, "missing": 3, "extra": 0, "changed": 0}}
    scope = {"level": "counts", "sample": "", "compared": 300, "sentence": "counts were compared"}
    amend(service, run, verdict="differs", scope=scope, differences=[], differences_total=3, namespaces=namespaces)
    goto(app, "verify")
    assert "The counts of source and target differ by 3 records" in app.error[0].value.replace("\\", "")
    assert "Verify again, with the ids, to name them" in shown(app)
    assert "repair" not in {button.key for button in app.button}


@pytest.mark.parametrize("scope", [SAMPLED, {"level": "content", "sample": "", "compared": 300, "sentence": "vectors equal within 0.1 a component"}])
def test_what_differs_is_said_with_how_much_was_looked_at(app, service, differing, scope):
    amend(service, differing, scope=scope, tolerance=None if scope["sample"] else {"components": 0.1})
    goto(app, "verify")
    drawn = app.error[0].value.replace("\\", "")
    assert "4 records differ" in drawn
    assert scope["sentence"][1:] in drawn
