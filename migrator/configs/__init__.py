"""Plans as files: our own ``plan.yaml``, and the configuration files of other tools turned into it."""

from migrator.configs.index_migrator import Conversion, convert
from migrator.configs.plan_file import dump_plan, from_data, load_plan, to_data
from migrator.configs.recognise import FileKind, kind_of

__all__ = ["Conversion", "FileKind", "convert", "dump_plan", "from_data", "kind_of", "load_plan", "to_data"]
