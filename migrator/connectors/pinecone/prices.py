"""Pinecone's prices, as its public price page of one day gives them. Data only: what a move uses is in ``metering``."""

from __future__ import annotations

from migrator.model import Figure, PriceList

MILLION = 1_000_000.0

READ_UNITS = Figure("pinecone.read_units", 16.00, "million read units", MILLION)
WRITE_UNITS = Figure("pinecone.write_units", 4.00, "million write units", MILLION)
STORAGE = Figure("pinecone.storage", 0.33, "GB kept a month")
EGRESS = Figure("pinecone.egress", 0.10, "GB of egress")
FREE_EGRESS = Figure("pinecone.free_egress", 100.0, "GB of egress a month", kind="free")
BULK_IMPORT = Figure("pinecone.bulk_import", 1.00, "GB imported", confirmed=False)

PRICES = PriceList(
    date="2026-11-04",
    basis="Pinecone's Standard plan, on demand, AWS us-east-1",
    figures=(READ_UNITS, WRITE_UNITS, STORAGE, EGRESS, FREE_EGRESS, BULK_IMPORT),
)
LEAST_A_MONTH = 50
"""Dollars the Standard plan costs, whatever is used."""
HOME = ("aws", "us-east-1")
"""Cloud and region the prices are of."""
ELSEWHERE = "up to $18 a million read units and $4.50 a million write units"
"""What the same page says of other regions."""

# How use is counted: the documentation's "Understanding cost", with 1 KB as 1,000 bytes, which errs on the dear side.
FETCHED_A_READ_UNIT = 10
BYTES_A_WRITE_UNIT = 1_000
LEAST_WRITE_UNITS = 5
"""A request; not confirmed."""
GB = 1_000_000_000
