"""The dashboard's server."""

from __future__ import annotations

import sys

from streamlit.runtime.scriptrunner.exec_code import modified_sys_path

from app import ENTRY


def test_a_run_of_the_script_leaves_the_search_path_of_other_threads_alone():
    before = list(sys.path)
    with modified_sys_path(str(ENTRY)):
        assert sys.path == before
    assert sys.path == before
