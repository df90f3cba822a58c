"""The ``remote`` sections of a ``migration.yaml``: buckets of S3, MinIO, Google Cloud and Azure, as an address with options."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from migrator.configs.milvus_migration_values import WHAT
from migrator.errors import ConfigError

if TYPE_CHECKING:
    from migrator.configs.milvus_migration_values import Reading

CLOUDS = {"aws": "s3", "s3": "s3", "minio": "s3", "gcp": "gs", "gcs": "gs", "azure": "az", "az": "az"}
_REFUSED = {"ali": "Alibaba Cloud OSS", "aliyun": "Alibaba Cloud OSS", "tc": "Tencent COS", "tencent": "Tencent COS"}
_KEYS = ("cloud", "endpoint", "region", "bucket", "ak", "sk", "useIAM", "useSSL", "checkBucket")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_GOOGLE = "https://storage.googleapis.com"
_VARIABLES = {"s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "gs": ("GCS_ACCESS_KEY_ID", "GCS_SECRET_ACCESS_KEY"), "az": ("", "AZURE_STORAGE_KEY")}


def keys_of(side: str) -> tuple[str, ...]:
    """Return the keys that say where the bucket of ``side`` is."""
    return tuple(f"{side}.remote.{name}" for name in _KEYS)


def bucket(reading: Reading, side: str, path: str) -> tuple[str, dict[str, str]]:
    """Return the address of ``path`` in the bucket of ``side`` (source or target), and the options that open it.

    Raise ``ConfigError`` naming the key that is missing or wrong.
    """
    found = reading.found
    cloud = _cloud(reading, f"{side}.remote.cloud")
    name = reading.required(f"{side}.remote.bucket", "add it: the bucket that Milvus itself uses, minio.bucketName in its milvus.yaml")
    if not _BUCKET.fullmatch(name):
        found.refuse(f"{side}.remote.bucket", "no name of a bucket", "write the name alone, without s3:// and without a folder")
    if found.flag(f"{side}.remote.checkBucket") is False:
        reading.note(f"{side}.remote.checkBucket", "is not followed: the bucket is always checked before anything is written")
    scheme, options = {"s3": _s3, "gs": _google, "az": _azure}[cloud](reading, side)
    return f"{scheme}://{name}/{path}", options


def inside(reading: Reading, key: str, path: str) -> str:
    """Return a path inside a bucket in its plain form: without a slash at the ends, ``./`` or ``//``. Raise for one that leads out of it."""
    plain = posixpath.normpath(path.strip().lstrip("/")) if path.strip("/ ") else ""
    if plain == ".." or plain.startswith("../"):
        reading.found.refuse(key, "no place inside a bucket", "write it without ..")
    return "" if plain == "." else plain


def _cloud(reading: Reading, key: str) -> str:
    given = reading.text(key).lower()
    if not given:
        reading.note(key, "is not given: the bucket is taken for one of S3 or MinIO", "write aws, gcp or azure")
        return "s3"
    if given in _REFUSED:
        message = f"{WHAT}: {reading.found.spelling(key)}: {_REFUSED[given]} is not supported"
        fix = "leave the bucket out and copy directly: python -m migrator copy faiss:FILE 'milvus:NAME?uri=http://host:19530'"
        raise ConfigError(message, fix=fix, code="not_available")
    if given not in CLOUDS:
        reading.found.refuse(key, "no storage known here", "write aws (S3 and MinIO), gcp or azure")
    return CLOUDS[given]


def _s3(reading: Reading, side: str) -> tuple[str, dict[str, str]]:
    options = _endpoint(reading, side)
    if region := reading.text(f"{side}.remote.region"):
        options["region"] = region
    return "s3", options | _credentials(reading, side, "s3")


def _endpoint(reading: Reading, side: str) -> dict[str, str]:
    key, ssl = f"{side}.remote.endpoint", f"{side}.remote.useSSL"
    secure, given = reading.found.flag(ssl), reading.address(key)
    if given is None:
        if secure is False:
            reading.note(ssl, "is not followed: without an endpoint the bucket is on AWS, which is reached over TLS", f"write {key}")
        return {}
    scheme, host, path = given
    if path:
        reading.found.refuse(key, "more than an address", "write host:port alone; folders belong into outputDir or faissFile")
    if scheme and secure is not None and secure != (scheme == "https"):
        reading.found.refuse(key, f"another than useSSL: {str(secure).lower()} says", "leave the scheme out, or correct useSSL")
    return {"endpoint": f"{scheme or ('https' if secure else 'http')}://{host}"}


def _google(reading: Reading, side: str) -> tuple[str, dict[str, str]]:
    reading.found.flag(f"{side}.remote.useSSL")
    why = "Google Cloud Storage has one address, reached over TLS"
    reading.not_needed((f"{side}.remote.endpoint", f"{side}.remote.region", f"{side}.remote.useSSL"), why)
    keys = _credentials(reading, side, "gs")
    if not keys:
        return "gs", {}
    reading.note(f"{side}.remote.ak", "is an HMAC key of Google Cloud, which its S3 interface takes: the plan's address begins with s3://")
    return "s3", {"endpoint": _GOOGLE, **keys}


def _azure(reading: Reading, side: str) -> tuple[str, dict[str, str]]:
    reading.found.flag(f"{side}.remote.useSSL")
    why = "the account's name makes the address, reached over TLS"
    reading.not_needed((f"{side}.remote.endpoint", f"{side}.remote.region", f"{side}.remote.useSSL"), why)
    account = {"account": reading.required(f"{side}.remote.ak", "write the name of the storage account")}
    if not _ACCOUNT.fullmatch(account["account"]):  # nor does a key of another store get into the plan
        reading.found.refuse(f"{side}.remote.ak", "no name of an Azure storage account", "write its 3 to 24 lower-case letters and digits")
    if reading.found.flag(f"{side}.remote.useIAM"):
        _unused(reading, side, "sk")
        return "az", account
    reading.required(f"{side}.remote.sk", "write the account's key, or useIAM: true")
    return "az", account | {"account_key": reading.reference(f"{side}.remote.sk", _variables(reading, side, "az")[1])}


def _credentials(reading: Reading, side: str, cloud: str) -> dict[str, str]:
    """Return access and secret key as references, nothing where the environment's or the machine's own identity is used."""
    ak, sk = f"{side}.remote.ak", f"{side}.remote.sk"
    given = [key for key in (ak, sk) if reading.text(key)]
    if reading.found.flag(f"{side}.remote.useIAM"):
        _unused(reading, side, "ak", "sk")
        return {}
    if not given:
        fix = "export AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=…" if cloud == "s3" else ""
        reading.note(ak, "and sk are not given: the credentials of the environment or of the machine are used", fix)
        return {}
    if len(given) == 1:
        raise ConfigError(f"{WHAT} has {given[0]} alone; ak and sk belong together", fix="give both, or useIAM: true", code="missing_key")
    variables = _variables(reading, side, cloud)
    return {"access_key": reading.reference(ak, variables[0]), "secret_key": reading.reference(sk, variables[1])}


def _unused(reading: Reading, side: str, *names: str) -> None:
    for name in names:
        if reading.text(f"{side}.remote.{name}"):
            reading.note(f"{side}.remote.{name}", "is not used: useIAM is true, the machine's own identity signs in")


def _variables(reading: Reading, side: str, cloud: str) -> tuple[str, str]:
    """Return the variables of a side's keys: the source has its own where both sides sign in to storage, and differently."""
    both = all(reading.found.text(f"{name}.mode") == "remote" for name in ("source", "target"))
    same = all(reading.text(f"source.remote.{name}") == reading.text(f"target.remote.{name}") for name in ("ak", "sk"))
    prefix = "SOURCE_" if side == "source" and both and not same else ""
    access, secret = _VARIABLES[cloud]
    return prefix + access, prefix + secret
