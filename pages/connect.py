"""Connect: where the vectors come from and where they go."""

import streamlit as st

from ui import demo_data, endpoint_card, kit, plan_file, state

kit.heading(
    "Connect",
    "Pick where vectors come from and where they go. Keys stay in this server's memory; profiles you save and files you upload are stored on its disk.",
)
with st.container():  # always there: were it not, the cards would be built anew, and with them the field being typed in
    demo_data.button()
left, right = st.columns(2, gap="medium")
with left:
    endpoint_card.draw(state.SOURCE)
with right:
    endpoint_card.draw(state.TARGET)
ready = all(state.endpoint(side) for side in state.SIDES)
with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
    plan_file.opener()
    if not ready:
        st.caption("Describe both sides to go on.", width="content")
    if st.button("Continue to plan", type="primary", icon=":material/arrow_forward:", icon_position="right", disabled=not ready, key="continue"):
        st.switch_page("../pages/plan.py")
plan_file.outcome()
