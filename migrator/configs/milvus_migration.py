"""The ``migration.yaml`` of milvus-migration, Faiss to Milvus by way of NumPy files, turned into a plan.

Every key is honoured, or a note says why it is not needed. Secrets never enter the plan: it names environment variables.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from migrator.configs.conversion import Conversion
from migrator.configs.dotted import Dotted
from migrator.configs.milvus_migration_modes import MODE, check_mode
from migrator.configs.milvus_migration_storage import bucket, inside, keys_of
from migrator.configs.milvus_migration_values import WHAT, Reading
from migrator.configs.yaml_keys import read_keys
from migrator.endpoints import parse, render
from migrator.errors import ConfigError
from migrator.model import Endpoint, Finding, Plan

if TYPE_CHECKING:
    from typing import Any

CREATE, MILVUS = "target.create.collection", "target.milvus2x"
LIMIT, LOAD_LIMIT = "dumper.worker.limit", "loader.worker.limit"
BUFFERS = ("dumper.worker.reader.bufferSize", "dumper.worker.writer.bufferSize")
_GRPC = (f"{MILVUS}.grpc.maxCallRecvMsgSize", f"{MILVUS}.grpc.maxCallSendMsgSize")
KEYS = (
    *(MODE, LIMIT, LOAD_LIMIT, *BUFFERS),
    *("source.mode", "source.local.faissFile", "source.remote.faissFile", *keys_of("source")),
    *(f"{CREATE}.{name}" for name in ("name", "shardsNum", "dim", "metricType")),
    *("target.mode", "target.local.outputDir", "target.remote.outputDir", *keys_of("target")),
    *(f"{MILVUS}.{name}" for name in ("endpoint", "username", "password", "database", "writeMode")),
    *_GRPC,
)
ALSO = {f"{CREATE}.shardsNums": f"{CREATE}.shardsNum", f"{CREATE}.shardNum": f"{CREATE}.shardsNum"}
"""The spelling of the published example, and that of the tool's other kinds of source."""
_OTHER_KINDS = re.compile(r"meta(\..*)?|source\.(es|milvus2x)(\..*)?|source\.(local|remote)\.tablesdir")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_METRICS = ("L2", "IP", "COSINE")
MOST_WORKERS, MOST_IMPORTS, MOST_SHARDS, MOST_DIMENSIONS = 256, 100, 16, 32_768
AT_ONCE = 2
"""The tool's own concurrency where a limit is left out or 0."""


def convert(text: str) -> Conversion:
    """Return what the ``migration.yaml`` in ``text`` asks for. Raise ``ConfigError`` naming the key that is wrong, and the cure."""
    given = read_keys(text, WHAT)
    check_mode(given)
    others = [key for key in given if _OTHER_KINDS.fullmatch(key.lower())]
    found = Dotted({key: value for key, value in given.items() if key not in others}, KEYS, ALSO, WHAT)
    notes = [_unknown(found, key) for key in found.unknown]
    notes += [Finding("info", "config_note", f"{key} is not needed: an index has no use for it, it belongs to other kinds of source") for key in others]
    reading = Reading(found, notes, {})
    plan = Plan(
        _source(reading),
        _target(reading),
        route="staged",
        staging=_staging(reading),
        workers=_at_once(reading, LIMIT, MOST_WORKERS),
    )
    _not_needed(reading)
    for endpoint in (plan.source, plan.staging):
        _check_readable(endpoint)
    return Conversion("copy", plan.with_(findings=tuple(notes)), secrets=reading.secrets)


def _unknown(found: Dotted, key: str) -> Finding:
    near = found.nearest(key)
    return Finding("info", "unknown_key", f"{key} is not a key of {WHAT} and is ignored", f"did you mean {near}?" if near else "")


def _at_once(reading: Reading, key: str, most: int) -> int:
    return reading.found.whole(key, least=0, most=most) or AT_ONCE


def _mode(reading: Reading, side: str) -> str:
    key = f"{side}.mode"
    mode = reading.required(key, "add it: local or remote").lower()
    if mode not in ("local", "remote"):
        reading.found.refuse(key, "neither local nor remote", "write local for a folder, remote for a bucket")
    unused = "local" if mode == "remote" else "remote"
    names = keys_of(side) if unused == "remote" else ()
    file = "faissFile" if side == "source" else "outputDir"
    reading.not_needed((f"{side}.{unused}.{file}", *names), f"{key} is {mode}")
    return mode


def _source(reading: Reading) -> Endpoint:
    mode = _mode(reading, "source")
    key = f"source.{mode}.faissFile"
    file = reading.required(key, "add it: the index, for example ./photos.index")
    if mode == "local":
        return Endpoint("faiss", file)
    if not (path := inside(reading, key, file)):
        reading.found.refuse(key, "no name of an object", "write the key of the index in its bucket")
    return Endpoint("faiss", *bucket(reading, "source", path))


def _target(reading: Reading) -> Endpoint:
    found = reading.found
    name = reading.required(f"{CREATE}.name", "add it: the name of the collection")
    if not _NAME.fullmatch(name):
        found.refuse(f"{CREATE}.name", "no name Milvus accepts", "use at most 255 letters, digits and underscores, not starting with a digit")
    options = {**_server(reading), **_account(reading)}
    if shards := found.whole(f"{CREATE}.shardsNum", least=0, most=MOST_SHARDS):
        options["shards"] = str(shards)
    options |= {"id_field": "id", "vector_field": "data"}  # the fields as the tool called them
    metric = reading.required(f"{CREATE}.metricType", "add it: L2 or IP").upper()
    if metric not in _METRICS:
        found.refuse(f"{CREATE}.metricType", "no metric of float vectors", "write L2, IP or COSINE")
    reading.required(f"{CREATE}.dim", "add it: the dimension of the index")
    dimension = found.whole(f"{CREATE}.dim", least=1, most=MOST_DIMENSIONS)
    options |= {"metric": metric, "dimension": str(dimension), "import_jobs": str(_at_once(reading, LOAD_LIMIT, MOST_IMPORTS))}
    return Endpoint("milvus", name, options)


def _server(reading: Reading) -> dict[str, str]:
    key = f"{MILVUS}.endpoint"
    given = reading.address(key)
    if given is None:
        raise ConfigError(f"{WHAT} has no {key}", fix="add it: the address of Milvus, for example localhost:19530", code="missing_key")
    scheme, host, path = given
    name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "")
    scheme = scheme or ("https" if name.endswith(".zillizcloud.com") else "http")
    uri = f"{scheme}://{host}{'' if port or scheme == 'https' else ':19530'}{path}"
    if not (database := reading.text(f"{MILVUS}.database")):
        return {"uri": uri}
    reading.note(f"{MILVUS}.database", f"{database} must exist (the tool created it)")
    return {"uri": uri, "database": database}


def _account(reading: Reading) -> dict[str, str]:
    user, secret = f"{MILVUS}.username", f"{MILVUS}.password"
    if name := reading.text(user):
        if not reading.text(secret):
            reading.note(secret, "is not given: the environment variable MILVUS_PASSWORD is used", "export MILVUS_PASSWORD=…")
        return {"user": name, "password": reading.reference(secret, "MILVUS_PASSWORD")}
    if reading.text(secret):
        reading.note(secret, "is not used: there is no username", f"add {user}")
    elif reading.found.text(user) or reading.found.text(secret):
        message = "and password are placeholders: nobody signs in, as is right for a Milvus without authorization"
        reading.note(user, message, "write them, or export MILVUS_TOKEN=user:password")
    return {}


def _staging(reading: Reading) -> Endpoint:
    """Return where the files go: a folder of the collection's own, as several configurations share one ``outputDir``."""
    mode = _mode(reading, "target")
    key, name = f"target.{mode}.outputDir", reading.text(f"{CREATE}.name")
    if mode == "local":
        folder = reading.required(key, "add it: the folder for the files, which Milvus must be able to read")
        return Endpoint("numpy", f"{folder.rstrip('/')}/{name}")
    folder = inside(reading, key, reading.text(key)) or "migration"
    return Endpoint("numpy", *bucket(reading, "target", f"{folder}/{name}"))


def _not_needed(reading: Reading) -> None:
    for key in BUFFERS:
        reading.found.number(key, unit="KB")
    reading.not_needed(BUFFERS, "files are read in place and written in parts that fit the memory and the server")
    reading.not_needed(_GRPC, "requests are sized for the server")
    reading.not_needed((f"{MILVUS}.writeMode",), "files are loaded by bulk insert, into a collection that must be empty or new")


def _check_readable(endpoint: Any) -> None:
    """Raise for a path that would read as options of an endpoint once it is written down."""
    if parse(render(endpoint)) != endpoint:
        raise ConfigError(f"{WHAT}: {endpoint.resource} cannot be written in a plan", fix="rename it: no ?name=value at the end of a path", code="bad_config")
