# One entry per task, the same for people and CI. `make demo` and `make test` need nothing but Python 3.11+, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test e2e latency vsix check format install foundation eval-infilling clean help

help:  ## List the tasks.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

$(VENV)/.installed: pyproject.toml tools/install
	PYTHON=$(PYTHON) sh tools/install $(VENV)
	@touch $@

install: $(VENV)/.installed  ## Install everything into .venv.

demo: $(VENV)/.installed  ## Bring the base model and run the main job: complete, learn, compare, roll back.
	$(BIN)/tailora model pull
	$(BIN)/tailora demo

test: $(VENV)/.installed  ## Run all tests (brings the base model for those that need it).
	$(BIN)/tailora model pull
	$(BIN)/pytest --durations=20

vsix: $(VENV)/.installed  ## Build the VS Code extension, out/tailora.vsix, with the language server in it (needs Node.js and npm).
	sh tools/vsix $(BIN)/python

e2e: $(VENV)/.installed  ## Bring real editors into .editors (about 1.5 GB) and test in them, with the real model.
	$(BIN)/tailora model pull
	tools/editors .editors
	sh tools/vsix $(BIN)/python
	$(BIN)/pytest -m editors

latency: $(VENV)/.installed  ## How much later than the server was done a suggestion stands on each editor's screen (after e2e).
	PYTHONPATH=tests/e2e:tests/e2e/editors:tests/server/lsp $(BIN)/python tests/e2e/editors/latency.py

check: $(VENV)/.installed  ## Lint, formatting and types.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.installed  ## Format and mend what can be mended.
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

foundation: $(VENV)/.installed  ## Train a foundation adapter anew (about 45 minutes on 2 cores; MODEL=name: of another model).
	$(BIN)/tailora model pull $(MODEL)
	$(BIN)/python -m tailora_adapters.foundation.build $(if $(MODEL),--model $(MODEL))

eval-infilling: $(VENV)/.installed  ## HumanEval single-line infilling: base against foundation adapter.
	$(BIN)/tailora eval infilling --every 7

clean:  ## Remove the virtual environment and caches.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
