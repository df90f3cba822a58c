"""The ledger: one SQLite file with every run, its splits, checkpoints, rejected records and log. The truth about what was done."""

from migrator.ledger.database import Ledger

__all__ = ["Ledger"]
