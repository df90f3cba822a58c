"""The dashboard's server: ``python app.py`` or ``streamlit run app.py``.

The entry script is ``ui/main.py`` and not this file: were it beside ``pages/``, Streamlit would serve a deep link to a page
without the entry script, and so without the sign-in.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.routing import Route

from ui import downloads

app = st.App(
    Path(__file__).resolve().with_name("ui") / "main.py",
    routes=[Route("/api/files/{token}", downloads.send), Route("/api/health", downloads.health)],
)

if __name__ == "__main__":
    app.run()
