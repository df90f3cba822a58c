"""Parameters of tests that would take too long all together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def rest_slow(values: Iterable[Any], fast: int = 1) -> Iterator[Any]:
    """Yield the parameters; those after the first ``fast`` run only behind ``make test-all``."""
    for number, value in enumerate(values):
        yield value if number < fast else pytest.param(*value if isinstance(value, tuple) else (value,), marks=pytest.mark.slow)
