"""From use to dollars: sums, allowances, passes, a user's own prices, and the sentences."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import costs
from migrator.errors import ConfigError
from migrator.model import Bill, Charge, Figure, Follow, PriceList

READS = Figure("shop.reads", 16.0, "million reads", 1_000_000)
OUT = Figure("shop.out", 0.1, "GB out")
FREE = Figure("shop.free_out", 100.0, "GB out a month", kind="free")
KEPT = Figure("shop.kept", 0.5, "GB kept a month", confirmed=False)
LIST = PriceList("2026-01-31", "the Shop's own plan", (READS, OUT, FREE, KEPT))


def reads(quantity, when="move"):
    return Charge("read", when, quantity, "reads", READS.name)


def out(quantity, when="move"):
    return Charge("out", when, quantity, "GB", OUT.name, FREE.name)


def cost(*charges, own=(), follow=None, seconds=0.0, **bill):
    return costs.cost([(LIST, Bill(charges, **bill))], dict(own), follow, seconds)


def test_dollars_are_quantity_times_price():
    found = cost(reads(500_000), Charge("keep", "month", 4, "GB", KEPT.name))
    assert (found["total_move"], found["monthly"], found["follow"]) == (8.0, 2.0, None)
    assert [(item["what"], item["quantity"], item["unit"], item["price"], item["price_per"], item["dollars"]) for item in found["items"]] == [
        ("read", 500_000, "reads", 16.0, 1_000_000, 8.0),
        ("keep", 4, "GB", 0.5, 1.0, 2.0),
    ]
    assert (found["prices"]["date"], found["prices"]["basis"]) == ("2026-01-31", "the Shop's own plan")


def test_nothing_kept_has_no_price_a_month():
    assert cost(reads(1))["monthly"] is None


def test_what_is_free_costs_nothing():
    assert cost(out(100))["total_move"] == 0
    assert cost(out(130))["total_move"] == pytest.approx(3.0)


def test_following_costs_each_day_what_its_passes_do():
    follow = cost(reads(250_000, "pass"), follow=Follow(interval=60), seconds=40)["follow"]
    assert (follow["pass"], follow["passes_a_day"], follow["day"]) == (4.0, 864, 4.0 * 864)
    assert cost(reads(1, "pass"), follow=Follow(interval=0))["follow"]["passes_a_day"] == 86_400
    assert cost(reads(1), follow=Follow())["follow"] is None


def test_what_is_free_a_month_is_shared_by_the_passes_of_one():
    a_day = cost(out(10, "pass"), follow=Follow(interval=86_400 / 10))["follow"]["day"]
    assert a_day * 30 == pytest.approx((10 * 10 * 30 - 100) * 0.1)


@given(
    st.lists(st.builds(lambda kind, when, quantity: kind(quantity, when), st.sampled_from([reads, out]), st.sampled_from(["move", "pass"]), st.floats(0, 1e9))),
    st.dictionaries(st.sampled_from([READS.name, OUT.name, FREE.name]), st.floats(0, 1e4)),
    st.none() | st.builds(Follow, st.floats(0, 1e5)),
)
def test_sums_hold_and_prices_changed_later_give_the_same(charges, own, follow):
    at_once, later = cost(*charges, own=own, follow=follow), costs.repriced(cost(*charges, follow=follow), own)
    assert at_once == later
    assert json.loads(json.dumps(at_once, allow_nan=False)) == at_once
    assert all(item["dollars"] >= 0 for item in at_once["items"])
    assert at_once["total_move"] == math.fsum(item["dollars"] for item in at_once["items"] if item["when"] == "move")
    assert len(at_once["items"]) == len(charges)


def test_sentences():
    keep = Charge("keep", "month", 4, "GB", KEPT.name)
    (move,) = costs.sentences(cost(reads(500_000), out(130), keep))
    assert move == "about $11.00 to move (read $8.00, out $3.00), $2.00 a month to keep; prices of 2026-01-31 (the Shop's own plan; not confirmed: shop.kept)"
    _, follow = costs.sentences(cost(reads(1), reads(250_000, "pass"), follow=Follow(interval=60), seconds=40))
    assert follow == "about $4.00 a pass while following, $3,456 a day at 864 passes"
    assert costs.sentences(cost(reads(1), imaginary=True))[0].startswith("this local server costs nothing; in the cloud under $0.01 to move; ")


def test_own_prices_are_named_and_those_not_confirmed_only_where_they_count():
    assert costs.basis(cost(reads(1))) == "prices of 2026-01-31 (the Shop's own plan)"
    keep = Charge("keep", "month", 4, "GB", KEPT.name)
    assert costs.basis(cost(keep, own={KEPT.name: 1.0})) == "prices of 2026-01-31 (the Shop's own plan; your own: shop.kept)"


@pytest.mark.parametrize(
    ("dollars", "text"), [(0, "$0.00"), (0.004, "under $0.01"), (0.01, "$0.01"), (0.425, "$0.42"), (999.99, "$999.99"), (1234.5, "$1,234")]
)
def test_money(dollars, text):
    assert costs.money(dollars) == text


def own(path, text, others=frozenset()):
    (path / "prices.yaml").write_text(text)
    return costs.own_prices(path / "prices.yaml", [LIST], others)


def test_a_prices_file(tmp_path):
    assert costs.own_prices(tmp_path / "prices.yaml", [LIST]) == {}
    assert own(tmp_path, "") == {}
    assert own(tmp_path, "shop.reads: 18\nshop.out: 0.2\n") == {"shop.reads": 18.0, "shop.out": 0.2}
    assert own(tmp_path, '{"shop.reads": 18}') == {"shop.reads": 18.0}


def test_figures_of_stores_that_a_plan_does_not_touch_are_left_to_others(tmp_path):
    assert own(tmp_path, "kiosk.reads: 18", {"kiosk"}) == {}
    with pytest.raises(ConfigError, match=r"kiosk\.reads"):
        own(tmp_path, "kiosk.reads: 18", {"market"})


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("shop.raeds: 18", "unknown key shop.raeds", "did you mean shop.reads?"),
        ("zzz: 18", "unknown key zzz", "use: shop.free_out, shop.kept, shop.out, shop.reads"),
        ("1: 18", "unknown key 1", "use: "),
        ("shop.reads: much", "'much' is no price", "0 or more"),
        ("shop.reads: -1", "-1 is no price", "0 or more"),
        ("shop.reads: true", "True is no price", "0 or more"),
        ("shop.reads: .nan", "nan is no price", "0 or more"),
        (f"shop.reads: {'9' * 400}", "9 is no price", "0 or more"),
        ("[" * 5_000, "cannot be read", "correct it"),
        ("shop.reads: .inf", "inf is no price", "0 or more"),
        ("- 1", "no mapping", "write lines like"),
        ("a: [", "cannot be read", "correct it"),
    ],
)
def test_a_bad_prices_file_is_refused_with_its_cure(tmp_path, text, message, fix):
    with pytest.raises(ConfigError) as caught:
        own(tmp_path, text)
    assert message in caught.value.message
    assert fix in caught.value.fix
    assert caught.value.code == "bad_prices"
