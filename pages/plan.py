"""Plan: what will be copied, how, and what stands in the way. Nothing is written until Start."""

import streamlit as st

from migrator.errors import MigratorError
from ui import cost_view, kit, plan_options, plan_view, state

kit.heading("Plan", "What will be copied, how fields map, and what it will take. Nothing is written until you start the run.")


def page(source: str, target: str) -> None:
    """Draw the plan from ``source`` to ``target``."""
    plan_options.set_defaults()
    collection = plan_view.inspected(source).collection
    figures = st.container()
    st.subheader("Namespaces", anchor=False)
    ticked = plan_view.namespaces(collection)
    problems = st.container()
    left, right = st.columns([3, 2], gap="medium")
    plan = None
    try:
        plan = plan_view.planned(source, target, plan_options.current(ticked))
    except MigratorError as error:
        with problems:
            kit.failure(error.message, error.fix)
    with right:
        st.subheader("Options", anchor=False)
        plan_options.draw(collection, consent=plan_view.lossy(plan))
    with left:
        plan_view.details(plan, source)
    if plan is not None:
        listed, plan = plan.estimate, cost_view.priced(plan)
        with figures:
            plan_view.figures(plan)
        with problems:
            plan_view.findings(plan)
        if plan.estimate.get("cost"):
            cost_view.draw(plan, listed)
        plan_view.as_command(plan)
    plan_view.start(plan, nothing=ticked == ())


ends = [state.endpoint(side) for side in state.SIDES]
if all(ends):
    with kit.guarded():
        page(*ends)
else:
    kit.nothing_yet("There is nothing to plan yet: describe a source and a target first.", "connect", "Go to Connect", ":material/conversion_path:")
