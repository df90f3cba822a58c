"""What a browser session remembers, and the one Service all sessions share."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import streamlit as st

from migrator.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migrator.model import Step

SOURCE, TARGET = "source", "target"
SIDES = (SOURCE, TARGET)

_lock = threading.Lock()
_service: Service | None = None


def service() -> Service:
    """Return the process's Service. It lives in this module, not in a Streamlit cache: clearing caches must not orphan runs."""
    global _service  # noqa: PLW0603 - the one place where the process keeps it
    with _lock:
        if _service is None:
            _service = Service(yielding=True)
        return _service


def offers(verb: str) -> bool:
    """Return whether the service has ``verb``."""
    return hasattr(service(), verb)


def owner() -> str:
    """Return who is signed in, ``""`` where the dashboard asks nobody to."""
    return str(st.user.get("email") or st.user.get("sub") or "") if signs_in() else ""


def signs_in() -> bool:
    """Return whether an identity provider is configured (``[auth]`` in the Streamlit secrets)."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:  # no secrets file at all
        return False


def endpoint(side: str) -> str:
    """Return the endpoint described on the Connect page for ``side``, ``""`` when there is none yet."""
    return str(st.session_state.get(f"{side}_endpoint", ""))


def set_endpoint(side: str, text: str) -> None:
    """Remember the endpoint of ``side``."""
    st.session_state[f"{side}_endpoint"] = text


def steps(side: str) -> list[Step] | None:
    """Return the steps of the last connection test of ``side``, None when the endpoint changed since."""
    tested, found = st.session_state.get(f"{side}_steps", ("", None))
    return found if tested == endpoint(side) else None


def set_steps(side: str, found: Iterable[Step]) -> None:
    """Remember the steps of a connection test together with the endpoint they are about."""
    st.session_state[f"{side}_steps"] = (endpoint(side), list(found))


def runs() -> list[dict[str, Any]]:
    """Return the runs this user may see, newest first."""
    return service().runs(owner=owner() or None)


def chosen_run(known: list[dict[str, Any]]) -> str | None:
    """Return the run of the link (``?run=``), else the one last looked at, else the newest; None when there are none.

    None as well when the link's run is not among ``known`` (a mistyped id, or another user's run): another run's verdict must not pass for its own.
    """
    names = [run["run"] for run in known]
    if not names or unknown_run(known):
        return None
    wishes = (st.query_params.get("run"), st.session_state.get("chosen_run"))
    return choose_run(next((wish for wish in wishes if wish in names), names[0]))


def unknown_run(known: list[dict[str, Any]]) -> str:
    """Return the run the link asks for when it is not among ``known``, else ``""``."""
    wish = st.query_params.get("run", "")
    return "" if any(run["run"] == wish for run in known) else wish


def choose_run(run: str) -> str:
    """Remember ``run`` as the one looked at, here and in the address bar, and return it."""
    st.session_state["chosen_run"] = run
    if st.query_params.get("run") != run:
        st.query_params["run"] = run
    return run
