"""Plans as files: our own ``plan.yaml``, and the configuration files of other tools turned into it."""

from migrator.configs import index_migrator, milvus_migration
from migrator.configs.conversion import Conversion
from migrator.configs.plan_file import dump_plan, from_data, load_plan, to_data
from migrator.configs.recognise import FileKind, kind_of

__all__ = ["Conversion", "FileKind", "convert", "dump_plan", "from_data", "kind_of", "load_plan", "to_data"]


def convert(text: str) -> Conversion:
    """Return what the ``config.json`` or ``migration.yaml`` in ``text`` asks for. Raise ``ConfigError`` naming what is wrong, and the cure."""
    return milvus_migration.convert(text) if kind_of(text) == "migration" else index_migrator.convert(text)
