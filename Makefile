# Peep: `make up` runs everything on this machine, `make test` tests it, `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.PHONY: up test test-all check bench lock clean help

lock: $(VENV)/.dev  ## write the lock files anew (names, versions, hashes; no addresses)
	$(COMPILE) $(UPGRADE) -o requirements.lock pyproject.toml
	$(COMPILE) $(UPGRADE) -c requirements.lock --extra local --group build -o requirements-local.lock pyproject.toml
	$(COMPILE) $(UPGRADE) -c requirements-local.lock --extra local --group dev -o requirements-dev.lock pyproject.toml
