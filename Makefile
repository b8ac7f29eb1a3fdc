# Two commands for a new user: `make run` and `make test`. Both make the virtual environment they need. `make test-ray` has
# the tests that start Ray clusters, and `make test-all` both.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
PROCESSES ?= auto
INSTALL := $(BIN)/python -m pip install --quiet --no-compile
# pip would compile on one core, packages' own tests too. Files that are not Python are passed over, as pip does.
COMPILE := $(BIN)/python -m compileall -qq -j 0 -x /tests/ $(abspath $(VENV)/lib) || true
PYTEST := $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadscope --no-loadscope-reorder

.PHONY: run test test-ray test-all lint format clean

run: $(VENV)/.run
	$(BIN)/zerotune run quickstart

test: $(VENV)/.dev
	$(PYTEST) -m "not ray"

test-ray: $(VENV)/.dev
	$(PYTEST) -m ray tests

test-all: $(VENV)/.dev
	$(PYTEST)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.run: $(VENV)/bin/python pyproject.toml
	$(INSTALL) --editable .
	$(COMPILE)
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(INSTALL) --editable '.[dev,oracles]'
	$(INSTALL) --no-deps 'timm>=1.0,<2' 'torchvision==0.28.*'  # see pyproject.toml
	$(COMPILE)
	touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
