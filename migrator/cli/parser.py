"""The grammar of the command line."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from migrator import __version__
from migrator.cli import local_pinecone, proof_options
from migrator.errors import ConfigError
from migrator.records import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable

_EPILOG = """\
An endpoint is connector:resource?option=value, for example
  faiss:./photos.index?ids=ids.npy&metadata=meta.jsonl      faiss:./langchain_folder
  milvus:products?uri=./demo.db                             milvus:products?uri=http://host:19530&token=env:MILVUS_TOKEN
  parquet:./out                                             parquet:s3://bucket/prefix?endpoint=http://127.0.0.1:9000
Secrets are given by reference (env:NAME). The ledger of all runs lies in MIGRATOR_HOME (~/.vector-migrator).

exit codes: 0 done and proven; 1 finished but not equal, or records rejected; 2 bad usage or configuration;
            3 stopped by a store's error, resumable; 75 another process runs it; 130 interrupted, resumable
"""


_ENDPOINT = "connector:resource?option=value, e.g. faiss:./photos.index (python -m migrator --help shows more)"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments the way every other error is said."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message, fix=f"see: {self.prog} --help", code="bad_usage")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``python -m migrator``."""
    parser = _Parser(
        prog="python -m migrator",
        description="Move vector data between stores and prove the move.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    for name, summary, parts in _COMMANDS:
        command = commands.add_parser(name, help=summary, description=summary)
        command.add_argument("--json", action="store_true", help="print one JSON object on stdout")
        for part in parts:
            part(command)
    return parser


def _endpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("endpoint", metavar="ENDPOINT", help=_ENDPOINT)


def _pair(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=f"where records come from: {_ENDPOINT}")
    parser.add_argument("target", metavar="TARGET", help="where they go, written in the same way")


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run's id, as the runs command lists it")


def _plan_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("plan", metavar="plan.yaml", help="a file the plan or convert command or the dashboard wrote, or a config.json or migration.yaml")


def _config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="config.json | migration.yaml", help="the configuration of the Pinecone Index Migrator, or that of milvus-migration")


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("endpoints", metavar="RUN | SOURCE TARGET", nargs="+", help="a run's id, or two endpoints")


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", nargs="?", help="a run's id, as the runs command lists it")
    parser.add_argument("--check", metavar="FILE", help="tell whether a report file, .html or .json, is as it was made, and made here")


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_positive, default=8501, help="port to listen on (default 8501)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")


def _output(meaning: str) -> Callable[[argparse.ArgumentParser], None]:
    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-o", "--output", metavar="FILE", help=meaning)

    return add


def _dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="read and judge every record, write nothing")


def _selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--namespace", action="append", metavar="NS", help="only this namespace of the source; may be repeated")
    parser.add_argument("--target-namespace", metavar="NS", help="put every record into this namespace")
    parser.add_argument("--namespace-from", metavar="FIELD", help="route each record to the namespace its metadata field names")
    parser.add_argument(
        "--namespace-missing",
        default="keep",
        metavar="keep|default|reject|NS",
        help="records without a usable FIELD: keep their own namespace, take the default one, are rejected, or go to NS (default keep)",
    )
    parser.add_argument(
        "--id-encoding",
        choices=("reject", "percent", "decode"),
        default="reject",
        help="ids the target cannot spell: rejected, or percent-encoded; decode undoes that, in ids and namespaces of the source (default reject)",
    )
    parser.add_argument("--filter", type=_json_object, metavar="JSON", help='only records matching, e.g. \'{"year": {"$gte": 1900}}\'')
    parser.add_argument("--workers", type=_positive, default=2, metavar="N", help="parts of the source copied at once (default 2)")


def _planning(parser: argparse.ArgumentParser) -> None:
    _selection(parser)
    parser.add_argument("--batch", type=_positive, metavar="N", help="records a batch (default: the target's)")
    parser.add_argument("--new-only", action="store_true", help="skip ids the target holds already")
    parser.add_argument("--on-conflict", choices=("upsert", "skip", "fail"), help="what to do with ids the target holds already")
    parser.add_argument("--keep-overwritten", action="store_true", help="keep the target's records that are overwritten, for the rollback command to restore")
    parser.add_argument("--on-duplicate", choices=("fail", "first", "last"), default="fail", help="which record counts when the source has an id twice")
    parser.add_argument("--accept-lossy", action="store_true", help="go on although the plan says what will be lost")
    parser.add_argument("--executor", choices=("local", "ray"), default="local", help="where the work is done; only local is available yet")
    parser.add_argument("--route", choices=("direct", "staged"), default="direct", help="how records travel; staged: through files that the target imports")
    parser.add_argument("--staging", metavar="ENDPOINT", help="where the staged route writes these files: parquet:s3://bucket/prefix")


def _batches(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verify-batches", action="store_true", help="read each batch back from the target, and compare it, before it counts as copied")


def _delta(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--follow", action="store_true", help="go on after the first copy, pass after pass, until stopped (q + Enter, or: stop RUN)")
    parser.add_argument("--interval", type=_seconds, metavar="SECONDS", help="pause between two passes (default 60)")
    parser.add_argument("--deletes", action="store_true", default=None, help="remove from the target what is gone from the source")
    parser.add_argument("--changes", choices=("all", "new"), help="all compares contents (default); new compares ids only, so changed records stay as they are")
    parser.add_argument("--stamp", action="store_true", help="mark copied records in the source: migrated, migrated_at (reset removes exactly that)")


def _search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--samples", type=_positive, default=200, metavar="N", help="stored vectors to ask for, from every namespace (default 200)")
    parser.add_argument("--top-k", type=_positive, default=10, metavar="K", help="neighbours asked for (default 10)")
    parser.add_argument("--queries", metavar="FILE", help="your own queries in place of stored vectors: .npy, .json, .jsonl or .parquet")
    parser.add_argument("--filter", type=_json_object, metavar="JSON", help='search only records matching, e.g. \'{"year": {"$gte": 1900}}\'')
    parser.add_argument("--threshold", type=_share, default=0.95, metavar="T", help="recall of the target that is enough (default 0.95)")
    parser.add_argument("--namespace", action="append", metavar="NS", help="only this namespace of the target; may be repeated")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share above 0 and up to 1")
    return share


def _cutover(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", action="append", type=_pair_of, metavar="KEY=VALUE", help="then change the target's capacity; may be repeated")
    parser.add_argument("--alias", metavar="NAME", help="then let this alias of a Milvus target lead to it; applications that open NAME need no change")
    parser.add_argument("--rollback", action="store_true", help="only point the alias (NAME, or all that the run moved) back to where it led before")
    parser.add_argument("--delete-source", action="store_true", help="then delete the source; only with --confirm, only after the proof")
    parser.add_argument("--confirm", metavar="NAME", help="the exact name of the source that is to be deleted")


def _reset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--index-migrator", action="store_true", help="remove the stamps of the Pinecone Index Migrator, too")
    parser.add_argument("--namespace", action="append", metavar="NS", help="only this namespace; may be repeated")


def _repair(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--delete-extra", action="store_true", help="also delete the target's records that the source does not have; never in a merge")


def _rollback(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--confirm", metavar="NAME", help="the exact name of the target; without it, only say what would be done")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def _pair_of(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return name, value


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _json_object(text: str) -> Any:
    try:
        found = parse_json(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError("a filter is a JSON object")
    return found


_COMMANDS: tuple[tuple[str, str, tuple[Callable[[argparse.ArgumentParser], None], ...]], ...] = (
    ("inspect", "show dimension, metric, namespaces with counts, abilities", (_endpoint,)),
    ("doctor", "test the connection step by step", (_endpoint,)),
    ("copy", "plan, run and verify in one", (_pair, _planning, _batches, _delta, _dry_run)),
    ("plan", "look at both sides and write the plan", (_pair, _planning, _batches, _delta, _output("the plan file; stdout by default"))),
    ("run", "run a plan file, or a config.json", (_plan_file, _batches, _delta, _dry_run)),
    ("dump", "write the files of a staged plan, and prove them", (_plan_file, _dry_run)),
    ("load", "have the files of a staged plan loaded by the target, and prove it", (_plan_file, _dry_run)),
    ("convert", "turn another tool's configuration into a plan", (_config_file, _output("the plan file; stdout by default"))),
    ("runs", "list all runs, newest first", ()),
    ("status", "show one run", (_run,)),
    ("resume", "go on with a paused, interrupted, failed or cancelled run", (_run,)),
    ("pause", "pause a run, in whatever process it is", (_run,)),
    ("cancel", "stop a run, and an import it began; what was written stays, and resume can still go on with it", (_run,)),
    ("stop", "stop following: a last pass, then the proof", (_run,)),
    ("cutover", "last pass, proof, the new address and the way back; move an alias, scale and delete if asked", (_run, _cutover)),
    ("reset", "remove the stamps from a source, and nothing else", (_endpoint, _reset)),
    ("verify", "prove a run again, or two collections equal", (_verify, _selection, proof_options.options)),
    ("repair", "copy the records again that the last proof of a run found different, and prove it again", (_run, _repair)),
    ("rollback", "remove what a run wrote, restore what it kept, and drop the collection if it made it", (_run, _rollback)),
    ("search", "hold the searches of both sides to exact truth: recall, overlap, latency", (_run, _search)),
    ("report", "write the report of a run, or confirm one", (_report, _output("the file, .html or .json; without it, print where the report lies"))),
    ("serve", "start the dashboard", (_serve,)),
    ("local-pinecone", "serve Pinecone's API on this machine, for trying things without a key", (local_pinecone.options,)),
)
