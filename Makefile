# bucle: two commands for newcomers, `make demo` and `make test`; the rest is for those who work on it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/development.lock
BOOTSTRAP := requirements/bootstrap.lock
STAMP := $(VENV)/.installed

.PHONY: install demo test lint check-all bench screenshots lock wheel clean

install: $(STAMP)

$(STAMP): $(LOCK) $(BOOTSTRAP) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "bucle needs Python 3.11, 3.12 or 3.13; this is $$($(PYTHON) --version). Set PYTHON=python3.12, say."; exit 1; }
	@command -v git >/dev/null || { echo "bucle needs git: install it with your system's package manager."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement $(BOOTSTRAP)
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes $(LOCK)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: install
	$(BIN)/bucle demo $(if $(KEEP),--keep)

# System packages that tests need are installed where that is allowed; else make stops and names them. $(call need,PROGRAM,PACKAGE)
define need
	@command -v $(1) >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -qq -y install $(2) >/dev/null; } || \
	  { echo "The tests need $(1): install your system's package $(2)."; exit 1; }
endef

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Two workers: a laptop and CI have at least two cores; a file's tests stay together, since they share what was dear to make.
PYTEST := $(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile

test: lint
	$(call need,chromium,chromium)
	$(call need,openssl,openssl)
	$(PYTEST) -m "not slow"

check-all: lint
	$(call need,chromium,chromium)
	$(call need,openssl,openssl)
	$(call need,prometheus-alertmanager,prometheus-alertmanager)
	$(PYTEST)

bench: install
	@for file in $(filter-out bench/screenshots.py,$(wildcard bench/*.py)); do echo "== $$file"; $(BIN)/python $$file || exit 1; done

# Pictures of the pages of a running server (bucle demo --keep); needs the system package chromium.
screenshots: install
	@test -n "$(URL)" || { echo "usage: make screenshots URL=http://127.0.0.1:8000"; exit 1; }
	$(BIN)/python -m bench.screenshots $(URL)

# The locks name every package with its hashes and no index address.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock:
	$(COMPILE) --extra sklearn --extra demo --group dev --output-file $(LOCK) pyproject.toml
	echo uv | $(COMPILE) --output-file $(BOOTSTRAP) -

wheel: install
	$(BIN)/python -m hatchling build --target wheel

clean:
	rm -rf $(VENV) dist
