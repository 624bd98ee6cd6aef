# Commands for people. Targets that need `make setup` run it first; it only looks at lock files and cards if it was done before.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all bench lint lock doctor clean

VENV_PYTHON := .venv/bin/python
UV ?= uv
# Run two test files at a time, because most of them use one core, in the order of tests/conftest.py.
SPREAD := -n 2 --dist loadfile --no-loadscope-reorder
# Some environments tell Python not to keep what it has compiled. Each of the many processes that the tests start would
# compile this project anew.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: ## Make .venv with everything that the jobs and the tests need.
	@bash .ci/setup.sh

demo: setup ## Run the main job on a small model with its own data (minutes).
	$(VENV_PYTHON) -m jobs.pipeline --config conf/demo.yaml --pipeline-id demo

test: setup lint ## Run lint, type checks and all tests but the slow ones.
	$(VENV_PYTHON) -m pytest $(SPREAD) -m "not slow"

test-all: setup lint ## Run lint, type checks and all tests.
	$(VENV_PYTHON) -m pytest $(SPREAD)

bench: setup ## Compare speed and memory with llama.cpp's own programs (conf/docs/speed.md); BENCH="..." passes options.
	$(VENV_PYTHON) -m tests.bench $(BENCH)

lint: setup ## Run ruff and mypy.
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy

lock: ## Resolve the dependencies again (needs uv); the lock files hold hashes, but no addresses.
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 --extra dev pyproject.toml -o requirements.lock
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group convert -o requirements-convert.lock
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group build -o requirements-build.lock

doctor: setup ## Show what is missing on this machine.
	$(VENV_PYTHON) -m jobs.doctor

clean: ## Remove .venv and caches; keep runs.
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
