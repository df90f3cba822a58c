"""What a move costs: estimated from its plan, held against what the local service counts, and said by plan and dry run."""

from __future__ import annotations

import json

import pytest

from migrator.cli import main
from migrator.connectors import pinecone
from migrator.connectors.pinecone import prices
from migrator.endpoints import parse
from migrator.errors import ConfigError
from migrator.local_pinecone.engine import index, records
from migrator.model import Follow, Move
from migrator.service import PlanOptions
from tests.parameters import rest_slow
from tests.pinecone.conftest import rows

MILLION = 1_000_000


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("PINECONE_API_KEY", "key")


def bill(source="pinecone:a", target="pinecone:b", *, source_kind="serverless", target_kind="serverless", namespaces=None, record_bytes=3_500.0, **asked):
    sides = [parse(side) if side is not None else None for side in (source, target)]
    return pinecone.bill(Move(sides[0], source_kind, sides[1], target_kind, namespaces or {"": MILLION}, record_bytes, **asked))


def lines(*found, **asked):
    return {(charge.what, charge.when): charge.quantity for charge in bill(*found, **asked).charges}


def test_the_bill_of_a_million_records():
    assert lines() == {
        ("list the source's ids", "move"): 10_000,
        ("fetch from the source", "move"): 100_000,
        ("write to the target", "move"): 3_500_000,
        ("read the target back as proof", "move"): 110_000,
        ("egress", "move"): 7.0,
        ("keep the target", "month"): 3.5,
    }


def test_small_requests_cost_the_least_a_request_costs():
    found = lines(namespaces={"a": 1, "b": 101, "c": 0}, record_bytes=10)
    assert found["list the source's ids", "move"] == 1 + 2 + 1
    assert found["fetch from the source", "move"] == 1 + 11
    assert found["write to the target", "move"] == 2 * prices.LEAST_WRITE_UNITS


def test_only_pinecone_s_side_is_billed():
    assert {what for what, _ in lines(None)} == {"write to the target", "read the target back as proof", "egress", "keep the target"}
    assert {what for what, _ in lines(target=None)} == {"list the source's ids", "fetch from the source", "egress"}


def test_pods_are_billed_by_the_hour():
    assert bill(target=None, source_kind="pod p1.x1").charges == ()
    assert bill(None, "pinecone:b?environment=us-east1-gcp&pod_type=s1.x1", target_kind="").charges == ()
    found = bill(None, target_kind="pod s1.x1")
    assert found.charges == ()
    assert any("billed by the hour" in note for note in found.notes)


@pytest.mark.parametrize(
    "side", [{"target_kind": "serverless with dedicated read capacity"}, {"target": 'pinecone:b?read_capacity={"mode":"Dedicated"}', "target_kind": ""}]
)
def test_dedicated_read_capacity_is_billed_by_the_node(side):
    found = bill(source=None, **{"target": "pinecone:b", **side})
    assert [charge.what for charge in found.charges] == ["write to the target", "keep the target", "egress"]
    assert any("node and hour" in note for note in found.notes)


def test_what_is_not_known_is_said():
    found = bill(target=None, source_kind="BYOC")
    assert found.charges == ()
    assert "what Pinecone charges for BYOC is not known here" in found.notes


def test_a_bulk_import_takes_the_place_of_write_units():
    found = lines(None, staged=True)
    assert found["bulk import", "move"] == 3.5
    assert ("write to the target", "move") not in found


def test_looking_ids_up_reads_what_the_target_has():
    found = lines(None, looks_up=True, present=MILLION)
    assert (found["look up what the target has", "move"], found["egress", "move"]) == (100_000, 7.0)
    some = lines(None, looks_up=True, present=500_000)
    assert (some["look up what the target has", "move"], some["egress", "move"]) == (50_000, pytest.approx(5.25))
    none = lines(None, looks_up=True, present=0)
    assert (none["look up what the target has", "move"], none["egress", "move"]) == (1_000, 3.5)


def test_reading_batches_back_is_a_fetch_of_all():
    found = lines(None, reads_back=True)
    assert (found["read each batch back", "move"], found["egress", "move"]) == (100_000, 7.0)


def test_stamps_are_updates_of_the_source():
    assert lines(target=None, stamps=True)["mark the source's records", "move"] == 5 * MILLION
    assert lines(target=None, stamps=True, record_bytes=8_200)["mark the source's records", "move"] == 9 * MILLION


def test_a_pass_reads_everything_again():
    found = lines(follows="records")
    assert (found["list and fetch the source again", "pass"], found["egress", "pass"]) == (110_000, 3.5)


def test_a_pass_for_new_ids_lists_them_only():
    found = lines(follows="ids")
    assert found["list the source's ids again", "pass"] == 10_000
    assert [what for what, when in found if when == "pass"] == ["list the source's ids again"]


def test_another_region_may_cost_more():
    def notes(endpoint, kind=""):
        return [note for note in bill(None, endpoint, target_kind=kind).notes if "may cost more" in note]

    assert notes("pinecone:b?region=eu-west-1") == ["in aws eu-west-1 units may cost more, up to $18 a million read units and $4.50 a million write units"]
    assert notes("pinecone:b") == notes("pinecone:b?region=eu-west-1", "serverless") == []


@pytest.mark.parametrize(("option", "imaginary"), [("", False), ("controller=http://127.0.0.1:5080", True), ("host=https://b.svc.pinecone.io", False)])
def test_a_local_server_costs_nothing(monkeypatch, option, imaginary):
    monkeypatch.delenv("PINECONE_CONTROLLER_HOST", raising=False)
    assert bill(None, f"pinecone:b?{option}").imaginary is imaginary


def test_every_price_has_its_place():
    known = {figure.name: figure for figure in prices.PRICES.figures}
    used = bill(follows="records").charges + bill(staged=True).charges
    assert {name for charge in used for name in (charge.figure, charge.free) if name} == set(known)
    assert all(known[charge.free].kind == "free" for charge in used if charge.free)


# -- held against the local service


@pytest.fixture
def full(account):
    account.create("a", 64)
    account.fill("a", rows(3_000, dimension=64))
    account.fill("a", rows(500, dimension=64), "other")
    return account


@pytest.fixture
def used(monkeypatch):
    """Return what the local service counts: its read units, and the write units of its upserts' bytes."""
    counted = {"read units": 0, "write units": 0}
    reading, writing = records.Read.__init__, index.Index.upsert

    def read(self, value, read_units, *rest):
        counted["read units"] += read_units
        reading(self, value, read_units, *rest)

    def upsert(self, namespace, found, request_bytes):
        counted["write units"] += max(5, -(-request_bytes // 1_000))
        return writing(self, namespace, found, request_bytes)

    monkeypatch.setattr(records.Read, "__init__", read)
    monkeypatch.setattr(index.Index, "upsert", upsert)
    return counted


@pytest.mark.parametrize(("options", "there"), [({}, 0), ({"on_conflict": "skip"}, 0), ({"on_conflict": "skip"}, 2_000)])
def test_the_estimate_is_what_a_copy_uses(full, service, used, options, there):
    if there:
        full.create("b", 64)
        full.fill("b", rows(there, dimension=64))
    plan = service.plan("pinecone:a", "pinecone:b", PlanOptions(**options))
    used.update(dict.fromkeys(used, 0))
    assert service.wait(service.start(plan), 60)["status"] == "proven"
    for unit, share in (("read units", 0.15), ("write units", 0.15)):
        expected = sum(item["quantity"] for item in plan.estimate["cost"]["items"] if item["unit"] == unit)
        assert used[unit] == pytest.approx(expected, rel=share), unit


@pytest.mark.slow
@pytest.mark.parametrize("changes", rest_slow(["new", "all"]))
def test_the_estimate_is_what_a_pass_uses(full, service, used, changes):
    plan = service.plan("pinecone:a", "memory:b", PlanOptions(follow=Follow(interval=0.1, changes=changes)))
    (expected,) = (item["quantity"] for item in plan.estimate["cost"]["items"] if item["when"] == "pass" and item["unit"] == "read units")
    run = service.start(plan)
    begun = passes_made(service, run, 1)
    used.update(dict.fromkeys(used, 0))
    passes_made(service, run, begun + 8)
    service.finish_following(run)
    service.wait(run, 60)
    assert used["read units"] / (service.status(run)["follow"]["passes"] - begun) == pytest.approx(expected, rel=0.25)


def passes_made(service, run, least):
    """Wait until ``run`` has made so many passes after the first, and return how many it has made."""
    while (made := service.status(run)["follow"]["passes"]) < least:
        service.wait(run, 0.02)
    return made


def test_the_plan_says_what_the_move_costs(full, service):
    found = service.plan("pinecone:a", "pinecone:b").estimate["cost"]
    assert found["hypothetical"]
    assert found["prices"]["date"] == "2026-11-04"
    assert 0 < found["monthly"] < found["total_move"]
    assert service.plan("pinecone:a", "pinecone:b", PlanOptions(namespaces=("other",))).estimate["cost"]["total_move"] < found["total_move"] / 4
    assert json.loads(json.dumps(found)) == found


def test_a_filter_is_said_to_make_the_figures_upper_bounds(full, service):
    notes = service.plan("pinecone:a", "pinecone:b", PlanOptions(filter={"n": {"$lt": 5}})).estimate["cost"]["notes"]
    assert notes[0] == "the filter decides how much is written: these figures are of all records"


def test_a_user_s_own_prices(full, service):
    before = service.plan("pinecone:a", "pinecone:b").estimate["cost"]
    service.prices.write_text("pinecone.write_units: 8\npinecone.read_units: 32\n")
    plan = service.plan("pinecone:a", "pinecone:b")
    assert plan.estimate["cost"]["total_move"] == pytest.approx(2 * before["total_move"])
    assert service.look_again(plan).estimate["cost"]["total_move"] == plan.estimate["cost"]["total_move"]
    service.prices.write_text("pinecone.write_unit: 8\n")
    with pytest.raises(ConfigError, match=r"unknown key pinecone\.write_unit ?$") as caught:
        service.plan("pinecone:a", "pinecone:b")
    assert "pinecone.write_units" in caught.value.fix


def test_stores_that_charge_nothing_have_no_cost(full, service, tmp_path):
    run = service.start(service.plan("pinecone:a", f"parquet:{tmp_path}/out"))
    assert service.wait(run, 60)["status"] == "proven"
    assert service.plan(f"parquet:{tmp_path}/out", f"parquet:{tmp_path}/again").estimate["cost"] is None


def test_the_command_line_says_it_in_a_line_or_two(full, service, capsys, tmp_path):
    service.close()
    assert main(["plan", "pinecone:a", "pinecone:b", "--follow", "--interval", "60", "-o", str(tmp_path / "plan.yaml")]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cost: ")]
    assert len(said) == 2
    assert "to move" in said[0]
    assert "prices of 2026-11-04" in said[0]
    assert "a day at" in said[1]
    assert main(["copy", "pinecone:a", "pinecone:b", "--dry-run", "--json"]) == 0
    answer = capsys.readouterr()
    assert "cost: this local server costs nothing; in the cloud " in answer.err
    assert json.loads(answer.out)["estimate"]["cost"]["total_move"] > 0


# -- what a copy of a source that others write to may miss


def findings(service, source, target, **options):
    return {finding.code: finding for finding in service.plan(source, target, PlanOptions(**options)).findings}


@pytest.fixture
def pod(account):
    account.create("pod", 64, pod=True)
    account.fill("pod", rows(300, dimension=64))


def test_a_source_that_cannot_tell_whether_it_changes_is_said_to_be_one(full, pod, service):
    found = findings(service, "pinecone:pod", "pinecone:b")["source_unversioned"]
    assert found.severity == "info"
    assert "--follow" in found.fix
    assert "source_unversioned" not in findings(service, "pinecone:pod", "pinecone:b", follow=Follow())
    assert "source_unversioned" not in findings(service, "pinecone:a", "pinecone:b")
    assert "source_unversioned" in findings(service, "pinecone:a", "pinecone:b", stamp=True)


def test_where_following_is_not_possible_it_is_not_advised(pod, service, tmp_path):
    to_files = findings(service, "pinecone:pod", f"parquet:{tmp_path}/out")["source_unversioned"]
    staged = findings(service, "pinecone:pod", "pinecone:b", route="staged", staging=f"parquet:{tmp_path}/staged")["source_unversioned"]
    assert to_files.fix == staged.fix == "stop its writers until the copy is proven"
