"""Vector Migrator: moves vector data between stores and proves the move."""

__version__ = "0.1.0"
