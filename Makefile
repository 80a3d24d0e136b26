# Everything a user or a developer runs. Needs python3 (3.11 or newer) with venv and pip, and make; nothing else.
# Another Python: make PYTHON=python3.12 <target>.
# More words for the program behind a target: make demo ARGS=--once

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
CHOSEN := $(if $(filter file,$(origin PYTHON)),,--chosen)
ENVIRONMENT := @command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found; install Python 3.11 or newer"; exit 1; }; \
	$(PYTHON) requirements/install.py $(CHOSEN)

# pyright runs on the node that was installed with it and downloads nothing.
export PYRIGHT_PYTHON_GLOBAL_NODE := 0
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help install demo bench prove test check format lock clean providers-matrix install-dev install-node-sdks

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: ## qlaud into .venv, from hash-checked packages; then run .venv/bin/qlaud
	$(ENVIRONMENT) --project .venv build runtime

demo: install ## a gateway with a simulated provider, to try; ARGS=--once runs the tour and stops
	$(ENVIRONMENT) .venv demo
	@$(BIN)/qlaud demo $(ARGS)

prove: install-dev ## the spending cap under fire: many clients, one key, the provider's bill beside the ledger
	@$(BIN)/python -m bench.prove $(ARGS)

bench: install ## what the gateway adds to a call, measured here
	$(ENVIRONMENT) .venv bench
	@$(BIN)/python -m bench $(ARGS)

test: install-dev install-node-sdks ## every gate, then every test
	$(ENVIRONMENT) .venv-previous sdk-previous
	$(ENVIRONMENT) .venv-sdk sdk
	@$(MAKE) --no-print-directory --keep-going gates
	@echo "== pytest"
	$(if $(ARGS),,@rm -f build/matrix.json)
	@$(BIN)/python -m pytest $(ARGS)

check: install-dev ## the gates and the fast tests, before each commit
	@$(MAKE) --no-print-directory --keep-going gates
	@echo "== pytest (tidy, unit, properties)"
	@$(BIN)/python -m pytest $(wildcard tests/tidy tests/unit tests/properties) $(ARGS)

format: install-dev ## put the layout and the imports in order
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format .

lock: ## write requirements/*.txt from *.in; ARGS=--upgrade moves every pin
	$(ENVIRONMENT) build/lock lock
	@requirements/lock.sh build/lock/bin/uv $(ARGS); status=$$?; rm -rf build/lock; exit $$status

providers-matrix: install-dev ## write docs/providers.md from the registry and the last test runs
	@$(BIN)/python -m tests.support.providers_page

clean: ## remove the environments and what the tools left
	rm -rf .venv .venv-previous .venv-sdk .node-sdks build .ruff_cache .hypothesis .import_linter_cache src/*.egg-info

install-dev:
	$(ENVIRONMENT) --project .venv build dev

# The vendors' SDKs for Node, by the npm that came with .venv. Versions are pinned; nothing of them is run on installing.
NODE_SDKS := tests/e2e/sdk/node/package.json
install-node-sdks: install-dev
	@cmp -s $(NODE_SDKS) .node-sdks/.installed || { \
		echo "installing the SDKs for Node into .node-sdks"; rm -rf .node-sdks; mkdir .node-sdks; cp $(NODE_SDKS) .node-sdks/; \
		PATH="$(CURDIR)/$(BIN):$$PATH" npm install --prefix .node-sdks --ignore-scripts --no-package-lock --no-audit \
			--no-fund --loglevel=error && cp $(NODE_SDKS) .node-sdks/.installed; }

# A gate prints its name and its seconds, and its output where it fails. All of them run, also after a failure.
define gate
@start=$$(date +%s); out=$$($(1) 2>&1); status=$$?; \
	if [ $$status -ne 0 ]; then echo "$$out"; echo "== $(@:gate-%=%): FAILED"; exit $$status; fi; \
	echo "== $(@:gate-%=%): passed in $$(( $$(date +%s) - start )) s"
endef

.PHONY: gates gate-format gate-lint gate-types gate-layers
gates: gate-format gate-lint gate-types gate-layers
gate-format:
	$(call gate,$(BIN)/ruff format --check .)
gate-lint:
	$(call gate,$(BIN)/ruff check .)
gate-types:
	$(call gate,$(BIN)/pyright)
gate-layers:
	$(call gate,$(BIN)/lint-imports --no-cache)
