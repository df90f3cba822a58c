"""The entry script of the dashboard: page settings, sign-in where it is configured, navigation."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ui import kit, state

ASSETS = Path(__file__).with_name("assets")
PAGES = {
    "connect": ("Connect", ":material/conversion_path:"),
    "plan": ("Plan", ":material/checklist_rtl:"),
    "run": ("Run", ":material/play_circle:"),
    "verify": ("Verify", ":material/fact_check:"),
    "export": ("Export", ":material/download:"),
}


def main() -> None:
    """Draw the page of the address bar, after the sign-in if there is one."""
    st.set_page_config(page_title="Vector Migrator", page_icon=str(ASSETS / "icon.png"), layout="wide")
    st.logo(str(ASSETS / "logo.svg"), size="large", icon_image=str(ASSETS / "icon.png"))
    if state.signs_in() and not st.user.is_logged_in:
        sign_in()
        return
    folder = Path(__file__).resolve().parents[1] / "pages"
    pages = [st.Page(folder / f"{name}.py", title=title, icon=icon, default=name == "connect") for name, (title, icon) in PAGES.items()]
    page = st.navigation(pages)
    if state.signs_in():
        with st.sidebar:
            st.caption(kit.plain(f"Signed in as {state.owner()}"))
            st.button("Sign out", icon=":material/logout:", on_click=st.logout, width="stretch")
    page.run()


def sign_in() -> None:
    """Ask for the sign-in; nothing else of the dashboard is drawn before it."""
    st.navigation([st.Page(lambda: None, title="Sign in")], position="hidden")
    with st.container(border=True, width=420):
        st.header("Vector Migrator")
        st.caption("Sign in to see and start migrations.")
        st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login)


main()
