"""host=: an address that is not the index's own is refused, before anything is read, written or made."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from migrator import endpoints
from migrator.connectors import opened_source, opened_target
from migrator.connectors.pinecone.connection import host_of
from migrator.connectors.pinecone.control import Control
from migrator.connectors.pinecone.options import read_options
from migrator.errors import ConfigError
from migrator.model import Plan
from tests.pinecone.conftest import rows

OWN = "https://products-x1y2z3.svc.aped-4627-b74a.pinecone.io"


@pytest.fixture
def two(account):
    """Return the hosts of two indexes of a project."""
    for name in ("a", "other"):
        account.create(name)
        account.fill(name, rows(5))
    return tuple(account.client.indexes.describe(name).host for name in ("a", "other"))


def refused(action) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        action()
    return caught.value


@pytest.mark.parametrize(("source", "target"), [("a?host={}", "new"), ("a", "other?host={}")])
def test_a_plan_over_a_host_of_another_index_is_refused_and_both_hosts_are_named(service, two, source, target):
    wrong = two[1] if "host" in source else two[0]
    error = refused(lambda: service.plan(f"pinecone:{source.format(wrong)}", f"pinecone:{target.format(wrong)}"))
    assert error.code == "host_differs"
    assert all(host.removeprefix("http://") in error.message for host in two)
    assert "host=" in error.fix


def test_a_run_over_such_a_host_writes_nothing(account, service, two):
    plan = service.plan("pinecone:a", "pinecone:new")
    run = service.start(plan.with_(target=endpoints.parse(f"pinecone:other?host={two[0]}")))
    status = service.wait(run, 60)
    assert (status["status"], status["error"]["code"], status["error"]["exit_code"]) == ("failed", "host_differs", "2")
    assert account.namespaces("a") == account.namespaces("other") == {"": 5}


def test_its_own_host_is_taken_and_the_doctor_knows_others(account, service, two):
    run = service.start(service.plan(f"pinecone:a?host={two[0].upper().replace('HTTP', 'http')}", "pinecone:new"))
    assert service.wait(run, 60)["status"] == "proven"
    failed = [step for step in service.doctor(f"pinecone:a?host={two[1]}") if step.status == "failed"]
    assert [step.name for step in failed] == ["index"]
    assert two[1].removeprefix("http://") in failed[0].detail


def test_an_index_that_does_not_exist_has_no_host_and_is_not_made(account, two):
    endpoint = endpoints.parse(f"pinecone:new?host={two[0]}")
    with opened_source(endpoints.parse("pinecone:a")) as source, opened_target(endpoint) as target:
        error = refused(lambda: target.prepare(source.describe(), Plan(endpoints.parse("pinecone:a"), endpoint)))
    assert error.code == "host_differs"
    assert not account.client.indexes.exists("new")


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ("", True),
        ("products-x1y2z3.svc.aped-4627-b74a.pinecone.io", True),
        ("https://products-x1y2z3.svc.aped-4627-b74a.pinecone.io:443/", True),
        ("products-x1y2z3.svc.private.aped-4627-b74a.pinecone.io", True),
        ("http://products-x1y2z3.svc.aped-4627-b74a.pinecone.io", False),
        ("products-x1y2z3.svc.private.us-east1-gcp.pinecone.io", False),
        ("product-x1y2z3.svc.aped-4627-b74a.pinecone.io", False),
        ("products-x1y2z3.svc.private.aped-4627-b74a.pinecone.io.elsewhere.test", False),
        ("127.0.0.1:8443", False),
    ],
)
def test_what_counts_as_the_host_of_an_index(account, given, same):
    account.create("a")
    settings = read_options(endpoints.parse(f"pinecone:a?host={given}" if given else "pinecone:a"))
    with closing(Control(settings)) as control:
        index = replace(control.describe(), host=OWN)
    if same:
        assert host_of(index, settings) == (settings.host or OWN)
    else:
        assert refused(lambda: host_of(index, settings)).code == "host_differs"


def test_the_private_host_the_control_plane_names_counts_as_well(account):
    account.create("a")
    settings = read_options(endpoints.parse("pinecone:a?host=a.private.test"))
    with closing(Control(settings)) as control:
        index = replace(control.describe(), host=OWN, private_host="https://a.private.test")
    assert host_of(index, settings) == "https://a.private.test"
