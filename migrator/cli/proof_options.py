"""The options of ``verify``: how much is compared, and how exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.service import Scope, Tolerance, check_scope

if TYPE_CHECKING:
    import argparse


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a proof's scope."""
    parser.add_argument(
        "--level", choices=("counts", "ids", "content"), default="content", help="what is compared; content has the others in it (default content)"
    )
    parser.add_argument("--sample", default="", metavar="N|N%", help="compare only so many records, the same ones on both sides")
    parser.add_argument("--tolerance", type=float, default=0.0, metavar="DELTA", help="vectors whose components differ by no more are equal, e.g. 1e-6")
    parser.add_argument("--normalised", action="store_true", help="bring the vectors of both sides to length 1 first (1e-6 is then tolerated)")
    parser.add_argument("--float16", action="store_true", help="round the vectors of both sides to float16 first")


def scope_of(options: argparse.Namespace) -> Scope:
    """Return the scope that was asked for. Raise ``ConfigError`` for what does not go together."""
    scope = Scope(options.level, options.sample, Tolerance(options.tolerance, options.normalised, options.float16))
    check_scope(scope)
    return scope
