"""The verbs. Pages and the command line call nothing else: inspect, plan, start, steer, watch, prove, export."""

from migrator import configs, costs, planning, staging
from migrator.configs import Conversion
from migrator.inspection import Inspection
from migrator.model import Scope, Tolerance
from migrator.planning import PlanOptions
from migrator.runs import result, rollback, scopes
from migrator.runs.searches import SearchOptions
from migrator.service.home import default_home
from migrator.service.stores import staged_in, stores
from migrator.service.verbs import Service

__all__ = [
    "ROLLBACK_SHORTFALLS",
    "SHORTFALLS",
    "Conversion",
    "Inspection",
    "PlanOptions",
    "Scope",
    "SearchOptions",
    "Service",
    "Tolerance",
    "check_scope",
    "command",
    "convert_config",
    "cost_basis",
    "cost_sentences",
    "default_home",
    "dump_plan",
    "half",
    "kind_of_config",
    "load_plan",
    "money",
    "repriced",
    "staged_in",
    "stores",
]

command = planning.command
SHORTFALLS = result.SHORTFALLS
ROLLBACK_SHORTFALLS = rollback.SHORTFALLS
dump_plan = configs.dump_plan
load_plan = configs.load_plan
half = staging.half
convert_config = configs.convert
kind_of_config = configs.kind_of
repriced = costs.repriced
cost_basis = costs.basis
cost_sentences = costs.sentences
money = costs.money
check_scope = scopes.check
