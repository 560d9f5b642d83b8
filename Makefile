# What a newcomer types: `make quickstart`, `make test`. Each sets up what it needs in .venv.
.DEFAULT_GOAL := help
.PHONY: help install quickstart bench test test-all lint format check constraints clean

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
BIN := .venv/bin
# Never fetch an interpreter: the machine's own Python is what is used.
export UV_PYTHON_DOWNLOADS := never
# Some images forbid Python to keep what it compiles; each process would compile torch anew, for some 15 s.
export PYTHONDONTWRITEBYTECODE :=

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "Graft needs Python >= 3.10; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.installed: pyproject.toml constraints.txt $(filter .uv/bin/uv,$(UV))
	$(UV) venv --quiet --clear --python "$$(command -v $(PYTHON))" .venv
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r constraints.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

install: .venv/.installed  ## everything into .venv, nothing outside this folder

quickstart: .venv/.installed  ## train a source network on glyphs, graft it on digits, show what it gained
	$(BIN)/python experiments/quickstart/run.py

bench: .venv/.installed  ## ours against the usual way: a step, the start, images, the feature cache, a GPU
	set -e; for script in step startup images cache gpu; do \
	  file=experiments/speed/$$script.py; \
	  if [ -e $$file ]; then echo "== $$file"; OMP_NUM_THREADS=1 $(BIN)/python $$file; fi; \
	done

test: .venv/.installed  ## the fast tests
	$(BIN)/python -m pytest -n auto --dist loadscope -m "not slow"

test-all: .venv/.installed  ## the fast and the slow tests
	$(BIN)/python -m pytest -n auto --dist loadscope

lint: .venv/.installed  ## style, docstrings, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.installed  ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: lint test  ## what CI runs

constraints: $(filter .uv/bin/uv,$(UV))  ## choose new versions for constraints.txt
	$(UV) pip compile --universal --python-version 3.10 --upgrade --generate-hashes --group dev --extra optuna --extra joblib --extra submitit --extra labels --extra timm --extra imagenet --extra audio --extra transformers --extra hf --extra onnx --extra serve \
	  --no-header --no-annotate --no-emit-index-url --quiet pyproject.toml -o constraints.txt

clean:  ## remove what was installed and built here (runs in outputs/ stay)
	rm -rf .venv .uv dist build .pytest_cache .ruff_cache .mypy_cache
