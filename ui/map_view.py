"""The embedding map of a run: drawn on request, since it reads from both sides, and kept until the next proof."""

from __future__ import annotations

import streamlit as st

from ui import kit, map_chart, state


def draw(run: str) -> None:
    """Draw the map of ``run`` in a card, or the button that makes it and what that costs."""
    maps = state.service().maps
    known = maps.known(run)
    if known is not None:
        number = len(known["ids"])
        kit.chart(f"Embedding map · PCA of {number:,} sampled vectors", map_chart.embedding_map(known), "chart_map")
        return
    with st.container(border=True, height="stretch", key="map_card"):
        st.markdown("**Embedding map**")
        with st.container(height="stretch", horizontal_alignment="center", vertical_alignment="center"):
            what = "Where a sample of the vectors lies on both sides, by their principal components: a dot in its ring arrived where it was."
            st.caption(what, text_alignment="center")
            st.caption(kit.plain(maps.cost()), text_alignment="center")
            pressed = st.button("Draw the map", icon=":material/scatter_plot:", key="map_draw")
        if pressed:
            with kit.guarded():
                with st.spinner("Reading a sample of both sides…"):
                    maps.draw(run)
                st.rerun()
