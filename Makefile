# `make demo` and `make test` need Python 3.10 or newer and a package registry, and
# nothing else: they make their own virtual environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKDIR ?= runs/demo

# `make bench`: the environment of the peers (5 GB), flags (BENCH=--quick), and the
# location of CIFAR-10.
PEERS := .venv-bench
BENCHMARKS := bench-machine bench-loss bench-views bench-step bench-fit bench-epoch bench-start bench-folder bench-replicas bench-features
BENCH ?=
CIFAR10 ?= tfds:cifar10

.PHONY: demo test test-slow test-gpu test-browser test-formats test-all test-lowest lint format docs clean bench $(BENCHMARKS)

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
	rm -rf $(WORKDIR)/module $(WORKDIR)/module.tar.gz
	$(BIN)/bt-keras export --workdir $(WORKDIR)
	@echo
	$(BIN)/bt-keras report --workdir $(WORKDIR)

# Two test processes: most of a test is tracing, which takes one core. XLA keeps what it
# has compiled until a process ends, so that three runs in turn need less memory than one.
# A GPU is hidden: the tests expect the numbers of a CPU.
TESTS := CUDA_VISIBLE_DEVICES=-1 $(BIN)/python -m pytest -n 2 --dist worksteal
VIEWS := tests/augmentation
TRAINING := $(addprefix tests/,data checkpoint evaluation losses model networks \
	optimizers training)
FAST := -m "not slow and not browser and not formats"
OTHERS := tests $(addprefix --ignore=,$(VIEWS) $(TRAINING))

test: $(VENV)/installed
	$(TESTS) $(FAST) $(VIEWS)
	$(TESTS) $(FAST) $(TRAINING)
	$(TESTS) $(FAST) $(OTHERS)

# Tests that take long or start several processes; SLOW=PATHS runs those of some folders.
SLOW ?= tests
test-slow: $(VENV)/installed
	$(TESTS) -m slow $(SLOW)

# What only a GPU can check. GPU=--pretend-gpu runs the same tests on a CPU that takes a
# GPU's paths.
test-gpu: $(VENV)/installed
	$(BIN)/python -m pytest -m gpu $(GPU) tests/gpu

$(VENV)/installed-browser: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[browser]'
	touch $@

# The page of `bt-keras report` in Chromium, which has to be installed, as does
# chromedriver: on Debian, apt-get install chromium chromium-driver.
test-browser: $(VENV)/installed-browser
	CUDA_VISIBLE_DEVICES=-1 $(BIN)/python -m pytest -m browser tests/report

$(VENV)/installed-formats: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[test,formats]'
	touch $@

# Presets of keras_hub, on TensorFlow and JAX.
test-formats: $(VENV)/installed-formats
	$(TESTS) -m formats tests/export

test-all: test test-slow

# The lowest versions that setup.cfg allows, in an environment of their own: the numbers,
# `fit`, checkpoints, modules and the sources of images.
LOWEST := .venv-lowest
CORE := $(addprefix tests/,test_private_names.py checkpoint losses model \
	optimizers data/test_tfds_source.py export/test_export_backbone.py hub)

$(LOWEST)/installed: setup.cfg tests/lowest-versions.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/pip install --quiet --upgrade pip
	$(LOWEST)/bin/pip install --quiet --constraint tests/lowest-versions.txt --editable '.[test]'
	touch $@

test-lowest: $(LOWEST)/installed
	$(LOWEST)/bin/python -m pytest -n 2 --dist worksteal -m "not slow" $(CORE)

# What users run. PLW1514, a preview rule: without an encoding, Windows does not read
# and write UTF-8.
SHIPPED := bt_keras configs docs examples export

lint: $(VENV)/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/ruff check --preview --select PLW1514 $(SHIPPED)
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[docs]'
	touch $@

# The site of docs/ and of the public API, in site/.
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(PEERS)/installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --upgrade pip
	$(PEERS)/bin/pip install --quiet --requirement benchmarks/peers.txt
	touch $@

# One after the other, also with -j: each needs all cores.
bench:
	@for name in $(BENCHMARKS); do $(MAKE) --no-print-directory $$name || exit 1; done

bench-epoch: BENCH_DATA := --data $(CIFAR10)
$(filter-out bench-fit bench-start bench-folder bench-replicas bench-features,$(BENCHMARKS)): $(PEERS)/installed
$(BENCHMARKS): bench-%: $(VENV)/installed
	$(BIN)/python -m benchmarks.$* $(BENCH_DATA) $(BENCH)

clean:
	rm -rf $(VENV) $(LOWEST) build dist site *.egg-info
