"""What a move costs, in the words of whoever charges for it: price lists, what a move asks of a store, and the bill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections import abc

    from migrator.model.stores import Endpoint


@dataclass(frozen=True)
class Figure:
    """One figure of a price list: a price in dollars, or what is free of charge."""

    name: str
    """``<connector>.<what>``; how a prices file names it."""
    value: float
    unit: str
    """What the figure is of, as in ``million read units``."""
    per: float = 1.0
    """How many of a charge's units the price is for."""
    kind: Literal["price", "free"] = "price"
    """``free`` is an allowance a month, in a charge's units."""
    confirmed: bool = True
    """False where no price page says it."""


@dataclass(frozen=True)
class PriceList:
    """The figures a store's connector knows, of which day, and of which plan and region."""

    date: str
    """Of the price page, ISO."""
    basis: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Move:
    """What a plan asks of the stores of one connector."""

    source: Endpoint | None
    """None when another connector's."""
    source_kind: str
    """``Collection.kind``."""
    target: Endpoint | None
    target_kind: str
    """"" of a collection that is still to be made."""
    namespaces: abc.Mapping[str, int]
    """Records to be read in each namespace of the source."""
    record_bytes: float
    """Vector, id and metadata of a record, on average."""
    staged: bool = False
    looks_up: bool = False
    """Whether each id is looked up in the target before it is written."""
    present: int = 0
    """Records the target holds already."""
    stamps: bool = False
    follows: Literal["ids", "records"] | None = None
    """What each pass of a run that follows its source reads of all records; None of one that does not."""
    reads_back: bool = False
    """Whether each batch is looked up in the target once it is written."""


@dataclass(frozen=True)
class Charge:
    """One line of a bill."""

    what: str
    when: Literal["move", "month", "pass"]
    """Once; each month the data is kept; each pass of a run that follows its source."""
    quantity: float
    unit: str
    figure: str
    """Name of the price."""
    free: str = ""
    """Name of the allowance, if there is one."""


@dataclass(frozen=True)
class Bill:
    """What a store charges for a move."""

    charges: tuple[Charge, ...]
    notes: tuple[str, ...] = ()
    """What the figures leave out."""
    imaginary: bool = False
    """True of a server that costs nothing: the figures are those of the service it stands for."""
