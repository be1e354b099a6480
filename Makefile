# Everything a contributor types. Needs Python 3.11 or later and make; the rest installs itself
# into .venv, from a lock with hashes and without addresses.
#
#   make demo    the two-minute tour          make check   fast loop: style, types, fast tests
#   make test    every test                   make fix     repair what a tool can repair
#   make docs    the site, strict             make bench   measure, write benchmarks/RESULTS.md
#   make faults  kill and restart, SEED=, FROM=             make ledger  requirements that have a test
#   make lock    resolve the lock again (UPGRADE=1: newest) make dist    wheel and sdist
#   make spark   install Spark for its tests (needs Java)
#
# ARGS="…" is handed on to demo, test, faults, bench and ledger; such as, for a team's servers, its
# workers and its PostgreSQL, killed in turn: make faults ARGS="--only team --team 288"

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

VENV ?= .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
WORKERS ?= auto
ARGS ?=
SEED ?=
FROM ?=
UPGRADE ?=
LEDGER ?= ../shared/design/ledger.csv

# The lock of the environment wins over whatever is set for other projects on this machine.
unexport PYTHONPATH
unexport VIRTUAL_ENV
# Images of containers often set this. Compiled code that is not kept is compiled again by every
# process: that doubles the start of a server, and triples the time in which tests are collected.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help:
	@sed -n 's/^#   /  /p' Makefile

# ------------------------------------------------------------------------------ environment

$(BIN)/python:
	@python=; for name in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	  if command -v $$name >/dev/null 2>&1 \
	    && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "no Python 3.11 or later on the path; install one, or say make PYTHON=/path/to/python" >&2; \
	  exit 4; \
	fi; \
	echo "making $(VENV) with $$($$python --version)"; \
	$$python -m venv $(VENV) || { \
	  echo "$$python cannot make an environment; on Debian and Ubuntu install python3-venv" >&2; \
	  rm -rf $(VENV); exit 4; }

$(BIN)/.uv: requirements/uv.txt | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements/uv.txt || { \
	  echo "uv could not be installed; check the package index pip is set up with, then repeat" >&2; \
	  exit 4; }
	@touch $@

# uv is fast but reads its own settings only. Where just pip knows the way to an index, pip installs
# the same files, checked against the same hashes.
define install
	@echo "installing $(1)"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r $(1) || { \
	  echo "uv could not install $(1); trying pip, which may know another index" >&2; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1); } || { \
	  echo "neither uv nor pip could install $(1); check the network and the package index" >&2; \
	  exit 4; }
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline -e .
	@touch $@
endef

$(BIN)/.demo: requirements/demo.txt pyproject.toml $(BIN)/.uv
	$(call install,requirements/demo.txt)

$(BIN)/.dev: requirements/dev.txt pyproject.toml $(BIN)/.uv
	$(call install,requirements/dev.txt)
	@touch $(BIN)/.demo

.PHONY: env
env: $(BIN)/.dev

# Resolved for Python 3.11 and later on every platform. No address of an index stays in the files.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --no-config \
  $(if $(UPGRADE),--upgrade)

# Spark for its own tests: half a gigabyte, so only where it is wanted. Needs Java.
$(BIN)/.spark: requirements/spark.txt $(BIN)/.dev
	$(call install,requirements/spark.txt)

.PHONY: spark
spark: $(BIN)/.spark

.PHONY: lock
lock: $(BIN)/.uv
	$(COMPILE) pyproject.toml --extra bulk --extra learn --group build -o requirements/demo.txt
	$(COMPILE) pyproject.toml --extra all --group dev -c requirements/demo.txt -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra spark -c requirements/dev.txt -o requirements/spark.txt
	echo "uv>=0.8" | $(COMPILE) - -o requirements/uv.txt
	@if grep -nE '://|^-|^ *--(index|find|extra)' requirements/*.txt; then \
	  echo "the lock names an address; it must not" >&2; exit 1; fi

# ------------------------------------------------------------------------------ running

.PHONY: demo
demo: $(BIN)/.demo
	@$(BIN)/handrail demo $(ARGS)

# ------------------------------------------------------------------------------ checking

PYTEST = $(BIN)/python -m pytest

.PHONY: test
test: $(BIN)/.dev
	@$(PYTEST) -n $(WORKERS) --dist worksteal $(ARGS)

.PHONY: check static format lint imports types words deps fast
check: $(BIN)/.dev
	@$(MAKE) --no-print-directory -j$(STATIC) $(SYNC) static
	@$(MAKE) --no-print-directory fast

# Side by side, and what each says stays together where make can do that.
STATIC ?= 3
SYNC = $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
static: format lint imports types words deps

format: $(BIN)/.dev
	@$(BIN)/ruff format --check .

lint: $(BIN)/.dev
	@$(BIN)/ruff check .

imports: $(BIN)/.dev
	@$(BIN)/lint-imports

types: $(BIN)/.dev
	@$(BIN)/mypy

words: $(BIN)/.dev
	@$(BIN)/typos

deps: $(BIN)/.dev
	@$(BIN)/deptry handrail

fast: $(BIN)/.dev
	@$(PYTEST) -n $(WORKERS) --dist worksteal -q -m "not slow" --hypothesis-profile=quick $(ARGS)

.PHONY: fix
fix: $(BIN)/.dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/python -m tests.docs.reference --write

.PHONY: docs
docs: $(BIN)/.dev
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "site/index.html"

.PHONY: bench
bench: $(BIN)/.dev
	@$(BIN)/python benchmarks/run_all.py $(ARGS)

.PHONY: faults
faults: $(BIN)/.dev
	@$(BIN)/python -m tests.faults.run $(if $(SEED),--seed $(SEED)) $(if $(FROM),--from $(FROM)) $(ARGS)

.PHONY: ledger
ledger: $(BIN)/.dev
	@$(BIN)/python -m tests.ledger --file $(LEDGER) $(ARGS)

.PHONY: dist
dist: $(BIN)/.dev
	@$(UV) build --quiet --no-build-isolation --offline --python $(BIN)/python

.PHONY: clean
clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist site
