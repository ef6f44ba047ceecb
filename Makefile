# Every job of the project is one verb here. The only needs are Python 3.11-3.13, make and git.
SHELL := /bin/bash
PY := .venv/bin/python
ARGS ?=
SEEDS ?= 200000

.PHONY: help demo test lint format types bench simulate screenshots venv venv-dev lock schema clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

venv: .venv/.runtime  ## make .venv/ from the lock file
venv-dev: .venv/.dev

.venv/.runtime: requirements.lock pyproject.toml scripts/make_venv.sh
	@bash scripts/make_venv.sh requirements.lock && touch $@

.venv/.dev: requirements-dev.lock pyproject.toml scripts/make_venv.sh
	@bash scripts/make_venv.sh requirements-dev.lock && touch .venv/.runtime $@

demo: venv  ## the whole service against the bundled shop (ARGS=--scripted plays the story and ends)
	@$(PY) -m stockwright demo $(ARGS)

test: venv-dev lint  ## lint, types and every test (ARGS= goes to pytest)
	@bash scripts/run_tests.sh $(ARGS)

lint: venv-dev types  ## ruff (lint and format) and mypy, strict on src/
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

types: venv-dev
	@.venv/bin/mypy

format: venv-dev  ## rewrite the code in the one format
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

bench: venv-dev  ## measure latency and throughput here; writes bench/results/
	@$(PY) -m bench $(ARGS)

simulate: venv-dev  ## seeded faults: make simulate SEEDS=200000 (both depths and real processes)
	@$(PY) -m tests.simulation --seeds $(SEEDS) $(ARGS)

screenshots: venv-dev  ## every page of the admin site at two widths, light and dark, into screenshots/
	@PYTHONPATH=src:. $(PY) scripts/screenshots.py $(ARGS)

lock:  ## renew the lock files (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra build pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra build --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

schema: venv-dev  ## cut the schema slice again from the full Admin API schema
	@$(PY) scripts/cut_schema.py $(ARGS)

clean:  ## remove what make made
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis bench/results
