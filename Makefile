# Everything people type, from a bare machine on: Python 3.11-3.13, make and a package index are enough.
# Two environments, so that running and testing never disturb each other: .venv holds the service in the
# variant asked for, .venv-dev the cpu variant with the tools. requirements/install.py makes both.

VARIANT ?= auto
EXTRAS ?=
FUZZ ?=
BENCH ?=
GPU ?=

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help install run demo test test-openvino check lint format fuzz bench bench-gpu docs lock clean dev

# The first Python that starts and has the right version (a shim on PATH may do neither).
CANDIDATES = $(if $(PYTHON),"$(PYTHON)",python3.11 python3.12 python3.13 python3 python)
RIGHT = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
SET_UP = for python in $(CANDIDATES); do \
	if "$$python" -c '$(RIGHT)' >/dev/null 2>&1; then \
		exec "$$python" requirements/install.py "$$@"; \
	fi; done; \
	echo 'ocrdet needs Python 3.11, 3.12 or 3.13. None of these is one:' $(CANDIDATES) >&2; \
	echo 'Install one, or name it: make PYTHON=/path/to/python3.12' >&2; exit 1

help: ## list what can be typed (this)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  VARIANT=cpu, gpu or openvino (now: $(VARIANT)) chooses the engine; PYTHON=... the interpreter'
	@echo '  EXTRAS="pdf eval" also installs what reads PDF files, and what ocrdet eval needs; it stays'

install: ## set up .venv with the locked packages and the project
	@set -- --venv .venv --variant $(VARIANT) --extras '$(EXTRAS)'; $(SET_UP)

run: install ## set up and serve on 127.0.0.1:8000
	@exec .venv/bin/ocrdet serve

demo: install ## detect on examples/sample.png; the picture and the JSON go to build/demo
	@mkdir -p build/demo
	@if [ ! -f examples/sample.png ]; then \
		echo 'drawing examples/sample.png'; .venv/bin/python examples/draw_sample.py; fi
	@echo 'detecting on examples/sample.png'
	@.venv/bin/ocrdet detect examples/sample.png --draw build/demo > build/demo/sample.json
	@echo 'wrote:'; ls build/demo/*

dev:
	@set -- --venv .venv-dev --variant dev; $(SET_UP)

test: dev ## run all tests
	@echo 'pytest: unit, contract and system tests'
	@.venv-dev/bin/python -m pytest

test-openvino: dev ## set up the OpenVINO variant beside the others and run its tests
	@set -- --venv .venv-openvino --variant openvino; $(SET_UP)
	@echo 'pytest: the OpenVINO variant'
	@.venv-dev/bin/python -m pytest tests/system/test_openvino.py

check: lint test ## run every check: style, types, floors, tests

lint: dev
	@echo 'ruff check: style'
	@.venv-dev/bin/ruff check --quiet
	@echo 'ruff format: layout'
	@.venv-dev/bin/ruff format --quiet --check --diff
	@echo 'mypy: types'
	@.venv-dev/bin/mypy $(wildcard src requirements tests bench/*.py bench/peers/*.py docs/*.py examples/*.py)
	@echo 'import-linter: floors'
	@.venv-dev/bin/lint-imports --no-logo

format: dev ## put the code into its layout
	@.venv-dev/bin/ruff check --quiet --fix-only
	@.venv-dev/bin/ruff format

fuzz: dev ## send odd bodies through everything for a minute or two (see docs/fuzzing.md)
	@.venv-dev/bin/python -m tests.fuzz.run $(FUZZ)

bench: dev ## measure, about 35 minutes on a machine at rest; writes docs/performance.md
	@set -- --venv .venv-openvino --variant openvino; $(SET_UP)
	@.venv-dev/bin/python -m bench.run --openvino .venv-openvino/bin/python $(BENCH)

bench-gpu: ## measure on a machine with an NVIDIA card, under eight minutes; writes docs/performance-gpu.md
	@set -- --venv .venv --variant gpu --extras '$(EXTRAS)'; $(SET_UP)
	@.venv/bin/python -m bench.gpu $(GPU)

docs: dev ## write the generated documents anew
	@.venv-dev/bin/python docs/generate.py

lock: dev ## write requirements/*.lock anew from pyproject.toml; UPGRADE=1 takes the newest versions
	@UV=.venv-dev/bin/uv UPGRADE=$(UPGRADE) requirements/lock.sh

clean: ## remove the environments and everything made
	rm -rf .venv .venv-dev .venv-openvino build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
