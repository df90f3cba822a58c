"""The convert command: the plan, what became of every key, and the variables to set; the keys themselves nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migrator import configs, secrets
from migrator.cli import main
from migrator.errors import PlanError
from migrator.service import Service
from tests.unit.test_migration_yaml import FULL

CONFIG = {"api_key": "canary-key", "source_index": "pods", "target_index": "serverless", "iterate_over_namespaces": True, "batch_size": 100}


@pytest.fixture
def convert(tmp_path, monkeypatch, capsys):
    """Return a function that writes a configuration, converts it and returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))

    def run(config, *words, name="config.json", verb="convert"):
        Path(name).write_text(config if isinstance(config, str) else json.dumps(config), "utf-8")
        code = main([verb, name, *words])
        captured = capsys.readouterr()
        assert "canary" not in captured.out + captured.err
        return code, captured.out, captured.err

    return run


def test_a_plan_is_written_that_can_be_read(convert):
    code, out, err = convert(CONFIG, "-o", "plan.yaml")
    assert (code, out) == (0, "")
    text = Path("plan.yaml").read_text("utf-8")
    assert configs.load_plan(text) == configs.convert(json.dumps(CONFIG)).plan
    assert "canary" not in text
    assert "export PINECONE_API_KEY=…" in err
    assert "python -m migrator run plan.yaml" in err
    assert "batch_size is not needed" in err


def test_without_a_file_the_plan_is_printed(convert):
    code, out, _ = convert(CONFIG)
    assert (code, configs.load_plan(out).source.resource) == (0, "pods")


def test_as_json(convert):
    code, out, _ = convert({**CONFIG, "RESET_MODE": True, "write_to_parquet": True}, "--json", "-o", "p.yaml")
    answer = json.loads(out)
    assert (code, answer["plan"], answer["action"], answer["environment"]) == (0, "p.yaml", "copy", ["PINECONE_API_KEY"])
    assert answer["commands"] == [
        "python -m migrator reset 'pinecone:pods?api_key=env:PINECONE_API_KEY' --index-migrator",
        "python -m migrator run p.yaml",
        "python -m migrator copy parquet:./pods-parquet 'pinecone:serverless?api_key=env:PINECONE_API_KEY'",
    ]
    assert {note["code"] for note in answer["notes"]} == {"config_note"}


@pytest.mark.parametrize(
    ("change", "command"),
    [
        (
            {"verify_only": True, "target_namespace": "x"},
            "python -m migrator verify 'pinecone:pods?api_key=env:PINECONE_API_KEY' 'pinecone:serverless?api_key=env:PINECONE_API_KEY' --target-namespace x",
        ),
        (
            {"reset_migration_flags": True, "iterate_over_namespaces": False, "source_namespace": "en"},
            "python -m migrator reset 'pinecone:pods?api_key=env:PINECONE_API_KEY' --namespace en --index-migrator",
        ),
    ],
)
def test_what_takes_no_plan_is_given_as_a_command(convert, change, command):
    assert convert({**CONFIG, **change})[:2] == (0, command + "\n")
    code, out, err = convert({**CONFIG, **change}, "-o", "plan.yaml")
    assert (code, out, Path("plan.yaml").exists()) == (2, "", False)
    assert command in err


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("source:\n  mode: local\ntarget:\n  mode: remote\n", 2, "dumper.worker.workMode"),
        ("version: 1\nsource: memory:a\ntarget: memory:b\n", 2, "no config.json and no migration.yaml"),
        ("{", 2, "no JSON"),
        ("", 2, "no config.json"),
    ],
)
def test_other_files(convert, text, code, said):
    found = convert(text)
    assert found[0] == code
    assert said in found[2]


def test_a_file_that_is_not_there(convert, capsys):
    assert main(["convert", "nowhere.json"]) == 2
    assert "nowhere.json" in capsys.readouterr().err


def test_migration_yaml_becomes_a_plan_with_the_commands_that_follow(convert):
    code, out, err = convert(FULL, "-o", "my plan.yaml", name="migration.yaml")
    assert (code, out) == (0, "")
    text = Path("my plan.yaml").read_text("utf-8")
    assert configs.load_plan(text) == configs.convert(FULL).plan
    assert "canary" not in text
    lines = err.splitlines()
    after = lines.index("in this order:")
    assert lines[after + 1 :] == [
        "python -m migrator dump 'my plan.yaml'",
        "python -m migrator load 'my plan.yaml'",
        "or all of it in one: python -m migrator run 'my plan.yaml'",
    ]
    assert {line.split("=")[0] for line in lines if line.startswith("export ")} == {
        "export AWS_ACCESS_KEY_ID",
        "export AWS_SECRET_ACCESS_KEY",
        "export MILVUS_PASSWORD",
    }


def test_migration_yaml_as_json(convert):
    code, out, _ = convert(FULL, "--json", name="migration.yaml")
    answer = json.loads(out)
    assert (code, answer["action"]) == (0, "copy")
    assert answer["commands"] == ["python -m migrator dump plan.yaml", "python -m migrator load plan.yaml"]
    assert set(answer["environment"]) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MILVUS_PASSWORD"}


def test_migration_yaml_is_run_as_it_is(convert, monkeypatch):
    """As far as the look at both ends: by then the plan is the converted one, and its references stand for what the file gives."""
    seen = []

    def look(service, plan):
        seen.append((plan, secrets.resolve(plan.staging.options["secret_key"], option="secret_key")))
        raise PlanError("far enough")

    monkeypatch.setattr(secrets, "_provided", {})
    monkeypatch.setattr(Service, "look_again", look)
    code, _, err = convert(FULL, name="migration.yaml", verb="run")
    assert seen == [(configs.convert(FULL).plan, "canary-secret")]
    assert code == 2
    assert "bufferSize is not needed" in err
    assert "far enough" in err


@pytest.mark.parametrize("option", ["--dry-run", "--follow", "--stamp"])
def test_options_of_a_copy_do_not_go_with_a_check(convert, option):
    code, _, err = convert({**CONFIG, "verify_only": True}, option, verb="run")
    assert code == 2
    assert "asks for no copy" in err
