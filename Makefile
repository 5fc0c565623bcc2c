# Everything a contributor types. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := runtime tuidock themes bench tests

# Debian packages that the tests name (each test that needs a tool says so); installed by `make test` when root.
TEST_PACKAGES := nftables iproute2 busybox-static ca-certificates skopeo runc podman conmon docker.io docker-registry \
	apache2-utils openssl openssh-client git tinyproxy-bin
# The peers that `make bench` measures against, when they are installed.
PEER_PACKAGES := docker.io podman runc containernetworking-plugins docker-registry

PYTEST := $(BIN)/python -m pytest
ARGS ?=

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | while IFS=$$'\t' read -r target text; do printf '  make %-10s %s\n' "$$target" "$$text"; done

.PHONY: setup
setup: $(VENV)/.setup ## Make .venv and install tuidock into it (editable) as .venv/bin/tuidock

.PHONY: demo
demo: setup ## Build, run and show the load-balanced example (remove it with: .venv/bin/tuidock demo --down)
	$(BIN)/tuidock demo

.PHONY: test
test: $(VENV)/.dev ## Run every test (the engine tests need root; they skip without it, and fail so in CI)
	@.ci/packages $(TEST_PACKAGES)
	$(PYTEST) $(ARGS)

.PHONY: check
check: lint types contracts ## Lint, formatting, strict types and import contracts

.PHONY: lint
lint: $(VENV)/.dev ## Lint and formatting only
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

.PHONY: types
types: $(VENV)/.dev ## Strict types only
	$(BIN)/mypy

.PHONY: contracts
contracts: $(VENV)/.dev ## Import contracts only
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.dev ## Format the sources and sort their imports
	$(BIN)/ruff check --fix-only --select I $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: bench
bench: setup ## Measure against docker and podman (where installed) and the bare system calls
	$(BIN)/python -m bench $(ARGS)

.PHONY: peers
peers: ## Install docker and podman from Debian, for `make bench`
	@.ci/packages $(PEER_PACKAGES)

.PHONY: test-peers
test-peers: $(VENV)/.dev peers ## Run the tests that compare with docker, podman and runc
	$(PYTEST) tests/interop $(ARGS)

.PHONY: test-vm
test-vm: $(VENV)/.dev ## Run the engine tests under cgroup v2, in a virtual machine
	tests/vm/run $(ARGS)

.PHONY: clean
clean: ## Remove .venv and every cache (containers and images are left: see `tuidock system`)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@.ci/venv "$(PYTHON)" "$(VENV)"

# compat mode puts one plain path on sys.path; the default's import hook would cost every command 8 ms.
$(VENV)/.setup: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[dev]'
	@touch $@
