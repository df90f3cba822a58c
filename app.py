"""The dashboard's server: ``python app.py`` or ``streamlit run app.py``.

The entry script is ``ui/main.py`` and not this file: were it beside ``pages/``, Streamlit would serve a deep link to a page
without the entry script, and so without the sign-in.
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st
from starlette.routing import Route

from ui import downloads

ENTRY = Path(__file__).resolve().with_name("ui") / "main.py"

# Streamlit puts the entry script's folder on sys.path for each run of the script and takes it off again, unless it is there. A thread that
# imports something meanwhile walks that list, skips a place and does not find an installed package: a migration failed of it.
if str(ENTRY.parent) not in sys.path:
    sys.path.append(str(ENTRY.parent))

app = st.App(
    ENTRY,
    routes=[Route("/api/files/{token}", downloads.send), Route("/api/health", downloads.health)],
)

if __name__ == "__main__":
    app.run()
