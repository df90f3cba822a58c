"""The command ``local-pinecone``: serve until told to stop."""

from __future__ import annotations

import argparse
import math
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator import secrets
from migrator.cli import output
from migrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.local_pinecone.engine import Settings


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--port", type=_port, default=5080, metavar="P", help="port of the control plane (default 5080; 0 takes a free one)")
    parser.add_argument("--data", metavar="DIR", help="keep everything in this folder; without it, what was written ends with the process")
    parser.add_argument("--api-key", action="append", metavar="KEY", help="a key to let in, or env:NAME; may be repeated (default: any key)")
    parser.add_argument("--freshness-lag", type=_seconds, default=0.0, metavar="SECONDS", help="how long reads do not see a write (default 0)")
    parser.add_argument("--rate-limits", action="store_true", help="answer 429 beyond the rate limits of the real service")
    parser.add_argument("--ne-matches-missing", choices=("yes", "no"), default="yes", help="whether $ne matches records without the field (default yes)")
    parser.add_argument("--ready-delay", type=_seconds, default=0.0, metavar="SECONDS", help="how long a new index is not ready (default 0)")


def run(options: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM, then keep the data and return 0."""
    from migrator.local_pinecone.server import running  # noqa: PLC0415 - a tenth of a second that no other command needs

    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    with running(_settings(options), _folder(options.data), options.port) as server:
        answer = {"url": server.url, "pid": os.getpid(), "data": options.data, "environment": _environment(server.url, options.api_key)}
        output.show(answer, _text, as_json=options.json)
        stop.wait()
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    from migrator.local_pinecone.engine import Settings  # noqa: PLC0415

    return Settings(
        api_keys=frozenset(map(_key, options.api_key)) if options.api_key else None,
        freshness_lag=options.freshness_lag,
        rate_limits=options.rate_limits,
        ne_matches_missing=options.ne_matches_missing == "yes",
        ready_delay=options.ready_delay,
    )


def _key(given: str) -> str:
    return secrets.resolve(given, option="--api-key") if given.startswith("env:") else given


def _folder(given: str | None) -> Path | None:
    if given is None:
        return None
    folder = Path(given)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be used: {error.strerror}", fix="give another --data DIR", code="data_unwritable") from None
    return folder


def _environment(url: str, keys: list[str] | None) -> dict[str, str]:
    key = "any-key-will-do" if not keys else f"${{{keys[0][4:]}}}" if keys[0].startswith("env:") else keys[0]
    return {"PINECONE_CONTROLLER_HOST": url, "PINECONE_GRPC_SCHEME": "http", "PINECONE_API_KEY": key}


def _text(answer: Mapping[str, Any]) -> str:
    kept = f"kept in {answer['data']}" if answer["data"] else "in memory only"
    lines = [f"export {name}={value}" for name, value in answer["environment"].items()]
    return "\n".join([f"Pinecone's API at {answer['url']}, data {kept}", *lines, "Ctrl-C stops it"])


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds
