"""Runs: the phases of one, the threads and locks they live in, and how they look from outside."""

from migrator.runs.manager import Manager

__all__ = ["Manager"]
