"""Aliases: opened like collections, moved by the cut-over to a proven copy and back, also after a kill, and never taken for what they are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from migrator.cli import main
from migrator.connectors import milvus
from migrator.endpoints import parse, render
from migrator.errors import ConfigError, PermanentError, PlanError
from migrator.records import make_batch
from migrator.service import PlanOptions, Service
from tests.contract.milvus_harness import TOKEN_VARIABLE, MilvusLiteHarness, MilvusServerHarness
from tests.milvus.test_roundtrip import DIMENSION, PLAN, collection_for, read, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import MilvusServer

Store = MilvusLiteHarness | MilvusServerHarness
ROOT = Path(__file__).parents[2]
SERVER_RARELY = pytest.mark.parametrize("store", ["lite", pytest.param("server", marks=[pytest.mark.server, pytest.mark.slow])], indirect=True)
"""For what is decided before the store is asked: Milvus Lite shows it in a second, a server in ten."""


@pytest.fixture(params=["lite", pytest.param("server", marks=[pytest.mark.server, pytest.mark.slow])])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Milvus Lite, and a real server."""
    return MilvusServerHarness(request.getfixturevalue("milvus_server")) if request.param == "server" else MilvusLiteHarness(tmp_path)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    with closing(Service()) as opened:
        yield opened


def records(count: int = 5, value: float = 1.0) -> Any:
    return make_batch([f"r{row}" for row in range(count)], np.full((count, DIMENSION), value, np.float32))


def seeded(store: Store, count: int = 5, value: float = 1.0) -> str:
    return store.seed([records(count, value)], metric="cosine")


def name_of(endpoint: str) -> str:
    return parse(endpoint).resource


def renamed(endpoint: str, name: str) -> str:
    return endpoint.replace(f":{name_of(endpoint)}?", f":{name}?")


def fresh() -> str:
    return f"live_{uuid.uuid4().hex[:8]}"


def count_by(store: Store, name: str) -> int:
    """Return how many records an application finds that opens ``name``: with the SDK alone."""
    with store.client() as client:
        if isinstance(store, MilvusLiteHarness):  # a server keeps it loaded, Lite forgets when it is closed
            client.load_collection(name)
        return len(client.query(name, filter="", limit=100, consistency_level="Strong"))


def alias(store: Store, name: str, collection: str) -> None:
    with store.client() as client:
        client.create_alias(collection, name)


def proven(service: Service, source: str, target: str, **options: Any) -> str:
    run = service.start(service.plan(source, target, PlanOptions(**options)))
    assert service.wait(run, 120)["status"] == "proven"
    return run


@pytest.mark.slow
def test_a_new_alias_is_made_and_taken_back(service: Service, store: Store) -> None:
    source, target, live = seeded(store), store.new_target(), fresh()
    run = proven(service, source, target)
    answer = service.cutover(run, alias=live)
    assert (answer["ready"], answer["alias"]) == (True, {"name": live, "collection": name_of(target), "before": None, "back": False})
    assert answer["new"]["environment"]["MILVUS_COLLECTION"] == live
    assert answer["old"]["environment"]["MILVUS_COLLECTION"] == name_of(source)
    assert f"{run} --rollback" in answer["old"]["note"]
    assert answer["done"][-1] == f"pointed the alias {live} at {name_of(target)}; before, {live} did not exist"
    assert service.result(run)["cutover"]["alias"] == answer["alias"]
    assert live in service.report(run).read_text()
    assert count_by(store, live) == 5
    assert service.aliases.leads_to(run, live) == name_of(target)
    for _ in range(2):
        assert service.aliases.back(run)["done"] == [f"removed the alias {live}, which did not exist before"]
        assert service.aliases.leads_to(run, live) is None
    assert service.result(run)["cutover"]["done"][-1].startswith("removed the alias")
    assert service.status(run)["aliases"][live]["back"] is True


@pytest.mark.slow
def test_an_alias_is_moved_and_back_and_the_application_changes_nothing(service: Service, store: Store) -> None:
    """The old collection is read through the alias, as the application does."""
    source, target, live = seeded(store, 7), store.new_target(), fresh()
    alias(store, live, name_of(source))
    run = proven(service, renamed(source, live), target)
    for _ in range(2):
        answer = service.cutover(run, alias=live)
        assert (answer["alias"]["before"], answer["old"]["environment"]["MILVUS_COLLECTION"]) == (name_of(source), name_of(source))
        assert service.aliases.leads_to(run, live) == name_of(target)
    service.start_verify(run)
    assert service.wait(run, 120)["status"] == "proven"
    assert service.result(run)["plan"]["source"] == render(parse(source)), "not the target, through the alias, with itself"
    for _ in range(2):
        assert service.aliases.back(run, live)["rolled_back"] == [{"alias": live, "collection": name_of(source)}]
        assert service.aliases.leads_to(run, live) == name_of(source)
    assert service.cutover(run, alias=live)["alias"]["back"] is False
    assert service.aliases.leads_to(run, live) == name_of(target)


@SERVER_RARELY
def test_without_a_proof_no_alias_is_moved(service: Service, store: Store) -> None:
    source, target, live = seeded(store), store.new_target(), fresh()
    run = proven(service, source, target)
    write(target, records(1, 9.0))
    answer = service.cutover(run, alias=live)
    assert (answer["ready"], answer["alias"]) == (False, None)
    assert service.aliases.leads_to(run, live) is None
    with pytest.raises(ConfigError, match="did not move an alias"):
        service.aliases.back(run)


@pytest.mark.slow
def test_what_can_be_no_alias_is_said_before_anything_is_proven_anew(service: Service, store: Store) -> None:
    source, target = seeded(store), store.new_target()
    run = proven(service, source, target)
    wrong = {name_of(source): "alias_is_collection", name_of(target): "alias_is_collection", "a-b": "bad_name", "1a": "bad_name", "日本": "bad_name"}
    for live, code in wrong.items():
        with pytest.raises(ConfigError) as refused:
            service.cutover(run, alias=live)
        assert (refused.value.code, service.status(run)["attempt"]) == (code, 1)
        assert live in refused.value.message
    parquet = proven(service, source, f"parquet:{service.home}/out")
    with pytest.raises(ConfigError, match="parquet has no aliases"):
        service.cutover(parquet, alias="live")


@SERVER_RARELY
def test_where_each_namespace_is_a_collection_there_is_no_alias_for_all(service: Service, store: Store) -> None:
    batch = make_batch(["a", "b"], np.ones((2, DIMENSION), np.float32), namespace=pa.array(["one", "two"]))
    run = proven(service, store.seed([batch], metric="cosine"), store.new_target() + "&namespace_mode=collection")
    with pytest.raises(ConfigError, match="collections of their own") as refused:
        service.cutover(run, alias=fresh())
    assert "partition_key" in refused.value.fix


@pytest.mark.slow
@SERVER_RARELY
def test_an_alias_somebody_else_moved_is_left_where_it_is(service: Service, store: Store) -> None:
    source, target, live = seeded(store), store.new_target(), fresh()
    third = name_of(seeded(store, 2))
    run = proven(service, source, target)
    service.cutover(run, alias=live)
    with store.client() as client:
        client.alter_alias(third, live)
    with pytest.raises(ConfigError) as refused:
        service.aliases.back(run)
    assert (refused.value.code, third in refused.value.message) == ("alias_moved", True)
    assert service.aliases.leads_to(run, live) == third
    answer = service.cutover(run, alias=live)
    assert answer["alias"]["before"] == third
    service.aliases.back(run)
    assert service.aliases.leads_to(run, live) == third
    service.cutover(run, alias=live)
    with store.client() as client:
        client.drop_collection(third)
    with pytest.raises(PermanentError, match=third):
        service.aliases.back(run)
    assert service.aliases.leads_to(run, live) == name_of(target)


@pytest.mark.slow
def test_an_alias_is_opened_like_its_collection(store: Store) -> None:
    source, live = seeded(store, 6), fresh()
    alias(store, live, name_of(source))
    by_alias = renamed(source, live)
    with closing(milvus.open_source(parse(by_alias))) as opened:
        found = opened.describe()
        assert (found.name, found.alias, found.count) == (name_of(source), live, 6)
        assert opened.address().environment["MILVUS_COLLECTION"] == name_of(source)
    with closing(milvus.open_source(parse(source))) as opened:
        assert opened.describe().alias == ""
    assert [step.detail for step in milvus.examine(parse(by_alias))][-1].startswith(f"{live} is an alias of {name_of(source)}: 6 records")
    write(by_alias, records(8, 2.0))
    assert len(read(source)) == len(read(by_alias)) == 8
    with closing(milvus.open_target(parse(by_alias))) as target:
        target.prepare(collection_for(records()), PLAN)
        target.delete(["r0"], "")
        assert len(target.search([[1.0] * DIMENSION], 20, None)[0]) == 7
    with pytest.raises(ConfigError, match="has no collection"):
        milvus.open_source(parse(renamed(source, fresh())))


@pytest.mark.slow
@SERVER_RARELY
def test_a_plan_names_collections_whose_aliases_it_was_given(service: Service, store: Store) -> None:
    source, target, live = seeded(store, 6), seeded(store, 3), fresh()
    alias(store, live, name_of(target))
    plan = service.plan(source, renamed(target, live), PlanOptions(on_conflict="upsert"))
    assert render(plan.target) == render(parse(target))
    (finding,) = [finding for finding in plan.findings if finding.code == "target_is_alias"]
    assert f"--alias {live}" in finding.fix
    run = service.start(plan)
    assert service.wait(run, 120)["status"] == "proven"
    assert len(read(target)) == 6


def test_a_namespace_whose_collection_name_is_an_alias_is_not_written_into_another_collection(store: Store) -> None:
    other, target = seeded(store), store.new_target()
    alias(store, f"{name_of(target)}__one", name_of(other))
    batch = make_batch(["a"], np.ones((1, DIMENSION), np.float32), namespace=pa.array(["one"]))
    with pytest.raises(PlanError) as refused:
        write(target + "&namespace_mode=collection", batch)
    assert (refused.value.code, name_of(other) in refused.value.message) == ("name_is_alias", True)
    assert len(read(other)) == 5


@SERVER_RARELY
def test_the_command_line(service: Service, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    source, target, live = seeded(store), store.new_target(), fresh()
    run = proven(service, source, target)
    assert main(["cutover", run, "--alias", live]) == 0
    said = capsys.readouterr().out
    assert f"MILVUS_COLLECTION={live}" in said
    assert f"Applications that open {live} use {name_of(target)} from now on" in said
    assert main(["cutover", run, "--alias", live, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["alias"]["name"] == live
    assert main(["cutover", run, "--rollback", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rolled_back"] == [{"alias": live, "collection": None}]
    assert main(["cutover", run, "--rollback", "--scale", "a=1"]) == 2
    assert main(["cutover", run, "--rollback", "--alias", "other"]) == 2
    assert "did not move the alias other" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("point", ["alias_noted", "alias_moved"])
def test_killed_while_it_moves_the_alias(service: Service, store: Store, point: str) -> None:
    """Whichever side of the switch it dies on, the way back leads to where the alias was before."""
    source, target, live = seeded(store), store.new_target(), fresh()
    alias(store, live, name_of(source))
    run = proven(service, source, target)
    program = [sys.executable, "-m", "migrator", "cutover", run, "--alias", live]
    killed = subprocess.run(program, cwd=ROOT, env=os.environ | {"MIGRATOR_FAILPOINT": point}, capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == 137, killed.stderr
    assert service.aliases.leads_to(run, live) == name_of(source if point == "alias_noted" else target)
    assert service.cutover(run, alias=live)["alias"]["before"] == name_of(source)
    service.aliases.back(run)
    assert service.aliases.leads_to(run, live) == name_of(source)


@pytest.mark.slow
@pytest.mark.server
def test_a_user_who_may_not_move_aliases_is_told_which_right_is_missing(service: Service, milvus_server: MilvusServer, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MilvusServerHarness(milvus_server)
    source, target, live = seeded(store), store.new_target(), fresh()
    run = proven(service, source, target)
    user, role = f"u_{uuid.uuid4().hex[:8]}", f"r_{uuid.uuid4().hex[:8]}"
    with store.client() as client:
        client.create_user(user, "Secret123")
        client.create_role(role)
        for right in ("Query", "Search", "Load", "GetLoadState", "GetLoadingProgress", "IndexDetail"):
            client.grant_privilege(role, "Collection", right, "*")
        client.grant_role(user, role)
    monkeypatch.setenv(TOKEN_VARIABLE, f"{user}:Secret123")
    with pytest.raises(PermanentError) as refused:
        service.cutover(run, alias=live)
    assert (refused.value.code, "CreateAlias" in refused.value.message) == ("not_permitted", True)
    assert "CreateAlias" in refused.value.fix
    monkeypatch.setenv(TOKEN_VARIABLE, milvus_server.token)
    assert service.aliases.leads_to(run, live) is None
    assert service.cutover(run, alias=live)["ready"]
