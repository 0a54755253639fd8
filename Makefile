# The whole developer manual: each target sets up .venv from the project's own files if it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types bench docs clean

$(VENV)/.user: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[report,explain]"
	touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.user
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,bench]"
	touch $@

demo: $(VENV)/.user          ## fit the peppered moths and Old Faithful, and write a page with pictures, faithful.html
	$(BIN)/latens demo moths
	@echo
	$(BIN)/latens demo faithful --report faithful.html

test: $(VENV)/.dev           ## all tests: laws, published numbers, docs, command line
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

bench: $(VENV)/.dev          ## speed beside peers, in one run: writes benchmarks/results.md; then many rows
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/drop_in.py
	$(BIN)/python benchmarks/big.py 1e7

docs: $(VENV)/.dev           ## build the site, every block executed, every warning an error: site/html/index.html
	$(BIN)/python -m sphinx -W --keep-going -q -j auto -b html -d site/doctrees docs site/html

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache site docs/examples docs/messages.md
