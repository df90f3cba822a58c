"""The ``config.json`` of the Pinecone Index Migrator, by the keys of its code or those of its README, turned into a plan.

Every key is honoured, or a note says why it is not needed. API keys never enter the plan: it names environment variables.
"""

from __future__ import annotations

import re
from typing import Literal

from migrator.configs.conversion import Conversion
from migrator.configs.index_migrator_rules import filter_of, follow_of, mapping_of, namespaces_of
from migrator.configs.settings import Settings, read_object
from migrator.errors import ConfigError
from migrator.model import Endpoint, Finding, Plan, Selection

WHAT = "config.json"
KEYS = frozenset(
    {
        *("api_key", "api_key_dest", "use_seperate_target_client", "source_index", "target_index", "source_namespace", "target_namespace"),
        *("create_target", "target_cloud", "target_region", "batch_size", "run_validation_after_every_batch", "verify_only", "verify_mode"),
        *("delta_mode", "delta_delay_between_runs", "delta_delay_duration", "reset_migration_flags", "reset_mode", "use_filter", "filter_to_use"),
        *("namespace_from_metadata_field", "metadata_field_to_namespace_from", "iterate_over_namespaces", "use_source_as_target_namespace"),
        *("write_to_parquet", "parquet_write_back_batch_size", "save_to_s3", "bucket_name", "s3_folder_name", "prime_index_store"),
    }
)
ALIASES = {"iterate_all_namespaces": "iterate_over_namespaces", "use_separate_target_client": "use_seperate_target_client"}
SOURCE_VARIABLE, TARGET_VARIABLE = "PINECONE_API_KEY", "PINECONE_API_KEY_DEST"
_NAME = re.compile(r"[a-z0-9-]+")
_REFERENCE = re.compile(r"(?:env:|\$)\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
_PLACEHOLDER = re.compile(r"<.*>|x{3,}|\W*your\W.*|.*your[-_ ]?(pinecone[-_ ]?)?api[-_ ]?key.*", re.IGNORECASE)
_NOT_NEEDED = {
    "batch_size": "requests are packed by their measured bytes, up to 2 MB and 1,000 records",
    "verify_mode": "every run ends with a proof: the target is read back and compared with what the source gave",
    "parquet_write_back_batch_size": "nothing is written back to the source",
    "prime_index_store": "the ids of the source are enumerated and kept by each run itself (the tool listed them and ended; this copies)",
}


def convert(text: str) -> Conversion:
    """Return what the ``config.json`` in ``text`` asks for. Raise ``ConfigError`` naming the key that is wrong, and the cure."""
    found = Settings(read_object(text, WHAT), KEYS, ALIASES, WHAT)
    notes: list[Finding] = [_unknown(found, key) for key in found.unknown]
    notes += [found.note(key, f"is not needed: {why}") for key, why in _NOT_NEEDED.items() if found.has(key)]
    action = _action(found, notes)
    secrets: dict[str, str] = {}
    source, index = _endpoints(found, action, notes, secrets)
    parquet = _parquet(found, notes) if action == "copy" else None
    follow, merge = follow_of(found, notes, possible=action == "copy" and parquet is None)
    plan = Plan(
        source,
        parquet or index or source,
        Selection(namespaces_of(found, notes), filter_of(found, notes, follows=follow is not None)),
        mapping_of(found, notes),
        merge=merge,
        follow=follow,
        verify_batches=_verify_batches(found, action, notes),
    )
    _not_onto_itself(plan, action)
    then = (Plan(parquet, index),) if parquet is not None and index is not None else ()
    return Conversion(action, plan.with_(findings=tuple(notes)), bool(action == "copy" and found.flag("reset_mode")), then, secrets)


def _verify_batches(found: Settings, action: str, notes: list[Finding]) -> bool:
    wanted = bool(found.flag("run_validation_after_every_batch"))
    if wanted and action != "copy":
        notes.append(found.note("run_validation_after_every_batch", "is not needed: nothing is copied"))
    return wanted and action == "copy"


def _unknown(found: Settings, key: str) -> Finding:
    near = found.nearest(key)
    return Finding("info", "unknown_key", f"{key} is not a key of {WHAT} and is ignored", f"did you mean {near}?" if near else "")


def _action(found: Settings, notes: list[Finding]) -> Literal["copy", "verify", "reset"]:
    verify, reset = found.flag("verify_only"), found.flag("reset_migration_flags")
    found.flag("verify_mode")
    if verify:
        if reset:
            notes.append(found.note("reset_migration_flags", "is not done: verify_only asks for a comparison, which changes nothing"))
        return "verify"
    return "reset" if reset else "copy"


def _endpoints(found: Settings, action: str, notes: list[Finding], secrets: dict[str, str]) -> tuple[Endpoint, Endpoint | None]:
    key = _key(found, "api_key", SOURCE_VARIABLE, notes, secrets)
    source = Endpoint("pinecone", _index(found, "source_index"), key)
    if action == "reset" or (action == "copy" and found.flag("write_to_parquet") and not found.has("target_index")):
        return source, None
    separate = found.flag("use_seperate_target_client")
    if separate and not found.text("api_key_dest"):
        raise ConfigError(f"{found.spelling('use_seperate_target_client')} is true, but there is no api_key_dest", fix="add api_key_dest", code="missing_key")
    if separate or (separate is None and found.text("api_key_dest")):
        key = _key(found, "api_key_dest", TARGET_VARIABLE, notes, secrets)
    elif found.text("api_key_dest"):
        notes.append(found.note("api_key_dest", "is not used: use_seperate_target_client is false"))
    return source, Endpoint("pinecone", _index(found, "target_index"), {**key, **_creation(found, action, notes)})


def _index(found: Settings, key: str) -> str:
    name = (found.text(key) or "").strip()
    if not name:
        raise ConfigError(f"{WHAT} has no {key}", fix=f'add "{key}": "the name of the index"', code="missing_key")
    if not _NAME.fullmatch(name):
        found.refuse(key, "no name of a Pinecone index", "use the name the Pinecone console shows: lower-case letters, digits and hyphens")
    return name


def _key(found: Settings, key: str, variable: str, notes: list[Finding], secrets: dict[str, str]) -> dict[str, str]:
    """Return the endpoint's option for an API key: always a reference, never the key."""
    value = (found.text(key) or "").strip()
    if reference := _REFERENCE.fullmatch(value):
        return {"api_key": f"env:{reference[1]}"}
    if not value or _PLACEHOLDER.fullmatch(value):
        notes.append(found.note(key, f"is not given: the environment variable {variable} is used", f"export {variable}=…"))
    else:
        secrets[variable] = value
        message = f"is an API key in a file anyone with the file can use; the plan names the environment variable {variable} in its place"
        notes.append(found.note(key, message, f'export {variable}=…, and write "{key}": "env:{variable}" in {WHAT}'))
    return {"api_key": f"env:{variable}"}


def _creation(found: Settings, action: str, notes: list[Finding]) -> dict[str, str]:
    """Return the target's options that say whether and where the index is created."""
    create = found.flag("create_target")
    given = {option: text.strip().lower() for option in ("cloud", "region") if (text := found.text(f"target_{option}"))}
    if action != "copy" or create is False:
        notes += [found.note(f"target_{option}", "is not needed: no index is created") for option in given]
        return {"create": "false"} if action == "copy" else {}
    where = f"{given.get('cloud', 'aws')} {given.get('region', 'us-east-1')}"
    message = f"a target index that does not exist is created in {where}, with the source's dimension and its metric (the tool always took cosine)"
    notes.append(Finding("info", "config_note", message))
    return given


def _parquet(found: Settings, notes: list[Finding]) -> Endpoint | None:
    """Return where the Parquet files go, None when there are to be none."""
    remote = found.flag("save_to_s3")
    if not found.flag("write_to_parquet"):
        notes += [found.note(key, "is not needed: write_to_parquet is not set") for key in ("save_to_s3", "bucket_name", "s3_folder_name") if found.has(key)]
        return None
    if remote:
        bucket, folder = (found.text("bucket_name") or "").strip(), (found.text("s3_folder_name") or "").strip("/ ")
        if not bucket:
            raise ConfigError(f"{found.spelling('save_to_s3')} is true, but there is no bucket_name", fix="add bucket_name", code="missing_key")
        resource = f"s3://{bucket}/{folder}".rstrip("/")
    else:
        resource = f"./{_index(found, 'source_index')}-parquet"
    message = f"writes to {resource}, a folder a namespace, with sparse values, laid out for Pinecone's bulk import"
    at_once = f"to have the target index import them in the same run: --route staged --staging parquet:{resource}" if remote else ""
    notes.append(found.note("write_to_parquet", f"{message}; the target index is not written", at_once))
    return Endpoint("parquet", resource)


def _not_onto_itself(plan: Plan, action: str) -> None:
    same = plan.source.connector == plan.target.connector and plan.source.resource == plan.target.resource
    routed = plan.mapping.target_namespace is not None or plan.mapping.namespace_from is not None
    if action != "reset" and same and plan.source.options["api_key"] == plan.target.options["api_key"] and not routed:
        raise ConfigError(f"source_index and target_index are both {plan.source.resource}", fix="name another target_index", code="same_index")
