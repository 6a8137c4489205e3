# Two commands: `make demo` runs the main job, `make test` passes the tests. Both set everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

NATIVE := $(wildcard CMakeLists.txt cmake/* cpp/zkpfl/* cpp/bindings/* proto/zkpfl/v1/* src/zkpfl/ledger/*.vy)

.PHONY: demo test setup bench clean
demo: setup
	$(BIN)/zkpfl demo

test: setup
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not anvil and not slow and not kubo"

setup: $(VENV)/.installed

# The build tools first, so that the package itself is built with the very same pinned versions.
$(VENV)/.tools: constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "zkPFL needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet scikit-build-core pybind11 grpcio-tools vyper 'eth-hash[pycryptodome]'
	touch $@

$(VENV)/.installed: $(VENV)/.tools $(NATIVE)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[dev,digits]'
	touch $@

bench: setup
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable '.[dev,digits,bench]'
	$(BIN)/python -m pytest benchmarks --benchmark-only

clean:
	rm -rf $(VENV) build .nox
