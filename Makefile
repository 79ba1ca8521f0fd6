# `make demo` and `make test` need Python 3.10 or newer and a package registry, and
# nothing else: they make their own virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKDIR ?= runs/demo

.PHONY: demo test test-all lint format clean

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -c "import sys; v = sys.version_info; assert v >= (3, 10), 'bt_keras needs Python 3.10 or newer, this is %d.%d: make PYTHON=python3.11' % v[:2]"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[test]'
	touch $@

# A finished run is not trained again: remove its folder to start over.
demo: $(VENV)/installed
	$(BIN)/bt-keras pretrain --config configs/demo.py --workdir $(WORKDIR)
	$(BIN)/bt-keras evaluate --workdir $(WORKDIR) --untrained
	$(BIN)/bt-keras evaluate --workdir $(WORKDIR)
	rm -rf $(WORKDIR)/module
	$(BIN)/bt-keras export --workdir $(WORKDIR)
	@echo
	$(BIN)/bt-keras report --workdir $(WORKDIR)

test: $(VENV)/installed
	$(BIN)/python -m pytest -m "not slow"

test-all: $(VENV)/installed
	$(BIN)/python -m pytest

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info
