# The only entry points: `make help` lists them. Everything lands in .venv and .demo inside the checkout.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PROGRAMS := operator syncjob sandbox webhook
# Called with TAG CONTEXT [OPTIONS]: builds an image and makes it known to the nodes of the cluster.
IMAGE_COMMAND ?= tools/kind_image.sh
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}'

$(READY): pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11: install a newer one, or name it: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) (about a minute, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: setup
setup: $(READY) ## Set up the development environment in .venv

.PHONY: demo
demo: $(READY) ## Run sync, audit and webhook service against a sandbox of 20,000 members
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/demo.sh

.PHONY: test
test: $(READY) ## Run the tests but those of cluster and release; REQUIRE=all fails when a part is missing
	@REQUIRE=$(REQUIRE) $(BIN)/python -m pytest --numprocesses=auto --dist=worksteal $(ARGS)

.PHONY: coverage
coverage: $(READY) ## Run the same tests, and tell what they leave out; takes twice as long, as programs start slowly
	@$(BIN)/coverage erase
	@REQUIRE=$(REQUIRE) $(BIN)/coverage run -m pytest --numprocesses=auto --dist=worksteal $(ARGS)
	@$(BIN)/coverage combine --quiet && $(BIN)/coverage report --skip-covered

.PHONY: cluster-test
cluster-test: $(READY) ## Run tests/cluster on the cluster that KUBECONFIG names, or on one that kind makes
	@bash tools/cluster_test.sh $(ARGS)

.PHONY: cluster-images
cluster-images: ## Build all images and hand them to the cluster; IMAGE_COMMAND says how (kind)
	@for program in $(PROGRAMS); do \
		$(IMAGE_COMMAND) mynatca-intercom/$$program:dev . -f images/$$program/Dockerfile; done

.PHONY: kind-up
kind-up: ## Install everything with the sandbox on a kind cluster of its own, and open it (Docker, kind, kubectl, helm)
	@bash tools/kind_up.sh

.PHONY: release
release: $(READY) ## Build chart, SBOMs, checksums and images into dist/; tools/release.sh has the settings (helm)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash tools/release.sh

.PHONY: release-test
release-test: $(READY) ## Run tests/release: build it twice, compare, sign, verify (helm, gpg)
	@$(BIN)/python -m pytest --numprocesses=2 tests/release $(ARGS)

.PHONY: check
check: $(READY) ## Lint, types, import rules, generated docs
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python tools/generate_docs.py --check

.PHONY: scan
scan: $(READY) ## Let checkov look at chart and Dockerfiles; .checkov.yaml says what is not asked, and why (helm)
	@bash tools/scan.sh

.PHONY: format
format: $(READY) ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

.PHONY: docs
docs: $(READY) ## Write the generated pages of docs/
	@$(BIN)/python tools/generate_docs.py

.PHONY: bench
bench: $(READY) ## Measure everything anew into benchmarks/results.json (about 25 minutes)
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.run $(ARGS)
	@$(BIN)/python tools/generate_docs.py

.PHONY: bench-cluster
bench-cluster: $(READY) ## Measure the operator on a cluster by all of cluster-test, into the same file
	@PYTHONPATH=tests $(BIN)/python -m benchmarks.cluster
	@$(BIN)/python tools/generate_docs.py

.PHONY: lock
lock: $(READY) ## Write requirements/*.txt anew from pyproject.toml (UPGRADE=--upgrade takes newer versions)
	@for program in $(PROGRAMS); do \
		$(COMPILE) $(UPGRADE) --extra $$program pyproject.toml -o requirements/$$program.txt; done
	@$(COMPILE) $(UPGRADE) --all-extras --group dev pyproject.toml -o requirements/dev.txt
	@$(COMPILE) $(UPGRADE) --group release -o requirements/release.txt
	@$(COMPILE) $(UPGRADE) --group scan -o requirements/scan.txt

.PHONY: clean
clean: ## Remove everything that make made
	@rm -rf $(VENV) .demo dist .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
