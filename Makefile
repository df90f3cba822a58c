# Everything a newcomer needs: `make run` opens the dashboard, `make test` proves the code. Needs Python 3.11, git and a package index.
PYTHON  ?= python3.11
VENV    := .venv
BIN     := $(VENV)/bin
# the tests that share a real server or a browser stay on one worker each (tests/conftest.py); a third of the time is waiting for those,
# so a machine of two cores has room for three
WORKERS ?= 3
PYTEST  := $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup
HOST    ?= 127.0.0.1
PORT    ?= 8501

.DEFAULT_GOAL := help
.PHONY: help setup dev run demo test test-all lint format bench lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.runtime-installed  ## create .venv with the locked packages

dev: $(VENV)/.dev-installed  ## the same with the packages for tests and lint

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime-installed: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

# the development lock holds the runtime packages too, at the same versions
$(VENV)/.dev-installed: requirements-dev.txt $(VENV)/.runtime-installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

run: setup  ## the dashboard with the demo data ready, at http://127.0.0.1:8501
	$(BIN)/python -m demo build
	$(BIN)/python -m migrator serve --host $(HOST) --port $(PORT)

demo: setup  ## copy the demo data into Milvus Lite, prove it, ask both sides the same questions
	$(BIN)/python -m demo

test: dev  ## the tests, without those marked slow
	$(PYTEST) -m "not slow"

test-all: dev  ## all tests
	$(PYTEST)

lint: dev  ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev  ## let ruff format and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

SCALE ?= 1
bench: setup  ## ratios against plain pyarrow and pymilvus (SCALE=0.1 for a quick look)
	$(BIN)/python -m bench.run --scale $(SCALE)

# The runtime lock is constrained by the development lock, so that one environment satisfies both.
LOCK := build/lock/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-config --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet
lock:  ## renew requirements.txt and requirements-dev.txt from pyproject.toml
	$(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOCK) --extra dev -o requirements-dev.txt
	$(LOCK) -c requirements-dev.txt -o requirements.txt

clean:  ## remove the environment, caches and what was built
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
