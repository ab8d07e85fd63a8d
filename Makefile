# Each command sets up what it needs in .venv by itself, and nothing twice.
PYTHON ?= python3
TORCH ?= cpu
NAMES ?=
LAB ?=
EXECUTED ?=
WORKERS ?= 2
BIN := .venv/bin
SETUP = @command -v $(PYTHON) >/dev/null || { echo "Python is not here: install Python 3.11, 3.12 or 3.13 (python.org), or name yours: make PYTHON=/path/to/python3" >&2; exit 1; }; \
	$(PYTHON) tools/set_up.py --torch $(TORCH)

.DEFAULT_GOAL := help
.PHONY: help setup setup-book setup-test run lab book test coverage bench clean

help:
	@echo "make run     set up, execute the notebooks, write build/pages/index.html  (NAMES=\"04\" for some)"
	@echo "make lab     set up, open the course in JupyterLab"
	@echo "make book    set up, turn the executed notebooks into a site: build/book/index.html  (EXECUTED=build/notebooks for your own run)"
	@echo "make test    set up, then lint, types, tests and notebooks"
	@echo "make coverage  which lines and branches of the library its tests reach"
	@echo "make bench   set up, then time the library against the usual ways"
	@echo "make clean   remove .venv and build (never your cache or your notebooks)"
	@echo "Options: TORCH=cuda for the GPU build of PyTorch, PYTHON=/path/to/python3,"
	@echo "         WORKERS=1 for tests one after another (8 GB of memory)"
	@echo "         LAB=\"-- --allow-root\" for JupyterLab as root (in a container)"

setup:
	$(SETUP)

setup-book:
	$(SETUP) --extra book

setup-test:
	$(SETUP) --extra book --extra rivals --extra test

run: setup
	@$(BIN)/course run $(NAMES)

lab: setup
	@$(BIN)/course lab $(LAB)

book: setup-book
	@$(BIN)/python -m book $(if $(EXECUTED),--executed $(EXECUTED))

bench: setup
	@$(BIN)/course bench $(NAMES)

# Tests of the sandbox's limits of time and memory come alone. One of the others after another would leave half
# of two cores idle: files are shared out among processes, of which each computes with one thread. Threads of
# two processes on two cores spent 40% of their time turning in circles, waiting for one another.
ALONE := $(addprefix tests/,attacks grading)
OTHERS := course_lib tests $(addprefix --ignore ,$(ALONE) tests/browser)
SHARED := --numprocesses $(WORKERS) --dist loadfile
ONE_THREAD := $(if $(filter-out 1,$(WORKERS)),OMP_NUM_THREADS=1)

# How the notebooks are compared is in conftest.py. They come in a run of their own: by the end of the one before,
# its processes hold both frameworks and gigabytes, which a laptop needs for the notebooks' kernels. The browser
# comes last: what the notebooks have computed is cached by then. Without Chromium it is skipped, and says so.
test: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict course_lib book
	COURSE_PROGRESS=0 $(BIN)/python -m pytest $(ALONE)
	$(ONE_THREAD) COURSE_PROGRESS=0 $(BIN)/python -m pytest $(OTHERS) $(SHARED)
	$(ONE_THREAD) COURSE_PROGRESS=0 $(BIN)/python -m pytest notebooks $(SHARED) \
		--nbval-lax --nbval-sanitize-with tests/notebooks/sanitise.cfg --nbval-cell-timeout 600
	$(ONE_THREAD) $(BIN)/python -m pytest tests/browser $(SHARED)

# What the tests reach. Counting branches slows every line, so that `make test` does without.
coverage: setup-test
	COURSE_PROGRESS=0 $(BIN)/python -m pytest course_lib tests --ignore tests/browser --cov --cov-report term

clean:
	rm -rf .venv build .coverage .mypy_cache .pytest_cache .ruff_cache
