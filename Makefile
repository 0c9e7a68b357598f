# Everything installs itself into .venv first; a machine needs Python (3.11 or newer), make and git.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
BIN := .venv/bin
INSTALLED := .venv/.installed
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header
IMAGE ?= pod-exporter:$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
BUILDER ?= $(firstword $(foreach tool,docker podman buildah,$(if $(shell command -v $(tool)),$(tool))))
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test check test-cluster image bench docs pictures lock clean

help: ## say what the targets do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## set up .venv from requirements/dev.lock, if either has changed

$(INSTALLED): requirements/dev.lock pyproject.toml
	@test -n "$(PYTHON)" || \
		{ echo "make: no Python 3.11 or newer found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "make: $(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: install ## run the exporter against a simulated cluster (ARGS="--for=60s")
	$(BIN)/pod-exporter demo $(ARGS)

test: install ## run all tests that need no cluster (ARGS="-k scrape")
	$(BIN)/python -m pytest $(ARGS)

check: install ## check form, types, layers and generated files
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_docs.py

test-cluster: install ## run the tests against a real node (Debian, root; builds Kubernetes the first time)
	tests/cluster/install.sh
	$(BIN)/python -m tests.cluster.build
	$(BIN)/python -m tests.cluster.programs
	$(BIN)/python -m tests.cluster.image
	POD_EXPORTER_CLUSTER=1 $(BIN)/python -m tests.cluster.box $(BIN)/python -m pytest tests/cluster $(ARGS)

image: ## build the container image (IMAGE=name:tag BUILDER=docker|podman|buildah ARGS="--build-arg BASE=…")
	@test -n "$(BUILDER)" || { echo "make: no docker, podman or buildah found" >&2; exit 1; }
	$(BUILDER) build --tag $(IMAGE) $(ARGS) .

bench: install ## measure memory, CPU and latency beside what one would write with the usual libraries (ARGS="--quick")
	$(BIN)/python -m tests.bench $(ARGS)

docs: install ## write the generated pages anew
	$(BIN)/python -m tools

pictures: install ## draw docs/pictures anew from six minutes of the demo; needs Prometheus (ARGS="--minutes=10")
	$(BIN)/python -m tools.pictures $(ARGS)

lock: install ## write the lock files anew from pyproject.toml
	$(LOCK) --all-extras pyproject.toml -o requirements/dev.lock
	$(LOCK) -c requirements/dev.lock pyproject.toml -o requirements/image.lock
	echo 'hatchling' | $(LOCK) -c requirements/dev.lock - -o requirements/build.lock

clean: ## remove .venv and everything else that was made
	rm -rf .venv build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
