# What a person types. `make setup` comes first in everything that needs it and costs nothing when done.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all bench lint lock doctor clean

VENV_PYTHON := .venv/bin/python
UV ?= uv
# Two files of tests side by side: most of what they wait for uses one core. Whole jobs first: the longest come last else,
# when one of the two has nothing left to do.
SPREAD := -n 2 --dist loadfile --no-loadscope-reorder tests/jobs tests

help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: ## Make .venv with all that the jobs and the tests need.
	@bash .ci/setup.sh

demo: setup ## Run the main job on a small model and data of its own (minutes).
	$(VENV_PYTHON) -m jobs.pipeline --config conf/demo.yaml --pipeline-id demo

test: setup lint ## Lint, types and the tests, without the slow ones.
	$(VENV_PYTHON) -m pytest $(SPREAD) -m "not slow"

test-all: setup lint ## Lint, types and all tests.
	$(VENV_PYTHON) -m pytest $(SPREAD)

bench: setup ## Speed and memory beside llama.cpp's own programs (see README, "Speed"); BENCH="..." passes options.
	$(VENV_PYTHON) -m tests.bench $(BENCH)

lint: setup ## ruff and mypy.
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m mypy

lock: ## Resolve the dependencies anew (needs uv); hashes in it, addresses not.
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 --extra dev pyproject.toml -o requirements.lock
	$(UV) pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 --group convert -o requirements-convert.lock

doctor: setup ## Say what this machine lacks.
	$(VENV_PYTHON) -m jobs.doctor

clean: ## Remove .venv and caches; runs stay.
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
