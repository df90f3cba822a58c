"""Saved profiles: by user, without secrets, whole on disk."""

import stat

import pytest

from migrator import secrets
from migrator.errors import ConfigError
from ui import profiles

CANARY = "canary-5e1f-secret"


def test_a_profile_comes_back_and_belongs_to_its_user(tmp_path):
    profiles.save(tmp_path, "ann", "staging", "milvus:products?uri=http://127.0.0.1:19530&database=shop")
    profiles.save(tmp_path, "ben", "staging", "parquet:/data/out")
    assert profiles.load(tmp_path, "ann") == {"staging": "milvus:products?uri=http://127.0.0.1:19530&database=shop"}
    profiles.forget(tmp_path, "ann", "staging")
    profiles.forget(tmp_path, "ann", "staging")
    assert profiles.load(tmp_path, "ann") == {}
    assert profiles.load(tmp_path, "ben") == {"staging": "parquet:/data/out"}


def test_no_secret_and_no_reference_to_one_in_memory_is_saved(tmp_path):
    reference = secrets.stash(CANARY)
    for number, text in enumerate([f"milvus:a?uri=http://h:1&token={CANARY}", f"milvus:a?uri=http://h:1&token={reference}"]):
        profiles.save(tmp_path, "", str(number), text)
    assert set(profiles.load(tmp_path, "").values()) == {"milvus:a?uri=http://h:1"}
    for path in tmp_path.iterdir():
        assert CANARY not in path.read_text()
        assert reference not in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_name_of_an_environment_variable_is_kept():
    assert profiles.without_secrets("milvus:a?token=env:MILVUS_TOKEN") == "milvus:a?token=env:MILVUS_TOKEN"


def test_a_damaged_file_is_one_clear_error(tmp_path):
    (tmp_path / "profiles.json").write_text('{"": {"a"')
    with pytest.raises(ConfigError, match="not readable"):
        profiles.load(tmp_path, "")
